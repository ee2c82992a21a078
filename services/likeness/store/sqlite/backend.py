"""A store in a SQLite file of its folder; see `likeness.store.backend` for what each method promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from likeness.domain.errors import LikenessError
from likeness.domain.files import sync
from likeness.domain.storage import Space
from likeness.store.sqlite import structure
from likeness.store.sqlite.database import (
    copy_database,
    driver_of,
    guarded,
    reader_engine,
    text_of,
    writer_engine,
)
from likeness.store.sqlite.files import DATABASE, JOURNAL, LOCK, RESERVE, SHARED_MEMORY, WRITE_AHEAD_LOG
from likeness.store.sqlite.lock import DirectoryLock, holder
from likeness.store.sqlite.reserve import DiskReserve
from likeness.store.sqlite.sizes import disk_space, file_sizes

WHOLE_CHECK_BYTES = 4 * 1024**3
"""Up to this size every page is checked at open, which takes 2.5 s of one core for a million references of 600
bytes; beyond it the pages of templates, subjects and sources, which carry seals of their own, are not."""

_CHECK_CACHE_KIB = 131072
"""Of SQLite's page cache while it holds each index against its table: room for an index of a million ids."""

_CATALOGUE = ("reference", "membership", "log", "meta")
"""The tables whose rows must be found, not only be right when found: those with indexes."""


class SQLite:
    """The backend of one folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.path = home / DATABASE

    @property
    def place(self) -> str:
        """The path of the file."""
        return str(self.path)

    def exists(self) -> bool:
        """Whether the file is there."""
        return self.path.exists()

    def is_empty(self) -> bool:
        """Whether the file is missing or has no byte."""
        return _size(self.path) == 0

    def files(self) -> Sequence[Path]:
        """Database, write-ahead log, shared memory, journal, lock and reserve."""
        names = (DATABASE, WRITE_AHEAD_LOG, SHARED_MEMORY, JOURNAL, LOCK, RESERVE)
        return [self.home / name for name in names]

    def remains(self) -> Sequence[Path]:
        """The write-ahead log and the reserve."""
        return [self.home / WRITE_AHEAD_LOG, self.home / RESERVE]

    def make(self) -> None:
        """Make an empty file, which SQLite takes for a new database."""
        self.path.touch(mode=0o600)
        sync(self.home)

    def lock(self) -> DirectoryLock:
        """Lock the folder."""
        return DirectoryLock(self.home / LOCK)

    def holder(self) -> str | None:
        """The number of the process that has the folder locked."""
        return holder(self.home / LOCK)

    def reserve(self, size: int) -> DiskReserve:
        """A file that holds space on the disk of the folder."""
        return DiskReserve(self.home / RESERVE, size)

    def sizes(self) -> dict[str, int]:
        """Bytes of the files in the folder."""
        return file_sizes(self.home)

    def space(self) -> Space:
        """The space of the file system that the folder is on."""
        return disk_space(self.home)

    def writer(self) -> sa.Engine:
        """The one connection that writes; acknowledged means synchronised to disk."""
        return writer_engine(self.path)

    def readers(self, *, checking: bool = False) -> sa.Engine:
        """Connections that never copy the write-ahead log into the file."""
        return reader_engine(self.path, cache_kib=_CHECK_CACHE_KIB) if checking else reader_engine(self.path)

    def guarded(self) -> AbstractContextManager[None]:
        """Turn SQLite's codes into domain errors."""
        return guarded()

    @contextmanager
    def transaction(self, connection: sa.Connection) -> Iterator[None]:
        """A transaction that writes from its beginning."""
        with guarded():
            driver = driver_of(connection)
            driver.execute("BEGIN IMMEDIATE")
            yield
            driver.execute("COMMIT")

    def rolled_back(self, connection: sa.Connection) -> bool:
        """Roll back in the driver."""
        try:
            with guarded():
                connection.connection.rollback()
        except LikenessError:
            return False
        return True

    @contextmanager
    def snapshot(self, connection: sa.Connection) -> Iterator[None]:
        """A transaction that reads."""
        connection.exec_driver_sql("BEGIN")
        try:
            yield
        finally:
            driver_of(connection).rollback()  # nothing, where a failure ended it

    def insert(self, connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows through the driver."""
        if rows:
            driver_of(connection).executemany(_insertion(table), rows)

    def upsert(self, connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add or replace rows through the driver."""
        if rows:
            driver_of(connection).executemany(_replacement(table), rows)

    def first(
        self, connection: sa.Connection, query: sa.Select[Any], parameters: Mapping[str, Any]
    ) -> Sequence[Any] | None:
        """The first row, through the driver."""
        row: tuple[Any, ...] | None = driver_of(connection).execute(_text(query), parameters).fetchone()
        return row

    def rows(
        self, connection: sa.Connection, query: sa.Select[Any], parameters: Mapping[str, Any]
    ) -> Sequence[Sequence[Any]]:
        """All rows, through the driver."""
        return driver_of(connection).execute(_text(query), parameters).fetchall()

    def first_bytes(self, connection: sa.Connection, column: sa.Column[Any], key: int, count: int) -> bytes:
        """Read from the blob itself: SQLite's functions would read all of a photograph for them."""
        with driver_of(connection).blobopen(column.table.name, column.name, key, readonly=True) as blob:
            return blob.read(count)

    def revision(self, connection: sa.Connection) -> str | None:
        """The revision of the tables in the file."""
        return structure.revision(connection)

    def upgrade(self, connection: sa.Connection) -> None:
        """Run the missing migrations and mark the file as a store."""
        structure.upgrade(connection)

    def definitions(self, connection: sa.Connection) -> list[list[Any]]:
        """SQLite's own table of what is defined."""
        return structure.definitions(connection)

    def check_structure(self, connection: sa.Connection, *, quick: bool = False) -> None:
        """Every page; of a large file, where it must be quick, those of the tables with indexes."""
        some = quick and _size(self.path) > WHOLE_CHECK_BYTES
        structure.check_structure(connection, _CATALOGUE if some else ())

    def copy_to(self, home: Path, step: Callable[[int, int], None]) -> None:
        """By SQLite's online backup, into one file."""
        SQLite(home).make()
        copy_database(self.path, home / DATABASE, step)

    def erase(self, connection: sa.Connection) -> bool:
        """Truncate the write-ahead log: in the file itself SQLite overwrites what it deletes (`secure_delete`)."""
        with guarded():
            return structure.truncate_log(connection)


@cache
def _insertion(table: sa.Table) -> str:
    return text_of(table.insert())


@cache
def _replacement(table: sa.Table) -> str:
    adding = insert(table)
    keys = [column.name for column in table.primary_key]
    others = {name: value for name, value in adding.excluded.items() if name not in keys}
    return text_of(adding.on_conflict_do_update(index_elements=keys, set_=others))


@cache
def _text(query: sa.Select[Any]) -> str:
    return text_of(query)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0

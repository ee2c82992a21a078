"""Connections to the SQLite file, and what its errors mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from likeness.domain.errors import Corrupt, InvalidInput, LikenessError, Unavailable
from likeness.store.backend import NoSpace

PAGE_BYTES = 8192
"""Two 128-dimension templates of 600 bytes waste little of it and one of 512 dimensions (2 KB) fits four times."""

BUSY_MILLISECONDS = 10_000
READ_CONNECTIONS = 8
MORE_CONNECTIONS = 24
"""Opened beyond the pool while more threads read at once."""

CHECKPOINT_PAGES = 2000
"""Write-ahead log pages before SQLite copies them into the file; 16 MB."""

COPY_PAGES = 1024
"""Pages that are copied, 8 MB, between two reports of how far a backup is."""

_ALWAYS = ("trusted_schema=OFF", "temp_store=MEMORY")
"""No functions called from a tampered schema; no rows in temporary files, which nobody would erase."""

_PRIMARY_CODE = 0xFF
_NO_SPACE = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
"""Codes, extended ones too, that a disk or a quota without space ends in, each at another place of a commit."""
_TRY_LATER = {
    sqlite3.SQLITE_FULL: "The disk or the quota of the data directory is full; free some space and retry.",
    sqlite3.SQLITE_IOERR: "The disk of the data directory reports an error; check its space and its health.",
    sqlite3.SQLITE_BUSY: "The database is locked by another program; end that program and retry.",
    sqlite3.SQLITE_LOCKED: "The database is locked; retry.",
    sqlite3.SQLITE_CANTOPEN: "The database file cannot be opened; check its path and permissions.",
    sqlite3.SQLITE_READONLY: "The database file is read-only; check its permissions and how it is mounted.",
    sqlite3.SQLITE_NOMEM: "There is not enough memory; retry with a smaller batch.",
}


def translate(error: BaseException) -> LikenessError:
    """The domain error that a driver's error stands for: try later, or damaged."""
    origin = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    code = getattr(origin, "sqlite_errorcode", None)
    if code is not None and (remedy := _TRY_LATER.get(code & _PRIMARY_CODE)):
        kind = NoSpace if code in _NO_SPACE else Unavailable
        return kind(f"{remedy} (SQLite: {origin})", reason="STORAGE_UNAVAILABLE")
    if isinstance(origin, sqlite3.ProgrammingError | sqlite3.InterfaceError):
        return Unavailable(
            f"The connection to the database cannot be used ({type(origin).__name__}); retry, and restart the "
            "service if that does not help.",
            reason="STORAGE_UNAVAILABLE",
        )
    # Without a code the message comes from the driver and may quote what is stored.
    detail = "a column that is not text" if code is None else origin
    return Corrupt(f"The database is damaged; restore it from a backup. (SQLite: {detail})")


@contextmanager
def guarded() -> Iterator[None]:
    """Turn a driver's errors into domain errors."""
    try:
        yield
    except UnicodeDecodeError as error:  # SQLite quotes a damaged schema in its message
        raise Corrupt("The definitions of the tables are damaged; restore a backup.") from error
    except UnicodeEncodeError as error:
        raise InvalidInput("A name in the request is not Unicode text.") from error
    except sa.exc.TimeoutError as error:
        raise Unavailable(
            "Every connection to the database is in use; retry, or lower the number of concurrent calls.",
            reason="STORAGE_BUSY",
        ) from error
    except (sa.exc.DBAPIError, sqlite3.Error) as error:
        raise translate(error) from error


def driver_of(connection: sa.Connection) -> sqlite3.Connection:
    """The driver's own connection, for statements that every request waits for: what SQLAlchemy does around one
    takes several times as long as the statement. Call it under `guarded`."""
    return cast("sqlite3.Connection", connection.connection.driver_connection)


def text_of(statement: sa.Executable) -> str:
    """A statement as the driver takes it, its parameters by name."""
    return str(statement.compile(dialect=sqlite.dialect(paramstyle="named")))  # type: ignore[attr-defined]


def writer_engine(path: Path) -> sa.Engine:
    """The one connection that writes; acknowledged means synchronised to disk."""
    engine = _engine(
        path,
        "rwc",
        pool_size=1,
        pragmas=(
            f"page_size={PAGE_BYTES}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "secure_delete=ON",
            f"wal_autocheckpoint={CHECKPOINT_PAGES}",
            f"journal_size_limit={4 * CHECKPOINT_PAGES * PAGE_BYTES}",
            *_ALWAYS,
        ),
    )

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def reader_engine(path: Path, *, cache_kib: int = 2048) -> sa.Engine:
    """A small pool of connections that cannot write and never copy the write-ahead log into the file."""
    pragmas = ("query_only=ON", f"cache_size={-cache_kib}", *_ALWAYS)
    return _engine(path, "ro", pool_size=READ_CONNECTIONS, max_overflow=MORE_CONNECTIONS, pragmas=pragmas)


def copy_database(source: Path, target: Path, step: Callable[[int, int], None]) -> None:
    """Copy a database, as it is at one instant, into an empty file; `step` is called with pages done and all.

    One transaction reads all of it: without, every commit of another process would begin the copy again. Those who
    write go on meanwhile, and their write-ahead log grows.
    """
    with guarded(), closing(_connect(source, "ro")) as reader, closing(_connect(target, "rw")) as writer:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        reader.backup(writer, pages=COPY_PAGES, progress=lambda _, left, total: step(total - left, total))
        reader.rollback()
        writer.execute("PRAGMA journal_mode=DELETE")  # so that the file is all there is


def _engine(
    path: Path, mode: str, *, pool_size: int, pragmas: tuple[str, ...], max_overflow: int = 0
) -> sa.Engine:
    def connect() -> sqlite3.Connection:
        connection = _connect(path, mode)
        try:
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}")
        except BaseException:
            connection.close()
            raise
        return connection

    return sa.create_engine(
        "sqlite+pysqlite://",
        creator=connect,
        poolclass=sa.QueuePool,
        pool_size=pool_size,
        max_overflow=max_overflow,
    )


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        isolation_level=None,  # transactions are begun here, never guessed by the driver
        check_same_thread=False,
        timeout=BUSY_MILLISECONDS / 1000,
    )


def scalar(connection: sa.Connection, sql: str) -> Any:
    """The first value of the first row."""
    return connection.exec_driver_sql(sql).scalar()

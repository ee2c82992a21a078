"""Opening a data directory: lock, look, then touch."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from likeness.domain.audit import AuditMark
from likeness.domain.errors import Corrupt, Unavailable
from likeness.store.inspection import (
    check_ends,
    check_expected,
    check_heads,
    check_keys,
    check_nothing_lost,
    check_schema,
    check_structure,
    record_key,
    record_schema,
    size_of,
)
from likeness.store.migrate import revision, upgrade
from likeness.store.schema import REVISIONS
from likeness.store.sealing import Seals
from likeness.store.sqlite.database import guarded, reader_engine, reading, writer_engine
from likeness.store.sqlite.lock import DirectoryLock
from likeness.store.sqlite.reserve import RESERVE, Reserve
from likeness.store.vault import KeyRing, sync_directory
from likeness.store.witness import Witness

logger = logging.getLogger(__name__)

DATABASE = "likeness.db"
WITNESS = "likeness.head"
LOCK = "likeness.lock"
SNAPSHOTS = "snapshots"
"""The folder of what indices save, a folder for each; what is in it was made from a database."""

WHOLE_CHECK_BYTES = 4 * 1024**3
"""Up to this size every page is checked at open, which takes 2.5 s of one core for a million references of 600
bytes; beyond it the pages of templates, subjects and sources, which carry seals of their own, are not."""

_LOOK_CACHE_KIB = 131072
"""Of SQLite's page cache while it holds each index against its table: room for an index of a million ids."""

_CATALOGUE = ("reference", "membership", "log", "meta")
"""The tables whose rows must be found, not only be right when found: those with indexes."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The open files of a store."""

    path: Path
    ring: KeyRing
    seals: Seals
    engine: sa.Engine
    witness: Witness
    lock: DirectoryLock
    reserve: Reserve

    def close(self) -> None:
        """Close the files; SQLite then copies its write-ahead log into the database."""
        self.engine.dispose()
        try:
            self.witness.close()
        except OSError:
            logger.warning("The witness file could not be made durable.", exc_info=True)
        finally:
            self.lock.release()


def open_files(
    data_dir: Path, key_file: Path, expected: AuditMark | None = None, reserve_bytes: int = 0
) -> Opened:
    """Lock the directory, check what is in it, bring it to this release's revision.

    `expected` is an entry that the audit chain must hold; `reserve_bytes` are held for audit and erasure.

    Raises:
        LikenessError: see `Store.open`.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"The data directory {data_dir} cannot be made: {error.strerror}.") from error
    lock = DirectoryLock(data_dir / LOCK)
    try:
        reserve = Reserve(data_dir / RESERVE, reserve_bytes)
        return _open_locked(data_dir, key_file, lock, expected, reserve)
    except BaseException:
        lock.release()
        raise


def _open_locked(
    data_dir: Path, key_file: Path, lock: DirectoryLock, expected: AuditMark | None, reserve: Reserve
) -> Opened:
    path = data_dir / DATABASE
    check_not_emptied(data_dir)
    reserve.make_way()
    fresh = size_of(path) == 0 and not (data_dir / WITNESS).exists()
    if fresh and key_file.exists():
        logger.warning("A key ring is there and no database: right before the first start only.")
    ring = KeyRing.load_or_create(key_file) if fresh else KeyRing.load(key_file)
    seals = Seals(ring)
    witness = Witness(data_dir / WITNESS, seals.witness)
    path.touch(mode=0o600)
    sync_directory(data_dir)
    _look(path, seals, witness, expected)
    engine = writer_engine(path)
    try:
        with guarded(), engine.begin() as connection:
            _bring_up(connection, seals, ring)
    except BaseException:
        engine.dispose()
        raise
    if not reserve.hold():
        logger.error("The disk is nearly full: the reserve cannot be held, and enrolments are refused.")
    return Opened(path, ring, seals, engine, witness, lock, reserve)


def check_not_emptied(data_dir: Path) -> None:
    """Whether an empty data directory was always empty.

    Raises:
        Corrupt: the database is missing or empty, and what else lies there was made from one.
    """
    path = data_dir / DATABASE
    if size_of(path):
        return
    remains = [data_dir / f"{DATABASE}-wal", data_dir / RESERVE, *sorted((data_dir / SNAPSHOTS).glob("*/*"))]
    found = next((remnant for remnant in remains if remnant.is_file() and size_of(remnant)), None)
    if found is not None:
        raise Corrupt(
            f"The database {path} is missing or empty, but {found} shows that there was one. Restore it from a "
            f"backup; to begin an empty store on purpose, move {data_dir} away, or name another folder.",
            reason="DATABASE_MISSING",
        )


def _look(path: Path, seals: Seals, witness: Witness, expected: AuditMark | None) -> None:
    """Everything that can be refused is refused here, before anything is written."""
    engine = reader_engine(path, cache_kib=_LOOK_CACHE_KIB)
    try:
        with reading(engine) as connection:
            found = revision(connection)
            if found is None:
                check_nothing_lost(witness, expected)
                return
            check_keys(connection, seals)
            check_structure(connection, () if size_of(path) <= WHOLE_CHECK_BYTES else _CATALOGUE)
            check_schema(connection, seals)
            if found == REVISIONS[-1]:
                check_heads(connection, witness, expected)
                check_ends(connection, seals)
                if expected is not None:
                    check_expected(connection, expected)
    finally:
        engine.dispose()


def _bring_up(connection: sa.Connection, seals: Seals, ring: KeyRing) -> None:
    """Missing migrations, and the active key on record, in one transaction."""
    found = revision(connection)
    if found != REVISIONS[-1]:
        upgrade(connection)
        record_schema(connection, seals)
    if found is None or ring.active not in check_keys(connection, seals):
        record_key(connection, seals, ring.active)

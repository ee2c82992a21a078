"""Opening a data directory: lock, look, then touch."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from likeness.domain.errors import Unavailable
from likeness.store.database import guarded, reader_engine, reading, writer_engine
from likeness.store.inspection import (
    check_ends,
    check_heads,
    check_keys,
    check_nothing_lost,
    check_schema,
    check_structure,
    record_key,
    record_schema,
    size_of,
)
from likeness.store.lock import DirectoryLock
from likeness.store.migrate import revision, upgrade
from likeness.store.schema import REVISIONS
from likeness.store.sealing import Seals
from likeness.store.vault import KeyRing, sync_directory
from likeness.store.witness import Witness

logger = logging.getLogger(__name__)

DATABASE = "likeness.db"
WITNESS = "likeness.head"
LOCK = "likeness.lock"

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

    def close(self) -> None:
        """Close the files; SQLite then copies its write-ahead log into the database."""
        self.engine.dispose()
        try:
            self.witness.close()
        except OSError:
            logger.warning("The witness file could not be made durable.", exc_info=True)
        finally:
            self.lock.release()


def open_files(data_dir: Path, key_file: Path) -> Opened:
    """Lock the directory, check what is in it, bring it to this release's revision.

    Raises:
        LikenessError: see `Store.open`.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"The data directory {data_dir} cannot be made: {error.strerror}.") from error
    lock = DirectoryLock(data_dir / LOCK)
    try:
        return _open_locked(data_dir, key_file, lock)
    except BaseException:
        lock.release()
        raise


def _open_locked(data_dir: Path, key_file: Path, lock: DirectoryLock) -> Opened:
    path = data_dir / DATABASE
    fresh = size_of(path) == 0 and not (data_dir / WITNESS).exists()
    ring = KeyRing.load_or_create(key_file) if fresh else KeyRing.load(key_file)
    seals = Seals(ring)
    witness = Witness(data_dir / WITNESS, seals.witness)
    path.touch(mode=0o600)
    sync_directory(data_dir)
    _look(path, seals, witness)
    engine = writer_engine(path)
    try:
        with guarded(), engine.begin() as connection:
            _bring_up(connection, seals, ring)
    except BaseException:
        engine.dispose()
        raise
    return Opened(path, ring, seals, engine, witness, lock)


def _look(path: Path, seals: Seals, witness: Witness) -> None:
    """Everything that can be refused is refused here, before anything is written."""
    engine = reader_engine(path, cache_kib=_LOOK_CACHE_KIB)
    try:
        with reading(engine) as connection:
            found = revision(connection)
            if found is None:
                check_nothing_lost(witness)
                return
            check_keys(connection, seals)
            check_structure(connection, () if size_of(path) <= WHOLE_CHECK_BYTES else _CATALOGUE)
            check_schema(connection, seals)
            if found == REVISIONS[-1]:
                check_heads(connection, witness)
                check_ends(connection, seals)
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

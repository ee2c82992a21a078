"""Opening a data directory: lock, look, then touch."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from likeness.domain.audit import AuditMark
from likeness.domain.errors import Corrupt, Unavailable
from likeness.store.backend import Backend, Lock, Reserve, reading
from likeness.store.inspection import (
    check_ends,
    check_expected,
    check_heads,
    check_keys,
    check_nothing_lost,
    check_schema,
    check_tree_end,
    record_key,
    record_schema,
)
from likeness.store.places import RESTORING, SNAPSHOTS, WITNESS
from likeness.store.planting import plant
from likeness.store.schema import REVISIONS
from likeness.store.sealing import Seals
from likeness.store.vault import KeyRing
from likeness.store.witness import Witness

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opened:
    """What of a store is open."""

    backend: Backend
    ring: KeyRing
    seals: Seals
    engine: sa.Engine
    witness: Witness
    lock: Lock
    reserve: Reserve

    def close(self) -> None:
        """Close the database, then the files next to it."""
        self.engine.dispose()
        try:
            self.witness.close()
        except OSError:
            logger.warning("The witness file could not be made durable.", exc_info=True)
        finally:
            self.lock.release()


def open_files(
    backend: Backend, key_file: Path, expected: AuditMark | None = None, reserve_bytes: int = 0
) -> Opened:
    """Lock the store, check what is in it, bring it to this release's revision.

    `expected` is an entry that the audit chain must hold; `reserve_bytes` are held for audit and erasure.

    Raises:
        LikenessError: see `Store.open`.
    """
    try:
        backend.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"The data directory {backend.home} cannot be made: {error.strerror}.") from error
    lock = backend.lock()
    try:
        reserve = backend.reserve(reserve_bytes)
        return _open_locked(backend, key_file, lock, expected, reserve)
    except BaseException:
        lock.release()
        raise


def _open_locked(
    backend: Backend, key_file: Path, lock: Lock, expected: AuditMark | None, reserve: Reserve
) -> Opened:
    check_not_emptied(backend)
    reserve.make_way()
    record = backend.home / WITNESS
    fresh = backend.is_empty() and not record.exists()
    if fresh and key_file.exists():
        logger.warning("A key ring is there and no database: right before the first start only.")
    ring = KeyRing.load_or_create(key_file) if fresh else KeyRing.load(key_file)
    seals = Seals(ring)
    witness = Witness(record, seals.witness)
    backend.make()
    _look(backend, seals, witness, expected)
    engine = backend.writer()
    try:
        with backend.guarded(), engine.begin() as connection:
            _bring_up(backend, connection, seals, ring)
    except BaseException:
        engine.dispose()
        raise
    if not reserve.hold():
        logger.error("The disk is nearly full: the reserve cannot be held, and enrolments are refused.")
    return Opened(backend, ring, seals, engine, witness, lock, reserve)


def check_not_emptied(backend: Backend) -> None:
    """Whether an empty database was always empty.

    Raises:
        Corrupt: the database is missing or empty, and what else lies there was made from one.
    """
    if not backend.is_empty():
        return
    if (backend.home / RESTORING).exists():
        raise Corrupt(
            f"A backup was being restored to {backend.home} and that was cut short; run `likeness restore` again.",
            reason="DATABASE_MISSING",
        )
    remains = [*backend.remains(), *sorted((backend.home / SNAPSHOTS).glob("*/*"))]
    found = next((remnant for remnant in remains if remnant.is_file() and remnant.stat().st_size), None)
    if found is not None:
        raise Corrupt(
            f"The database {backend.place} is missing or empty, but {found} shows that there was one. Restore it "
            f"from a backup; to begin an empty store on purpose, move {backend.home} away, or name another folder.",
            reason="DATABASE_MISSING",
        )


def _look(backend: Backend, seals: Seals, witness: Witness, expected: AuditMark | None) -> None:
    """Everything that can be refused is refused here, before anything is written."""
    engine = backend.readers(checking=True)
    try:
        with reading(backend, engine) as connection:
            found = backend.revision(connection)
            if found is None:
                check_nothing_lost(witness, expected)
                return
            check_keys(connection, seals)
            backend.check_structure(connection, quick=True)
            check_schema(backend, connection, seals)
            # Both chains are the same in every revision so far, so that no older copy is upgraded unseen.
            check_heads(connection, witness, expected)
            check_ends(connection, seals)
            check_tree_end(connection)
            if expected is not None:
                check_expected(connection, expected)
    finally:
        engine.dispose()


def _bring_up(backend: Backend, connection: sa.Connection, seals: Seals, ring: KeyRing) -> None:
    """Missing migrations, the active key on record, and what the tree lacks, in one transaction."""
    found = backend.revision(connection)
    if found != REVISIONS[-1]:
        backend.upgrade(connection)
        record_schema(backend, connection, seals)
    if found is None or ring.active not in check_keys(connection, seals):
        record_key(connection, seals, ring.active)
    plant(backend, connection, seals)

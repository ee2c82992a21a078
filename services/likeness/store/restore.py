"""Restoring a backup into a home that has no store: checked before, during and after, and whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import sqlalchemy as sa

from likeness.domain.audit import AuditMark
from likeness.domain.changes import ChangeKind
from likeness.domain.errors import (
    Conflict,
    Corrupt,
    LikenessError,
    NotFound,
    Precondition,
    Unavailable,
    WrongKey,
)
from likeness.domain.files import sync, sync_tree
from likeness.store.backend import Backend, reading
from likeness.store.backup import BackendOf, check_backup, copy_file
from likeness.store.backup_manifest import BackupManifest, digest_of
from likeness.store.chain import AUDIT
from likeness.store.exits import expungement
from likeness.store.inspection import check_expected, check_heads, check_keys, check_schema, stored_heads
from likeness.store.log import verify_chain
from likeness.store.places import RESTORING, SNAPSHOTS, WITNESS
from likeness.store.schema import log
from likeness.store.sealing import Seals
from likeness.store.store import Store
from likeness.store.vault import KeyRing
from likeness.store.witness import Witness

REASON = "expunged after the backup that was restored"

_EXPUNGED = sa.select(log.c.reference_id).where(
    log.c.kind == ChangeKind.EXPUNGE.value, log.c.position > sa.bindparam("after")
)


def restore_backup(
    backend_of: BackendOf,
    folder: Path,
    home: Path,
    ring: KeyRing,
    finish: Callable[[Path, BackupManifest], None],
) -> BackupManifest:
    """Put a backup into a home; what is there of a restore that was cut short is removed first.

    `finish` brings the copy up to date, in a folder of its own, before the home has it: so what must be expunged
    again is, or nothing was restored.

    Raises:
        Conflict: the home has a store, or what is left of one.
        NotFound, WrongKey, Corrupt: see `check_backup`.
        Precondition: a process has the home.
        Unavailable: a file cannot be read or written.
    """
    manifest = check_backup(backend_of, folder, ring)
    backend = backend_of(home)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = backend.lock()
        try:
            staging = home / RESTORING
            if backend.is_empty() and staging.exists():
                _remove([*backend.remains(), home / WITNESS, home / SNAPSHOTS, staging])
            if (found := _left_of_a_store(backend_of, home)) is not None:
                raise Conflict(
                    f"{home} has a store, or what is left of one: {found}. A backup is restored into a home "
                    "without: move that one away, and keep it for --since, which reads what was expunged there."
                )
            _copy(manifest, folder, staging)
            finish(staging, manifest)
            _publish(staging, home, last=[path.name for path in backend.files()])
        finally:
            lock.release()
    except OSError as error:
        raise Unavailable(f"The backup cannot be restored to {home}: {error}.") from error
    return manifest


def expunged_since(
    backend_of: BackendOf,
    home: Path,
    manifest: BackupManifest,
    ring: KeyRing,
    expected: AuditMark | None = None,
) -> list[str]:
    """What was expunged in another home of the same store after a backup of it, by the log there.

    The log is believed where its chain holds from the backup on and reaches as far as the home's witness says, and
    the audit holds the entry that is expected: an expungement that was taken out would bring a reference back.

    Raises:
        Precondition: there is no store.
        WrongKey: the ring does not hold the keys that it was written with.
        Corrupt: it is damaged or was changed, or does not go on from the backup.
    """
    backend = backend_of(home)
    if not backend.exists():
        raise Precondition(f"There is no store at {home} to say what was expunged since the backup.")
    engine = backend.readers(checking=True)
    try:
        with reading(backend, engine) as connection, backend.snapshot(connection):
            if AUDIT.digest_at(connection, manifest.audit.position) != manifest.audit.digest:
                raise Corrupt(f"The store at {home} does not go on from this backup: it is of another store.")
            _check_history(backend, connection, ring, manifest, expected)
            return list(connection.execute(_EXPUNGED, {"after": manifest.log}).scalars())
    finally:
        engine.dispose()


def _check_history(
    backend: Backend,
    connection: sa.Connection,
    ring: KeyRing,
    manifest: BackupManifest,
    expected: AuditMark | None,
) -> None:
    """Whether the log of a store is whole from a backup of it on.

    Raises:
        WrongKey, Corrupt: see `expunged_since`.
    """
    seals = Seals(ring)
    try:
        backend.check_structure(connection)
        check_keys(connection, seals)
        check_schema(backend, connection, seals)
        check_heads(connection, Witness(backend.home / WITNESS, seals.witness))
        if expected is not None:
            check_expected(connection, expected)
        verify_chain(connection, seals, manifest.log, stored_heads(connection).log.position)
    except WrongKey:  # the remedy is that of every command
        raise
    except Corrupt as error:  # its remedy is for a home that is to be served
        raise Corrupt(
            f"What was expunged since the backup cannot be learnt from {backend.home}: it is damaged, or was "
            f"changed, is older than its witness or the expected audit head, or has no witness ({error.reason}). "
            "Restore without --since, and give what was expunged as a list (--expunged), for example from the "
            "owners.",
            reason=error.reason,
            metadata=error.metadata,
        ) from error


def expunge_again(store: Store, reference_ids: Iterable[str]) -> int:
    """Expunge those of the references that are there and are not expunged; returns how many.

    Raises:
        LikenessError: one cannot be; what was done stays done.
    """
    done = 0
    for reference_id in dict.fromkeys(reference_ids):
        try:
            found = store.get(reference_id)
        except NotFound:
            continue
        (outcome,) = store.write([expungement(reference_id, found.modality, REASON)])
        if isinstance(outcome, NotFound):  # it was expunged before
            continue
        if isinstance(outcome, LikenessError):
            raise outcome
        done += 1
    return done


def _left_of_a_store(backend_of: BackendOf, home: Path) -> Path | None:
    backend = backend_of(home)
    if not backend.is_empty():
        return Path(backend.place)
    remains = [*backend.remains(), home / WITNESS, *(home / SNAPSHOTS).glob("*/*")]
    return next((path for path in remains if path.exists()), None)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _copy(manifest: BackupManifest, folder: Path, staging: Path) -> None:
    """Copy what was checked, and check what was copied."""
    staging.mkdir(mode=0o700)
    for name, expected in manifest.files.items():
        copy_file(folder / name, staging / name)
        if digest_of(staging / name) != expected:
            raise Corrupt(
                f"{name} changed while it was copied from {folder}; check both disks and try again."
            )
    sync_tree(staging)


def _publish(staging: Path, home: Path, last: Sequence[str]) -> None:
    """Move everything into its place, the database at the end: until then the home has none, and is not served."""
    for path in sorted(staging.iterdir(), key=lambda path: path.name in last):
        if path.suffix == ".lock":  # the home has its own
            path.unlink()
            continue
        target = home / path.name
        if target.exists():  # an empty file or folder, or it would have been refused
            _remove([target])
        path.rename(target)
        sync(home)
    staging.rmdir()

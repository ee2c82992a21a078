"""Backups: made while others write, read back before they count, and never taken for whole when they are not.

A backup is a folder: the database as it was at one instant, a witness of where its chains ended then, snapshots of
the indices, and a manifest with the digest of each file, sealed under the key ring. What is in it is encrypted as
in the store, and the key ring is not in it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from likeness.domain.audit import AuditMark
from likeness.domain.errors import Conflict, Corrupt, LikenessError, NotFound, Unavailable
from likeness.domain.files import sync, sync_tree
from likeness.store.audit import verify_links
from likeness.store.backend import Backend, reading
from likeness.store.backup_manifest import MANIFEST, BackupManifest, digest_of, files_below
from likeness.store.inspection import (
    check_heads,
    check_keys,
    check_schema,
    keys_on_record,
    stored_heads,
)
from likeness.store.log import verify_chain
from likeness.store.places import WITNESS
from likeness.store.reads import count_unexpunged
from likeness.store.sealing import Seals
from likeness.store.vault import KeyRing
from likeness.store.verify import check_sample
from likeness.store.witness import Heads, Witness

SAMPLE = 1000
"""References that are opened to check a backup, spread over all of them; their rows' seals say the rest."""

Others = Callable[[int], Mapping[str, Path]]
"""Files that a backup up to a log position is to hold too, by their paths within it."""

Step = Callable[[int, int], None]
"""Called with how much of the database is copied, and how much there is."""

BackendOf = Callable[[Path], Backend]


def make_backup(
    backend_of: BackendOf,
    home: Path,
    target: Path,
    ring: KeyRing,
    *,
    release: str,
    others: Others = lambda _: {},
    step: Step = lambda *_: None,
) -> BackupManifest:
    """Back the store of a home up into a folder that does not exist yet, and read it back.

    Args:
        backend_of: what opens the database of a home.
        home: of the store, whether or not a server has it open.
        target: the folder to make. Until the backup is whole it has another name.
        ring: of the store.
        release: that makes it.
        others: what belongs into it beside database and witness; what is gone when its turn comes is left out.
        step: called as the database is copied.

    Raises:
        NotFound: there is no store.
        Conflict: the folder exists, or another process makes it.
        Exhausted, Unavailable: it cannot be written, or read back.
        WrongKey, Corrupt: the ring is not the store's, or the store is damaged.
    """
    if not backend_of(home).exists():
        raise NotFound(f"There is no store at {home} to back up.")
    if target.exists():
        raise Conflict(f"{target} exists already; a backup is never written over. Name a new folder.")
    with _partial(target) as folder, _writing(target):
        backend_of(home).copy_to(folder, step)
        seals = Seals(ring)
        with _opened(backend_of, folder) as connection:
            check_keys(connection, seals)
            heads, keys = stored_heads(connection), keys_on_record(connection)
            references = count_unexpunged(connection)
        witness = Witness(folder / WITNESS, seals.witness)
        witness.establish(heads)
        witness.close()
        for name, path in others(heads.log.position).items():
            with suppress(FileNotFoundError):  # replaced meanwhile by a newer one
                copy_file(path, folder / name)
        manifest = BackupManifest(
            datetime.now(UTC),
            release,
            heads.log.position,
            AuditMark(heads.audit.position, heads.audit.digest),
            references,
            tuple(sorted(keys)),
            {name: digest_of(path) for name, path in files_below(folder).items()},
        )
        sync_tree(folder)
        manifest.write(folder, ring)
        check_backup(backend_of, folder, ring)
        folder.rename(target)
        sync(target.parent)
    return manifest


def check_backup(backend_of: BackendOf, folder: Path, ring: KeyRing) -> BackupManifest:
    """Read a backup, all of it: its digests, both chains, the database's structure, and a sample of references.

    Raises:
        NotFound: it is none, or was never finished.
        WrongKey: the ring does not hold the keys that it was made with.
        Corrupt: a byte was changed, or a file is missing or was added.
        Unavailable: it cannot be read.
    """
    manifest = BackupManifest.read(folder, ring)
    found = files_below(folder)
    if differing := sorted(found.keys() ^ manifest.files.keys()):
        raise Corrupt(
            f"{folder} has not the files that were backed up: {differing[0]} is missing, or was added."
        )
    for name, path in found.items():
        if path.is_symlink() or digest_of(path) != manifest.files[name]:
            raise Corrupt(f"{path} was changed since it was backed up; restore another backup.")
    seals = Seals(ring)
    backend = backend_of(folder)
    with _opened(backend_of, folder) as connection:
        backend.check_structure(connection)
        check_keys(connection, seals)
        check_schema(backend, connection, seals)
        heads = stored_heads(connection)
        if Heads() == heads or _marks(heads) == (manifest.log, manifest.audit):
            check_heads(connection, Witness(folder / WITNESS, seals.witness))
        else:
            raise Corrupt(
                f"{folder} ends at another position than its {MANIFEST} says; restore another backup."
            )
        verify_chain(connection, seals, 0, heads.log.position)
        report = verify_links(connection, 1, heads.audit.position)
        if report.problems:
            raise Corrupt(report.problems[0])
        check_sample(connection, seals, SAMPLE)
    return manifest


def _marks(heads: Heads) -> tuple[int, AuditMark]:
    return heads.log.position, AuditMark(heads.audit.position, heads.audit.digest)


@contextmanager
def _opened(backend_of: BackendOf, folder: Path) -> Iterator[sa.Connection]:
    backend = backend_of(folder)
    engine = backend.readers(checking=True)
    try:
        with reading(backend, engine) as connection, backend.snapshot(connection):
            yield connection
    finally:
        engine.dispose()


@contextmanager
def _partial(target: Path) -> Iterator[Path]:
    """An empty folder beside the target, which nobody else fills; what a killed process left there is removed.

    Raises:
        Conflict: another process fills it.
        Unavailable: it cannot be made.
    """
    folder = target.with_name(f".{target.name}.partial")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise Unavailable(f"{folder} cannot be made: {error.strerror}.") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(
                f"Another process backs up into {target}; wait for it, or name another folder."
            ) from error
        _empty(folder)
        try:
            yield folder
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    finally:
        os.close(descriptor)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Turn the errors of the disk that is written to into those of the domain."""
    try:
        yield
    except LikenessError:
        raise
    except OSError as error:
        raise Unavailable(
            f"The backup {target} cannot be written: {error.strerror}; nothing of it was left."
        ) from error


def copy_file(source: Path, target: Path) -> None:
    """Copy a file to a path where there is none, for its owner alone.

    Raises:
        OSError: it cannot be read or written.
    """
    _make_private(target.parent)
    with source.open("rb") as read:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as write:
            shutil.copyfileobj(read, write, 1 << 22)


def _make_private(folder: Path) -> None:
    """Make a folder and those above it for their owner alone; `mkdir` by itself would leave the latter open."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(mode=0o700)

"""Which entities are cut off, in a backup and after a restore: nobody is let in again because a disk broke."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from likeness.access.suspensions import add, load_suspensions, merged
from likeness.app.access import SUSPENSIONS, sources_of
from likeness.app.composition import key_file
from likeness.app.settings import Settings
from likeness.cli.output import warn
from likeness.domain.errors import InvalidInput
from likeness.store.backend import reading
from likeness.store.choice import backend_of
from likeness.store.retired import adopt_retired
from likeness.store.sealing import Seals
from likeness.store.suspended import suspended_on_record
from likeness.store.vault import KeyRing


def suspensions_file(settings: Settings) -> Path:
    """Where it stands who is cut off; in the home where no directory is set."""
    named = settings.access
    if named.directory is not None:
        return sources_of(settings).suspensions
    return named.suspensions.expanduser() if named.suspensions else settings.home / SUSPENSIONS


def to_back_up(settings: Settings) -> Mapping[str, Path]:
    """The file of suspensions by its name in a backup; nothing, and a warning, where it cannot be taken."""
    path = suspensions_file(settings)
    try:
        load_suspensions(path)
        return {SUSPENSIONS: path} if path.exists() else {}
    except (OSError, InvalidInput) as error:
        warn(f"which entities are cut off is not in the backup: {error}")
        return {}


def cut_off_again(settings: Settings, staging: Path, since: Path | None) -> Sequence[str]:
    """Cut off whom the restored backup says, taken out of it, and whom the home `since` says; returns whom the
    settings' file did not have.

    Raises:
        InvalidInput: a file is malformed; mend it first.
        OSError: one cannot be read or written.
    """
    backed_up = staging / SUSPENSIONS
    of_old_home = load_suspensions(since / SUSPENSIONS) if since is not None else {}
    rows = merged(of_old_home, load_suspensions(backed_up))
    backed_up.unlink(missing_ok=True)
    directory = settings.access.directory.expanduser() if settings.access.directory else None
    like = directory if directory is not None and directory.exists() else None
    return sorted(add(suspensions_file(settings), rows, like=like)) if rows else []


def only_on_record(settings: Settings, home: Path) -> Sequence[str]:
    """The entities that are cut off by the audit of a home, and not by the settings' file of suspensions.

    Raises:
        Corrupt: the audit is damaged.
        InvalidInput: the file is malformed.
        OSError: it cannot be read.
    """
    opened = Seals(KeyRing.load(key_file(settings)))
    there = load_suspensions(suspensions_file(settings))
    backend = backend_of(home)
    engine = backend.readers()
    try:
        with reading(backend, engine) as connection:
            adopt_retired(connection, opened)
            return [entity for entity in suspended_on_record(connection, opened) if entity not in there]
    finally:
        engine.dispose()

"""Who else than its owner may read what is stored: the POSIX modes of the files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from likeness.store.choice import backend_of
from likeness.store.places import ACTS, SNAPSHOTS, WITNESS

_OTHERS = stat.S_IRWXO
_GROUP = stat.S_IRWXG


@dataclass(frozen=True, slots=True)
class Exposed:
    """A file or folder that is open to others than its owner; `mode` is its permission bits."""

    path: Path
    mode: int
    grave: bool
    """Whether they can read a file, or put another in its place; else they see names and sizes alone."""

    def __str__(self) -> str:
        """The path and the mode, as `chmod` writes it."""
        return f"{self.path} (mode {self.mode:04o})"


def exposed(data_dir: Path, *secrets: Path) -> list[Exposed]:
    """What of a data directory and of files of keys is open to others; nothing where there are no POSIX modes.

    A group of the same number as the user is taken for the user's own, as most systems make one for each user.
    """
    if os.name != "posix":
        return []
    found = []
    for path in _stored(data_dir, secrets):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        mode = stat.S_IMODE(status.st_mode)
        private_group = status.st_gid == os.geteuid()
        open_to = mode & (_OTHERS if private_group else _OTHERS | _GROUP)
        if open_to:
            writable = open_to & (stat.S_IWGRP | stat.S_IWOTH)
            found.append(Exposed(path, mode, bool(writable) or not stat.S_ISDIR(status.st_mode)))
    return found


def _stored(data_dir: Path, secrets: Iterable[Path]) -> Iterator[Path]:
    yield data_dir
    yield from backend_of(data_dir).files()
    yield data_dir / WITNESS
    yield data_dir / ACTS
    yield from secrets
    snapshots = data_dir / SNAPSHOTS
    yield snapshots
    yield from sorted(snapshots.rglob("*"))

"""How much of the disk a store takes, and how much it has left."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from likeness.domain.storage import Space
from likeness.store.places import SNAPSHOTS
from likeness.store.sqlite.files import DATABASE, RESERVE, WRITE_AHEAD_LOG

_KINDS = {DATABASE: "database", WRITE_AHEAD_LOG: "wal", RESERVE: "reserve"}
_EVERY_KIND = ("database", "wal", SNAPSHOTS, "reserve", "other")


def file_sizes(home: Path) -> dict[str, int]:
    """Bytes of the files in a store's home by kind; every kind is there.

    What others keep in folders of the home, such as compiled kernels, is not the store's and is not counted.

    Raises:
        OSError: the folder cannot be read.
    """
    sizes = Counter(dict.fromkeys(_EVERY_KIND, 0))
    for entry in _files(home):
        sizes[_KINDS.get(entry.name, "other")] += _size(entry)
    for folder in _folders(home / SNAPSHOTS):
        sizes[SNAPSHOTS] += sum(_size(entry) for entry in _files(folder))
    return dict(sizes)


def disk_space(home: Path) -> Space:
    """The space of the file system that a folder is on.

    Raises:
        OSError: the folder cannot be read.
    """
    system = os.statvfs(home)
    return Space(system.f_bavail * system.f_frsize, system.f_blocks * system.f_frsize)


def _folders(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        with os.scandir(folder) as entries:
            yield from (Path(entry) for entry in entries if entry.is_dir(follow_symlinks=False))


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if entry.is_file(follow_symlinks=False))


def _size(entry: os.DirEntry[str]) -> int:
    """In bytes; 0 for a file that was removed since the folder was read, as snapshots and write-ahead logs are."""
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0

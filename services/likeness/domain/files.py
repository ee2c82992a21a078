"""Files that are written whole or not at all, and are on disk once they are written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, data: bytes, *, replace: bool = True, like: Path | None = None) -> None:
    """Write a partial file in the same folder, sync it, and give it its name.

    It is for its owner alone (mode 0600). What root puts in the place of a file stays its owner's, and what root
    makes is the folder's owner's: or the service could not read what root has changed or made for it.

    Args:
        path: the name that it gets.
        data: its content.
        replace: whether a file of that name may be there.
        like: a file whose mode, and where root writes whose owner and group, it gets: whoever reads that one must
            be able to read it. It must exist.

    Raises:
        FileExistsError: the file exists, and is not to be replaced.
        OSError: it cannot be written.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            model = like or (path if replace and path.exists() else path.parent)
            _make_like(file.fileno(), model, with_mode=like is not None)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            partial.replace(path)
        else:
            path.hardlink_to(partial)
    finally:
        partial.unlink(missing_ok=True)
    sync(path.parent)


def _make_like(descriptor: int, model: Path, *, with_mode: bool) -> None:
    found = model.stat()
    if os.geteuid() == 0:
        os.fchown(descriptor, found.st_uid, found.st_gid)
    if with_mode:
        os.fchmod(descriptor, found.st_mode & 0o777)


def sync_tree(folder: Path) -> None:
    """Make a folder durable with all that is in it."""
    for path in [*folder.rglob("*"), folder]:
        sync(path)


def sync(path: Path) -> None:
    """Make the bytes of a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

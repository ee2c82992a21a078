"""Small files that hold a secret or a state: written whole or not at all, for their owner alone."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from likeness.domain.errors import Conflict, Precondition, Unavailable


def write_private(path: Path, data: bytes, *, replace: bool) -> None:
    """Write a partial file, mode 0600, fsync it, then give it its name. A file that is replaced keeps its owner.

    Raises:
        Conflict: the file exists, and is not to be replaced.
        Unavailable: it cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        partial = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                if replace and os.geteuid() == 0 and path.exists():
                    owner = path.stat()
                    os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                partial.replace(path)
            else:
                path.hardlink_to(partial)
        finally:
            partial.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except FileExistsError as error:
        raise Conflict(f"{path} already exists and is never overwritten.") from error
    except OSError as error:
        raise Unavailable(f"{path} cannot be written: {error.strerror}.") from error


def read_private(path: Path, limit: int) -> bytes:
    """Read a file that holds a secret, up to a byte more than `limit`.

    Raises:
        FileNotFoundError: there is none.
        Precondition: others than its owner can read it.
        Unavailable: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}.") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Precondition(
            f"{path} is open to others than its owner (mode {mode:04o}); run: chmod 600 {path}",
            reason="KEY_FILE_EXPOSED",
        )
    return data


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

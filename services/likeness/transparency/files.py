"""Small files that hold a secret or a state: written whole or not at all, for their owner alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from likeness.domain.errors import Conflict, Precondition, Unavailable
from likeness.domain.files import write_whole


def write_private(path: Path, data: bytes, *, replace: bool, what: str = "") -> None:
    """Write a file for its owner alone, as `write_whole` does; its folder is made where there is none.

    `what` names it in messages, before its path.

    Raises:
        Conflict: the file exists, and is not to be replaced.
        Unavailable: it cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, data, replace=replace)
    except FileExistsError as error:
        raise Conflict(f"{what}{path} already exists and is never overwritten.") from error
    except OSError as error:
        raise Unavailable(f"{what}{path} cannot be written: {error.strerror}.") from error


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

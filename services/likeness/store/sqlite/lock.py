"""One process per data directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TextIO

from likeness.domain.errors import Precondition, Unavailable

_MAX_HOLDER_CHARACTERS = 20


class DirectoryLock:
    """An exclusive lock on a file; the kernel lets go of it when the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Raises:
            Precondition: another process, or another Store in this one, has it.
            Unavailable: the file cannot be opened.
        """
        try:
            self._file = os.fdopen(_private(path), "a+", encoding="ascii", errors="replace")
        except OSError as error:
            raise Unavailable(f"The lock file {path} cannot be opened: {error.strerror}.") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = _holder(self._file)
            self._file.close()
            raise Precondition(
                f"The data directory {path.parent} is in use by process {owner}; stop that process, or give this "
                "one a data directory of its own.",
                reason="STORE_IN_USE",
            ) from error
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def release(self) -> None:
        """Let others have it. The file stays: removing it would race with the next holder."""
        self._file.close()


def holder(path: Path) -> str | None:
    """The process that holds a lock, as it wrote its number, or `unknown`; None if nobody does. Makes no file.

    Raises:
        OSError: the file is there and cannot be opened.
    """
    try:
        file = path.open(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _holder(file)
    return None


def _holder(file: TextIO) -> str:
    """The number that the holder of a lock wrote into its file."""
    file.seek(0)
    return file.read(_MAX_HOLDER_CHARACTERS).strip() or "unknown"


def _private(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

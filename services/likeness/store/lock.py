"""One process per data directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

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
            self._file.seek(0)
            holder = self._file.read(_MAX_HOLDER_CHARACTERS).strip() or "unknown"
            self._file.close()
            raise Precondition(
                f"The data directory {path.parent} is in use by process {holder}; stop that process, or give this "
                "one a data directory of its own.",
                reason="STORE_IN_USE",
            ) from error
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def release(self) -> None:
        """Let others have it. The file stays: removing it would race with the next holder."""
        self._file.close()


def _private(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

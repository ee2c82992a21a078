"""Space that is held for the audit and for erasure, for the day on which the disk is full.

No search is answered that is not on record, and nothing is erased without an entry of the log: on a full disk both
would stop. So a file of zeros holds some space. When a commit finds the disk full the file is removed, enrolments
are refused from then on, and what remains goes on in the space that it held. When there is space again the file is
made again, and enrolment goes on.

A search takes 1.5 KB of audit and the write-ahead log up to 16 MB (`CHECKPOINT_PAGES`) before its pages are copied:
64 MiB are enough for 30,000 searches, or some thousands of expunged references.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import threading
from pathlib import Path

from likeness.domain.errors import Exhausted
from likeness.domain.files import sync

logger = logging.getLogger(__name__)

ROOM = 2
"""Times the reserve that must be free before it is made again, so that as much is left for enrolments: one that was
made in the last free space would be given up at the next of them."""

OPENING_BYTES = 1 << 20
"""Free space that opening a database needs: SQLite's shared memory (32 KiB) and the first pages of its log."""

_CHUNK_BYTES = 1 << 20
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What writing ends in where there is no space; a quota shows here alone, and not in the free space of the disk."""
_NOT_SUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


class DiskReserve:
    """The file that holds the space; `size` 0 holds none. Safe to use from several threads."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        self._lock = threading.Lock()
        self._held = size > 0 and _size(path) == size

    @property
    def is_spent(self) -> bool:
        """Whether the space that should be held is not: nothing is to be enrolled."""
        return self.size > 0 and not self._held

    @property
    def room(self) -> int:
        """Bytes that must be free before the space is held again."""
        return ROOM * self.size

    def refusal(self) -> Exhausted:
        """The refusal of an enrolment while the reserve is spent."""
        return Exhausted(
            "The service's disk is full, so nothing is enrolled; searches and Expunge go on from a reserve, for a "
            "while. Have its operator free space on the disk of the home folder: enrolment then goes on by itself, "
            "within seconds.",
            reason="STORAGE_FULL",
        )

    def release(self) -> bool:
        """Give the space to what must go on; whether there was any to give."""
        with self._lock:
            if not self._held:
                return False
            self._held = False
            try:
                self.path.unlink(missing_ok=True)
            except OSError:
                logger.exception("The reserve of the store cannot be released.")
                return False
            return True

    def make_way(self) -> None:
        """Release the space if the disk is so full that not even a database could be opened."""
        if self._held and _free(self.path) < OPENING_BYTES:
            self.release()
            logger.error("The disk is full: the reserve is given up so that the store can be opened.")

    def hold(self) -> bool:
        """Hold the space, if it is not held and there is room for it; whether it is held now or none is wanted."""
        with self._lock:
            if self._held:
                return True
            partial = self.path.with_name(f"{self.path.name}.new")
            for remnant in (self.path, partial):  # of another size, or half made
                remnant.unlink(missing_ok=True)
            if not self.size:
                return True
            if _free(self.path) < self.room:
                return False
            try:
                _fill(partial, self.size)
                partial.replace(self.path)
                sync(self.path.parent)
            except OSError as error:
                partial.unlink(missing_ok=True)
                if error.errno not in _NO_SPACE:
                    logger.exception("The reserve of the store cannot be made.")
                return False
            self._held = True
            return True


def _fill(path: Path, size: int) -> None:
    """Write zeros, not a hole: what is not written holds no space."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        if not _allocated(descriptor, size):
            for start in range(0, size, _CHUNK_BYTES):
                os.pwrite(descriptor, bytes(min(_CHUNK_BYTES, size - start)), start)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _allocated(descriptor: int, size: int) -> bool:
    """Have the file system set the space aside; whether it can do that.

    Raises:
        OSError: there is not as much.
    """
    if not hasattr(os, "posix_fallocate"):
        return False
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno in _NOT_SUPPORTED:
            return False
        raise
    return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _free(path: Path) -> int:
    """Bytes that this user may still write on the disk of a file."""
    return shutil.disk_usage(path.parent).free

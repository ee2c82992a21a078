"""Files of compiled kernels: where they may lie, and what is read from them only when its digest is right.

A compiled kernel is unpickled and then run, so nothing of a file reaches either before it has been checked: a file
that is damaged, cut off or stands in the place of another is as good as none, and the kernel is compiled again.
None is secret: what root compiled once, any user may read.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from likeness.telemetry import logs

PACKAGE = Path(__file__).parent
_PYCACHE = PACKAGE / "__pycache__"

_MAGIC = b"LKKERN1\n"
_DIGEST_BYTES = hashlib.sha256().digest_size

_logger = logging.getLogger(__name__)


def places(configured: str) -> Iterator[Path]:
    """Where kernels may lie, the best first: NUMBA_CACHE_DIR, the package's folder, the user's cache.

    Args:
        configured: the value of NUMBA_CACHE_DIR; may be empty.
    """
    if configured:
        yield Path(configured)
    yield _PYCACHE
    with contextlib.suppress(RuntimeError):  # a user without a home
        yield Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "likeness"


def digest_of_sources() -> str:
    """Names the code that kernels are compiled from: a kernel holds those that it calls, from other files too."""
    sources = b"".join(path.read_bytes() for path in sorted(PACKAGE.glob("*.py")))
    return hashlib.sha256(sources).hexdigest()[:16]


class KernelFiles:
    """Compiled kernels on disk.

    Args:
        read_from: folders that are looked into, in order.
        write_to: the folder that new kernels go to; None keeps none.
    """

    def __init__(self, read_from: Sequence[Path], write_to: Path | None) -> None:
        self._read_from = read_from
        self.write_to = write_to

    @classmethod
    def standard(cls, candidates: Iterable[Path], sources: str) -> KernelFiles:
        """Those of one state of the sources: read wherever they can be trusted, written where that is possible.

        Args:
            candidates: see `places`.
            sources: see `digest_of_sources`.
        """
        folders = [place / f"kernels-{sources}" for place in candidates]
        write_to = next((folder for folder in folders if _made_writable(folder)), None)
        if write_to is not None and write_to.parent == _PYCACHE:  # elsewhere another release may be running
            _remove_others(write_to)
        return cls([folder for folder in folders if _is_trusted(folder)], write_to)

    def read(self, key: str) -> bytes | None:
        """What was written under that key, or None where there is nothing that is right."""
        for folder in self._read_from:
            path = folder / _file_name(key)
            try:
                content = path.read_bytes()
            except OSError:
                continue
            if (payload := _payload(content, key)) is not None:
                return payload
            logs.event(_logger, logging.WARNING, "compiled kernel is damaged; compiling it again", path=path)
        return None

    def write(self, key: str, payload: bytes) -> None:
        """Keep a kernel for the next process; where that fails, it is compiled there again."""
        if self.write_to is None:
            return
        path = self.write_to / _file_name(key)
        try:
            with tempfile.NamedTemporaryFile(dir=self.write_to, delete=False) as file:
                os.fchmod(file.fileno(), 0o644)
                file.write(_MAGIC + _digest(payload, key) + payload)
            Path(file.name).replace(path)
        except OSError as error:
            logs.event(_logger, logging.WARNING, "compiled kernel cannot be written", path=path, error=error)


def _file_name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32] + ".kernel"


def _digest(payload: bytes, key: str) -> bytes:
    """Covers the key as well, so that a file is not taken for another one."""
    return hashlib.sha256(hashlib.sha256(key.encode()).digest() + payload).digest()


def _payload(content: bytes, key: str) -> bytes | None:
    start = len(_MAGIC) + _DIGEST_BYTES
    payload = content[start:]
    right = content[:start] == _MAGIC + _digest(payload, key)
    return payload if right else None


def _made_writable(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not _is_trusted(folder):
            return False
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _is_trusted(folder: Path) -> bool:
    """Whether nobody but this user and root can write to it, since what is in it is run."""
    try:
        status = folder.stat()
    except OSError:
        return False
    return status.st_uid in (os.getuid(), 0) and not status.st_mode & 0o022


def _remove_others(folder: Path) -> None:
    for other in folder.parent.glob("kernels-*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)

"""What libraries in C write to standard error becomes lines of the log.

Image libraries write bare lines about files that they dislike, and gRPC's core writes what a peer sent in its own
words, newlines included: whoever can send either could write the log. So the descriptor is taken from them. Python
writes on to where it went before: the log, and the tracebacks of a crash.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from likeness.telemetry import logs

EVERY_SECONDS = 10.0
"""Between two lines of the log about such lines."""

_STDERR = 2
_LAST_WORDS = 1.0
"""Seconds that what was written last may take; another process may hold the descriptor for ever."""

_CHUNK = 65536
_logger = logging.getLogger(__name__)


@contextmanager
def collected() -> Iterator[None]:
    """Take standard error from libraries while the block runs.

    Call `logs.configure` within. How many lines and bytes came is logged at WARNING, at most every `EVERY_SECONDS`;
    what they wrote at DEBUG alone, since it may speak of a picture's content.
    """
    sys.stderr.flush()
    ours = os.dup(_STDERR)
    reading, writing = os.pipe()
    # A library may write while it holds the interpreter's lock, which the reader needs: better to lose its words.
    os.set_blocking(writing, False)
    python, was_on = sys.stderr, faulthandler.is_enabled()
    os.dup2(writing, _STDERR)
    os.close(writing)
    sys.stderr = os.fdopen(
        os.dup(ours), "w", buffering=1, encoding=python.encoding, errors=python.errors or "backslashreplace"
    )
    faulthandler.enable(sys.stderr)
    reports = _Reports()
    reader = threading.Thread(
        target=_read, args=(reading, reports), name="likeness-standard-error", daemon=True
    )
    reader.start()
    try:
        yield
    finally:
        os.dup2(ours, _STDERR)
        os.close(ours)
        reader.join(_LAST_WORDS)
        reports.close()
        sys.stderr.flush()
        sys.stderr = python
        if was_on:
            faulthandler.enable()
        else:
            faulthandler.disable()


class _Reports:
    """Counts lines and logs of them now and then."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines = self._bytes = 0
        self._timer: threading.Timer | None = None

    def add(self, data: bytes) -> None:
        """Count what was read; the first is logged at once."""
        if _logger.isEnabledFor(logging.DEBUG):
            for line in data.splitlines():
                logs.event(_logger, logging.DEBUG, "a library wrote", line=line.decode("ascii", "replace"))
        with self._lock:
            self._lines += data.count(b"\n")
            self._bytes += len(data)
            if self._timer is None:
                self._report()

    def close(self) -> None:
        """Log what was counted since."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._write()

    def _later(self) -> None:
        with self._lock:
            self._timer = None
            if self._bytes:
                self._report()

    def _report(self) -> None:
        self._write()
        self._timer = threading.Timer(EVERY_SECONDS, self._later)
        self._timer.daemon = True
        self._timer.start()

    def _write(self) -> None:
        if self._bytes:
            logs.event(
                _logger,
                logging.WARNING,
                "libraries wrote to standard error",
                items=self._lines,
                bytes=self._bytes,
            )
        self._lines = self._bytes = 0


def _read(reading: int, reports: _Reports) -> None:
    with os.fdopen(reading, "rb", buffering=0) as source:
        while data := source.read(_CHUNK):
            reports.add(data)

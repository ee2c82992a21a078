"""Waiting for a process for as long as it is alive and moving, however slow the machine."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from likeness.cli import output

STILL_SECONDS = 120.0
"""Seconds within which a process that moves has written a line or used `MOVING_CPU_SECONDS`."""

MOVING_CPU_SECONDS = 0.5
"""Processor time in `STILL_SECONDS` under which a process does no more than wake up and sleep again."""

PAUSE = 0.1
"""Seconds between two looks."""

_T = TypeVar("_T")


class Watched:
    """A process and the file that its output goes to."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    def lines(self) -> list[str]:
        """What it has written, without empty lines."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return [line for line in text.splitlines() if line.strip()]

    def wait(self, come: Callable[[], _T | None], doing: Callable[[], str]) -> _T | None:
        """Wait until something has come, and say every few seconds what is going on.

        Args:
            come: gives what is waited for, or None.
            doing: what the process is doing, in words.

        Returns:
            What came; None where the process ended, or stood still for `STILL_SECONDS`, before it did.
        """
        with output.heartbeat(doing):
            since, written, used = time.monotonic(), self._written(), self._used()
            while True:
                ended = self.process.poll() is not None  # asked first: it may come and end in one
                if (found := come()) is not None or ended:
                    return found
                now = self._used()
                if (
                    self._written() != written
                    or used is None
                    or now is None
                    or now - used >= MOVING_CPU_SECONDS
                ):
                    since, written, used = time.monotonic(), self._written(), now
                elif time.monotonic() - since > STILL_SECONDS:
                    return None
                time.sleep(PAUSE)

    def _written(self) -> int:
        return self.log.stat().st_size

    def _used(self) -> float | None:
        """Seconds of processor time that it has used, or None where the system does not say."""
        try:
            fields = (
                Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            )
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

"""Runs pip, or another step of the set-up, and says what it does, never silent for long; needs Python alone.

Usage: python services/install.py LOG PIP-ARGUMENT ...
       python services/install.py --run WHAT-IT-DOES PROGRAM ARGUMENT ...

pip tells a lot; printed are the lines that explain a wait, and every few seconds without one what pip is busy with.
Everything is in LOG.
"""

from __future__ import annotations

import queue
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import IO

QUIET_SECONDS = 10.0
"""Seconds without a line after which one says what pip is busy with."""

SHOWN = re.compile(
    r"^ *Downloading .*\d MB|^ *Building wheel.*started|^ *Preparing metadata.*started|^Installing collected"
    r"|^ERROR|^Error|^error:|^WARNING: Retrying"
)
FAILURE_LINES = 12
"""The last lines of a command that failed, printed whatever they are."""

WIDTH = 140
"""Columns of a line; the list of what is installed is longer."""


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments say and return the exit code."""
    first, *words = arguments
    if first == "--run":
        return _run(words[1:], words[0])
    pip = [sys.executable, "-m", "pip", "install", "--progress-bar", "off", "--log", first]
    code = _run([*pip, *words], "starting pip")
    if code:
        _print(f"The installation failed; the whole story is in {first}")
    return code


def _run(command: Sequence[str], busy: str) -> int:
    began, recent = time.monotonic(), deque[str](maxlen=FAILURE_LINES)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None  # noqa: S101  it was asked for
        for line in _lines(process.stdout):
            if line is None:
                _print(f"  still {busy} ({time.monotonic() - began:.0f} s)")
                continue
            busy = line.strip() or busy
            recent.append(line)
            if SHOWN.match(line):
                _print(line)
    if process.returncode:
        for line in recent:
            _print(line)
    return process.returncode


def _lines(stream: IO[str]) -> Iterator[str | None]:
    """The lines of a stream until it ends, and None after every `QUIET_SECONDS` in which nothing was printed."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        for line in stream:
            lines.put(line.rstrip())
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    printed = time.monotonic()
    while True:
        try:
            line = lines.get(timeout=max(0.0, printed + QUIET_SECONDS - time.monotonic()))
        except queue.Empty:
            printed = time.monotonic()
            yield None
            continue
        if line is None:
            return
        if SHOWN.match(line):
            printed = time.monotonic()
        yield line


def _print(line: str) -> None:
    print(line[:WIDTH], flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

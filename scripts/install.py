"""Runs pip and says what it does, never silent for long; needs nothing but Python itself.

Usage: python scripts/install.py LOG PIP-ARGUMENT ...

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
from collections.abc import Iterator, Sequence
from typing import TextIO

QUIET_SECONDS = 10.0
"""Seconds without a line after which one says what pip is busy with."""

SHOWN = re.compile(
    r"^ *Downloading .*\d MB|^ *Building wheel.*started|^ *Preparing metadata.*started|^Installing collected"
    r"|^ERROR|^error:|^WARNING: Retrying"
)
WIDTH = 140
"""Columns of a line; the list of what is installed is longer."""


def main(arguments: Sequence[str]) -> int:
    """Run pip and return its exit code."""
    log, *words = arguments
    command = [sys.executable, "-m", "pip", "install", "--progress-bar", "off", "--log", log, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None  # noqa: S101  it was asked for
        _follow(process.stdout)
    if process.returncode:
        _print(f"The installation failed; the whole story is in {log}")
    return process.returncode


def _follow(stream: TextIO) -> None:
    began, busy = time.monotonic(), "starting pip"
    for line in _lines(stream):
        if line is None:
            _print(f"  still {busy} ({time.monotonic() - began:.0f} s)")
            continue
        busy = line.strip() or busy
        if SHOWN.match(line):
            _print(line)


def _lines(stream: TextIO) -> Iterator[str | None]:
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

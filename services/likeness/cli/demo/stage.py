"""The stage of the demonstration: a real server in a process of its own, and the command line to speak to it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from likeness.cli import output
from likeness.cli.failures import Exit, Stopped

START_TIMEOUT = 120.0
"""Seconds for a server to warm its models on a slow machine."""

STOP_TIMEOUT = 40.0
"""Seconds for it to drain; its own grace is 25."""

WIDTH = "132"
"""Columns of tables where standard output is not a terminal, so that no cell is cut."""

_SERVING = re.compile(r"serving at (\S+);")
_PROGRAM = (sys.executable, "-m", "likeness.cli")


class Section(Protocol):
    """What one modality shows."""

    @property
    def title(self) -> str:
        """Heading of its part."""

    def prepare(self) -> None:
        """Bring its samples, before the server starts."""

    def run(self, stage: Stage) -> None:
        """Enrol and search."""

    def conclude(self) -> None:
        """Say what was seen, after everything else."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A running server and the environment of the commands that speak to it."""

    environment: dict[str, str]

    def likeness(self, *words: str, allow: tuple[int, ...] = (Exit.DONE,)) -> None:
        """Run a command as a person would type it, its output shown.

        Raises:
            Stopped: it ended with an exit code that is not allowed.
        """
        shown = [word for word in words if word != "--table"]
        output.note(f"$ likeness {shlex.join(shown)}", "cyan")
        done = subprocess.run([*_PROGRAM, *words], env=self.environment, check=False)  # noqa: S603
        if done.returncode not in allow:
            raise Stopped(f"likeness {words[0]} ended with exit code {done.returncode}.", Exit.PARTLY)


@contextmanager
def serving(folder: Path) -> Iterator[Stage]:
    """A server on a free port with its data under the folder, stopped at the end.

    Raises:
        Stopped: it did not come up; its log says why.
    """
    log = folder / "server.log"
    words = ["serve", "--home", str(folder / "home"), "--address", "127.0.0.1:0", "--metrics-address", ""]
    with log.open("wb") as stream:
        server = subprocess.Popen(  # noqa: S603
            [*_PROGRAM, *words], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream
        )
    try:
        address = _address(server, log)
        output.note(f"serving at {address}; its log is {log}")
        caller = {
            "LIKENESS_SERVER": address,
            "LIKENESS_ENTITY": "NCB-DEMO",
            "LIKENESS_PURPOSE": "system_test",
            "LIKENESS_CASE": "demonstration",
        }
        output.note(f"$ export {' '.join(f'{name}={value}' for name, value in caller.items())}", "cyan")
        width = {} if sys.stdout.isatty() else {"COLUMNS": WIDTH}
        yield Stage({**os.environ, **caller, **width, "LIKENESS_STATE": str(folder / "state")})
    finally:
        _stop(server)


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + START_TIMEOUT
    while time.monotonic() < until and server.poll() is None:
        found = _SERVING.search(log.read_text(encoding="utf-8", errors="replace"))
        if found:
            return found[1]
        time.sleep(0.1)
    said = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    why = said[-1] if said else "it said nothing"
    raise Stopped(f"The server did not come up: {why}. See {log}, and run: likeness doctor", Exit.UNREACHABLE)


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()

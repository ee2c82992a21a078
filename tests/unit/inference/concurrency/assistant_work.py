"""What the assistants of the tests run; a module of its own, since another process imports it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from likeness.domain.deadline import NO_DEADLINE, Deadline

IDENTITY = "tests"


def make() -> tuple[str, Callable[[str, Deadline], tuple[int, str]]]:
    """Work whose answer names the process that did it."""
    return IDENTITY, work


def work(task: str, deadline: Deadline = NO_DEADLINE) -> tuple[int, str]:
    """`sleep:SECONDS`, `until:FILE` (is there) and `check:FILE` (its deadline passes) take their time, and the
    last two make FILE.begun; `end` ends the process, `fail` fails, `print` prints; all else is echoed."""
    if task.startswith("sleep:"):
        time.sleep(float(task.removeprefix("sleep:")))
    elif task.startswith("until:"):
        file = Path(task.removeprefix("until:"))
        begun(file).touch()
        while not file.exists():
            time.sleep(0.01)
    elif task == "end":
        os._exit(7)
    elif task == "fail":
        raise ValueError(task)
    elif task.startswith("check:"):
        begun(Path(task.removeprefix("check:"))).touch()
        while True:
            deadline.check("it was worked on")
            time.sleep(0.01)
    elif task == "print":
        sys.stdout.write("a library's chatter\n")
        sys.stdout.flush()
    return os.getpid(), task


def begun(file: Path) -> Path:
    """What tells that a task with the file is being worked on."""
    return file.with_suffix(".begun")


def broken() -> tuple[str, Callable[[str, Deadline], tuple[int, str]]]:
    """Nothing that could work."""
    raise RuntimeError("no models")

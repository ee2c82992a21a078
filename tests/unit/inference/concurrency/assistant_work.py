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


def work(task: str, _: Deadline = NO_DEADLINE) -> tuple[int, str]:
    """`sleep:SECONDS` and `until:FILE` (is there) take their time, `end` ends the process, `fail` fails,
    `print` prints; all else is echoed."""
    if task.startswith("sleep:"):
        time.sleep(float(task.removeprefix("sleep:")))
    elif task.startswith("until:"):
        while not Path(task.removeprefix("until:")).exists():
            time.sleep(0.01)
    elif task == "end":
        os._exit(7)
    elif task == "fail":
        raise ValueError(task)
    elif task == "print":
        sys.stdout.write("a library's chatter\n")
        sys.stdout.flush()
    return os.getpid(), task


def broken() -> tuple[str, Callable[[str, Deadline], tuple[int, str]]]:
    """Nothing that could work."""
    raise RuntimeError("no models")

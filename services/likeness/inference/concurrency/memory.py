"""How much memory this process may use before the kernel ends it."""

from __future__ import annotations

import math
import os
from pathlib import Path

from likeness.inference.concurrency.control_groups import groups, read

_FILES = {1: "memory.limit_in_bytes", 2: "memory.max"}


def memory_limit(root: Path = Path("/")) -> int:
    """Bytes: the least of the control groups' limits and the machine's memory.

    Args:
        root: where `proc` and `sys` are looked for.
    """
    limits = [_limit(read(group.folder / _FILES[group.version])) for group in groups(root, "memory")]
    return int(min([*limits, _machine()]))


def _limit(text: str) -> float:
    """What a control file says; version 2 writes `max` for none, version 1 a number beyond any machine."""
    return int(text) if text.strip().isdigit() and int(text) > 0 else math.inf


def _machine() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

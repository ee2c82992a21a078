"""Waiting in tests for what nothing announces."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 180.0
"""Seconds after which a test that waits for something has failed: it hangs, however busy the machine is."""


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds that nothing announces."""
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.01)

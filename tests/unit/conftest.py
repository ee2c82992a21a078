"""What unit tests of more than one package need."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from likeness.telemetry import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where log lines go."""
    root, ours = logging.getLogger(), logging.getLogger("likeness")
    before = root.handlers[:], root.level, ours.level
    made = io.StringIO()
    logs.configure("INFO", made)
    yield made
    root.handlers[:], level, our_level = before
    root.setLevel(level)
    ours.setLevel(our_level)

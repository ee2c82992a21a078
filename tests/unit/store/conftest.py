"""A real store in a folder of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from likeness.store.store import Store
from tests.unit.store.writes import open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path) as opened:
        yield opened

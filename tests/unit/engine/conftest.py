"""A real store in a temporary folder, a real index, and the small modality of `tests.support`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from likeness.store.store import Store
from likeness.testing.vectors import VectorModality
from tests.support import Bench


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "data", key_file=tmp_path / "keys.json") as opened:
        yield opened


@pytest.fixture
def bench(store: Store) -> Bench:
    return Bench(VectorModality(), store)

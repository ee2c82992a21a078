"""A real store in a folder of its own, on every backend."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from likeness.store import choice
from likeness.store.store import Store
from tests.unit.store.backends import BACKENDS, TestedBackend
from tests.unit.store.writes import act, enrol, open_store


@pytest.fixture(params=BACKENDS, ids=[backend.name for backend in BACKENDS], autouse=True)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> TestedBackend:
    """The backend of every store that a test opens."""
    tested: TestedBackend = request.param
    monkeypatch.setattr(choice, "BACKEND", tested.at)
    return tested


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path) as opened:
        yield opened


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """The folder of a store with some content."""
    with open_store(tmp_path) as store:
        store.write([enrol(i, reference_id=f"r{i}") for i in range(3)])
        store.audit(act(1))
        store.audit(act(2))
    return tmp_path

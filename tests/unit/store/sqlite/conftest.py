"""What is true of SQLite alone is tested on it alone."""

import pytest

from likeness.store import choice
from likeness.store.sqlite.backend import SQLite


@pytest.fixture(autouse=True)
def backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the backends of the other tests."""
    monkeypatch.setattr(choice, "BACKEND", SQLite)

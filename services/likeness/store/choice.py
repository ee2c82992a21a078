"""Which backend keeps a store. No other module of this package, and none above it, names one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from likeness.store.backend import Backend
from likeness.store.sqlite.backend import SQLite

BACKEND: Callable[[Path], Backend] = SQLite
"""Of every store."""


def backend_of(home: Path) -> Backend:
    """The backend of the store in a folder; nothing is touched."""
    return BACKEND(home)

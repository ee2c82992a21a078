"""The backends that the tests of the store run on, each one entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from likeness.store import choice
from likeness.store.backend import Backend
from likeness.store.sqlite.backend import SQLite
from tests.unit.store.sqlite.tampering import tampering as tampering_with_sqlite


class Database(Protocol):
    """A connection of another program: parameters are question marks, values those of Python."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Any:
        """Run a statement; returns its cursor."""

    def executescript(self, sql: str, /) -> Any:
        """Run several."""

    def create_function(self, name: str, narg: int, func: Callable[..., Any] | None, /) -> None:
        """Let statements call a function of Python by this name."""


@dataclass(frozen=True)
class TestedBackend:
    """How a store is opened on a backend, and how another program changes the database of a home."""

    name: str
    at: Callable[[Path], Backend]
    tampering: Callable[[Path], AbstractContextManager[Database]]


BACKENDS = [TestedBackend("sqlite", SQLite, tampering_with_sqlite)]


@contextmanager
def tampering(home: Path) -> Iterator[Database]:
    """Another program that changes the database in a home, whatever backend is chosen."""
    chosen = next(backend for backend in BACKENDS if backend.at is choice.BACKEND)
    with chosen.tampering(home) as database:
        yield database

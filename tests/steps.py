"""How much a store has to do, counted where no clock and no load can change it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa

from likeness.store.sealing import Seals
from likeness.store.store import Store
from tests.waiting import eventually


@dataclass
class Steps:
    """Steps of SQLite's machine, of those that read and of the one that writes; and rows whose seal was checked."""

    read: int = 0
    written: int = 0
    rows: int = 0

    @property
    def reads(self) -> tuple[int, int]:
        """What is read: steps and rows."""
        return self.read, self.rows


def settle(store: Store) -> None:
    """Wait until nothing is left to be erased, which the store does by itself."""
    eventually(lambda: store._writer._erase_at is None)


@contextmanager
def counting(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Steps]:
    """Count what a store does within the block."""
    steps = Steps()
    check = Seals.check_row

    def reading() -> int:
        steps.read += 1
        return 0

    def writing() -> int:
        steps.written += 1
        return 0

    def row(seals: Seals, row: Any) -> None:
        steps.rows += 1
        check(seals, row)

    def watch(connection: sqlite3.Connection, *_: object) -> None:
        connection.set_progress_handler(reading, 1)

    def unwatch(connection: sqlite3.Connection, *_: object) -> None:
        connection.set_progress_handler(None, 1)

    readers = store._readers
    writer = store._writer._connection.connection.dbapi_connection
    assert isinstance(writer, sqlite3.Connection)
    sa.event.listen(readers, "checkout", watch)
    sa.event.listen(readers, "checkin", unwatch)
    writer.set_progress_handler(writing, 1)
    with monkeypatch.context() as patch:
        patch.setattr(Seals, "check_row", row)
        yield steps
    writer.set_progress_handler(None, 1)
    sa.event.remove(readers, "checkout", watch)
    sa.event.remove(readers, "checkin", unwatch)

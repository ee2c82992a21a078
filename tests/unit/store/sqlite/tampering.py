"""Another program that opens the file of a store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from likeness.store.sqlite.files import DATABASE


@contextmanager
def tampering(home: Path) -> Iterator[sqlite3.Connection]:
    """A connection of the driver, what it did committed at the end."""
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        yield connection
        connection.commit()

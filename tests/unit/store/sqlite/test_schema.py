"""The tables in a file are as they have always been."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.unit.store.writes import open_store, tampering

FIRST_TABLES = "7c8377d17b1360fb29ac0e16d4b3779de893a82db3615a4060c5054fdfb45720"
"""SHA-256 of what SQLite has of the tables and indices of revision 0001, as every store before this has them."""


def test_the_first_tables_are_in_sqlite_as_they_have_always_been(tmp_path: Path) -> None:
    """Their definitions are sealed, so a store of an earlier release opens only where they are the same bytes."""
    open_store(tmp_path).close()
    with tampering(tmp_path) as database:
        rows = database.execute("SELECT sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY name").fetchall()
    assert hashlib.sha256("\n".join(sql for (sql,) in rows).encode()).hexdigest() == FIRST_TABLES

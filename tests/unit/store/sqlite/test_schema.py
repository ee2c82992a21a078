"""The tables in a file are as they have always been."""

from __future__ import annotations

import hashlib
from pathlib import Path

from likeness.store.migrate import migrate
from likeness.store.sqlite.backend import SQLite

FIRST_TABLES = "7c8377d17b1360fb29ac0e16d4b3779de893a82db3615a4060c5054fdfb45720"
"""SHA-256 of what SQLite has of the tables and indices of revision 0001, as every store of that time has them."""


def test_the_first_tables_are_in_the_file_as_they_have_always_been(tmp_path: Path) -> None:
    """Their definitions are sealed, so a store of an earlier release opens only where they are the same bytes."""
    database = SQLite(tmp_path)
    database.make()
    engine = database.writer()
    with engine.begin() as connection:
        migrate(connection, "0001")
        query = "SELECT sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY name"
        rows = connection.exec_driver_sql(query).all()
    engine.dispose()
    assert hashlib.sha256("\n".join(sql for (sql,) in rows).encode()).hexdigest() == FIRST_TABLES

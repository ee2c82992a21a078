"""The structure of the file: its application, its definitions, its pages, and what lingers in its log."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import sqlalchemy as sa

from likeness.domain.errors import Corrupt, Precondition
from likeness.store.migrate import known_revision, migrate
from likeness.store.sqlite.database import BUSY_MILLISECONDS, scalar

APPLICATION_ID = 0x4C4B4E53
"""SQLite's application_id of a Likeness store: "LKNS"."""

_DEFINITIONS = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"


def revision(connection: sa.Connection) -> str | None:
    """The revision of the tables, or None for a database without any.

    Raises:
        Precondition: the file belongs to another program, or to a newer release.
        Corrupt: the revision cannot be read.
    """
    if scalar(connection, "SELECT count(*) FROM sqlite_schema") == 0:
        return None
    application = scalar(connection, "PRAGMA application_id")
    if application != APPLICATION_ID:
        raise Precondition(
            f"The database is not a Likeness store (application id {application:#x}); point the data directory "
            "elsewhere, or restore it from a backup.",
            reason="NOT_A_STORE",
        )
    return known_revision(scalar(connection, "SELECT version_num FROM alembic_version"))


def upgrade(connection: sa.Connection) -> None:
    """Run the migrations that are missing, in the connection's transaction: all of them or none."""
    migrate(connection)
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")


def definitions(connection: sa.Connection) -> list[list[Any]]:
    """The kind, name, table and text of everything that is defined."""
    return [list(row) for row in connection.exec_driver_sql(_DEFINITIONS)]


def check_structure(connection: sa.Connection, tables: Sequence[str] = ()) -> None:
    """SQLite's own check of its pages, and of each index against its table: of some tables, or of everything.

    Raises:
        Corrupt: it finds something wrong.
    """
    for pragma in [f"integrity_check({name})" for name in tables] or ["integrity_check(1)"]:
        found = scalar(connection, f"PRAGMA {pragma}")
        if found != "ok":
            raise Corrupt(f"The database is damaged ({found}); restore it from a backup.")


def truncate_log(connection: sa.Connection) -> bool:
    """Empty the write-ahead log, where deleted bytes linger; whether it is empty, and not held by a reader."""
    with closing(connection.connection.cursor()) as cursor:
        cursor.execute("PRAGMA busy_timeout=0")  # a reader must not hold up the next commit
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        emptied = bool(cursor.fetchone() == (0, 0, 0))  # not busy, no frames left in the log, none to copy
        cursor.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
    return emptied

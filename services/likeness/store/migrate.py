"""Bringing the tables of a store to this release's revision."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from likeness.domain.errors import Corrupt, Precondition
from likeness.store.schema import APPLICATION_ID, REVISIONS
from likeness.store.sqlite.database import scalar

MIGRATIONS = Path(__file__).parent / "migrations"


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
    found = scalar(connection, "SELECT version_num FROM alembic_version")
    if isinstance(found, str) and found > REVISIONS[-1]:
        raise Precondition(
            f"The database has revision {found}, this release reads up to {REVISIONS[-1]}; start the release "
            "that wrote it, or a newer one.",
            reason="STORE_TOO_NEW",
        )
    if found not in REVISIONS:
        raise Corrupt("The database does not say its revision; restore it from a backup.")
    return str(found)


def upgrade(connection: sa.Connection) -> None:
    """Run the migrations that are missing, in the connection's transaction: all of them or none."""
    # Imported here because only the first start of a release needs it, and it takes a fifth of a second.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, REVISIONS[-1])
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")

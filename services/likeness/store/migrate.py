"""The revisions of the tables, and the migrations between them."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from likeness.domain.errors import Corrupt, Precondition
from likeness.store.schema import REVISIONS

MIGRATIONS = Path(__file__).parent / "migrations"


def known_revision(found: object) -> str:
    """The revision that a database names, if this release can read it or bring it to its own.

    Raises:
        Precondition: a newer release made it.
        Corrupt: it is no revision.
    """
    if isinstance(found, str) and found > REVISIONS[-1]:
        raise Precondition(
            f"The database has revision {found}, this release reads up to {REVISIONS[-1]}; start the release "
            "that wrote it, or a newer one.",
            reason="STORE_TOO_NEW",
        )
    if found not in REVISIONS:
        raise Corrupt("The database does not say its revision; restore it from a backup.")
    return str(found)


def migrate(connection: sa.Connection, to: str = REVISIONS[-1]) -> None:
    """Run the migrations that are missing up to a revision, in the connection's transaction: all or none."""
    # Imported here because only the first start of a release needs it, and it takes a fifth of a second.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)

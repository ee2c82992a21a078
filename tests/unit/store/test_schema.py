"""The tables and the migrations that make them: the same, for every database, and as they have always been."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import postgresql

from likeness.store.migrate import MIGRATIONS, migrate
from likeness.store.schema import REVISIONS, metadata
from likeness.store.sqlite.database import writer_engine
from tests.unit.store.writes import open_store, tampering

FIRST_TABLES = "7c8377d17b1360fb29ac0e16d4b3779de893a82db3615a4060c5054fdfb45720"
"""SHA-256 of what SQLite has of the tables and indices of revision 0001, as every store before this has them."""

NUMBERS = {
    "log": {"position", "at"},
    "reference": {"key", "review_at", "created_at", "updated_at", "position"},
    "membership": {"key"},
    "template": {"key"},
    "subject": {"key"},
    "source": {"key"},
    "audit": {"position", "at"},
    "meta": set(),
}
"""The columns that pass 2^31: positions, and microseconds at their first row."""


def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return ScriptDirectory.from_config(config)


def on_postgresql() -> dict[str, str]:
    """What the migrations run there, each CREATE TABLE by the name of its table."""
    written = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": written}
    )
    with Operations.context(context):
        for script in reversed(list(scripts().walk_revisions())):
            script.module.upgrade()
    return {found[1]: found[0] for found in re.finditer(r"CREATE TABLE (\w+) .*?;", written.getvalue(), re.S)}


@pytest.mark.parametrize("source", ["tables", "migrations"])
def test_positions_and_times_have_64_bits_on_postgresql(source: str) -> None:
    if source == "migrations":
        made = on_postgresql()
    else:
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
        made = {
            table.name: str(sa.schema.CreateTable(table).compile(dialect=dialect))
            for table in metadata.sorted_tables
        }
    assert made.keys() == NUMBERS.keys()
    for name, ddl in made.items():
        assert set(re.findall(r"(\w+) BIGINT", ddl)) == NUMBERS[name], ddl
        assert not re.search(r"INTEGER|SERIAL|ROWID", ddl), ddl


def test_the_migrations_make_what_the_tables_say(tmp_path: Path) -> None:
    engine = writer_engine(tmp_path / "new.db")
    with engine.begin() as connection:
        migrate(connection)
        context = MigrationContext.configure(connection)
        tables = sa.inspect(connection).get_table_names()
        assert compare_metadata(context, metadata) == []
    engine.dispose()
    assert set(tables) == {*metadata.tables, "alembic_version"}


def test_the_first_tables_are_in_sqlite_as_they_have_always_been(tmp_path: Path) -> None:
    """Their definitions are sealed, so a store of an earlier release opens only where they are the same bytes."""
    open_store(tmp_path).close()
    with tampering(tmp_path) as database:
        rows = database.execute("SELECT sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY name").fetchall()
    assert hashlib.sha256("\n".join(sql for (sql,) in rows).encode()).hexdigest() == FIRST_TABLES


def test_the_last_migration_is_the_revision_of_this_release() -> None:
    assert tuple(s.revision for s in scripts().walk_revisions())[::-1] == REVISIONS

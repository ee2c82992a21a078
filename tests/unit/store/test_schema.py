"""The tables and the migrations that make them: the same, for every database, and as they have always been."""

from __future__ import annotations

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

from likeness.store.choice import backend_of
from likeness.store.migrate import MIGRATIONS, migrate
from likeness.store.schema import REVISIONS, metadata

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
    database = backend_of(tmp_path)
    database.make()
    engine = database.writer()
    with engine.begin() as connection:
        migrate(connection)
        context = MigrationContext.configure(connection)
        tables = sa.inspect(connection).get_table_names()
        assert compare_metadata(context, metadata) == []
    engine.dispose()
    assert set(tables) == {*metadata.tables, "alembic_version"}


def test_the_last_migration_is_the_revision_of_this_release() -> None:
    assert tuple(s.revision for s in scripts().walk_revisions())[::-1] == REVISIONS

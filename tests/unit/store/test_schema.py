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

from likeness.domain.errors import Corrupt
from likeness.domain.storage import Derived
from likeness.store.backend import reading
from likeness.store.choice import backend_of
from likeness.store.inspection import record_schema
from likeness.store.migrate import MIGRATIONS, migrate
from likeness.store.schema import REVISIONS, audit_tree, follower, metadata, quota
from likeness.store.sealing import Seals
from likeness.store.vault import KeyRing
from likeness.store.verify import verify_store
from tests.unit.store.writes import act, enrol, expunge, open_store, tampering

NUMBERS = {
    "log": {"position", "at"},
    "reference": {"key", "review_at", "created_at", "updated_at", "position"},
    "membership": {"key"},
    "template": {"key"},
    "subject": {"key"},
    "source": {"key"},
    "audit": {"position", "at"},
    "audit_tree": {"position"},
    "meta": set(),
    "follower": {"position"},
    "quota": {"ends", "used"},
}
"""The columns that pass 2^31: positions, and microseconds at their first row."""

LATER = {"0001": (follower, audit_tree, quota), "0002": (audit_tree, quota), "0003": (quota,)}
"""The tables that came after a revision."""

UNCHANGED = sorted(NUMBERS.keys() - {"follower", "audit_tree", "quota", "meta"})
"""The tables of which later revisions leave every row as it is; `meta` has the seal of the definitions."""


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


def make_revision(folder: Path, revision: str) -> None:
    """Bring a store with content back to the tables of an earlier revision."""
    with open_store(folder) as store:
        store.write([enrol(i, reference_id=f"r{i}", source=b"image") for i in range(3)])
        store.write([expunge("r1")])
        store.audit(act(1))

        def bring_back(connection: sa.Connection) -> None:
            for table in LATER[revision]:
                table.drop(connection)
            connection.execute(sa.text("UPDATE alembic_version SET version_num = :to"), {"to": revision})
            record_schema(store._backend, connection, store._seals)

        store._writer.between_commits(bring_back)


@pytest.mark.parametrize("revision", LATER)
def test_a_store_of_an_earlier_revision_is_brought_up_with_its_data(tmp_path: Path, revision: str) -> None:
    make_revision(tmp_path, revision)
    with tampering(tmp_path) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchone() == (revision,)
        stored = [database.execute(f"SELECT * FROM {name}").fetchall() for name in UNCHANGED]  # noqa: S608
    with open_store(tmp_path) as store:
        assert store.verify(full=True).problems == ()
        assert (store.head(), store.audit_head().position) == (4, 1)
        assert store.get("r2").subject_id == "subject-2"
        assert store.followed("probes") == 0
        store.advance(Derived("probes", 0, 4))
    with tampering(tmp_path) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchone() == (REVISIONS[-1],)
        assert [database.execute(f"SELECT * FROM {name}").fetchall() for name in UNCHANGED] == stored  # noqa: S608
    with open_store(tmp_path) as store:
        assert store.followed("probes") == 4


@pytest.mark.parametrize("revision", LATER)
def test_a_store_that_waits_to_be_brought_up_can_be_checked(tmp_path: Path, revision: str) -> None:
    make_revision(tmp_path, revision)
    backend = backend_of(tmp_path / "data")
    engine = backend.readers()
    with reading(backend, engine) as connection:
        report = verify_store(backend, connection, Seals(KeyRing.load(tmp_path / "key.json")), full=True)
    engine.dispose()
    assert report.problems == ()


def test_an_older_copy_of_an_older_revision_is_refused_and_not_brought_up(tmp_path: Path) -> None:
    make_revision(tmp_path, "0001")
    with tampering(tmp_path) as database:
        database.execute("DELETE FROM audit")
    with pytest.raises(Corrupt, match="the database ends at 4 and 0"):
        open_store(tmp_path)
    with tampering(tmp_path) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)


def test_the_last_migration_is_the_revision_of_this_release() -> None:
    assert tuple(s.revision for s in scripts().walk_revisions())[::-1] == REVISIONS

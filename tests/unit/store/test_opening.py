"""What is refused at open, and that a refusal changes nothing."""

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from sqlite3 import Connection

import pytest

from likeness.domain.audit import AuditMark
from likeness.domain.errors import Corrupt, LikenessError, Precondition, Unavailable, WrongKey
from likeness.domain.storage import only
from likeness.store.store import Store
from likeness.store.vault import KeyRing
from tests.unit.store.writes import act, enrol, open_store, tampering


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """The folder of a store with some content."""
    with open_store(tmp_path) as store:
        store.write([enrol(i, reference_id=f"r{i}") for i in range(3)])
        store.audit(act(1))
        store.audit(act(2))
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    """Every stored file, but for the lock, SQLite's shared memory and an empty write-ahead log."""
    files = {path.name: path.read_bytes() for path in (folder / "data").iterdir()}
    return {name: data for name, data in files.items() if data and not name.endswith((".lock", "-shm"))}


def test_what_was_written_is_there_after_opening_again(closed: Path) -> None:
    with open_store(closed) as store:
        assert store.head() == 3
        assert store.get("r2").subject_id == "subject-2"
        assert only(store.write([enrol(9)])).position == 4
        assert store.audit(act(3)).position == 3


def test_files_are_the_owners_alone(closed: Path) -> None:
    assert stat.S_IMODE((closed / "data").stat().st_mode) == 0o700
    for path in (closed / "data").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_personal_data_is_not_stored_in_the_clear(closed: Path) -> None:
    stored = b"".join(contents(closed).values())
    # A shorter secret than four bytes would be found in ciphertext by chance now and then.
    for secret in ("subject-", "FR/1", "2024/1", "Zo\xeb", "Zo\\u00eb", "height_cm", "InterEyeDistance"):
        assert secret.encode() not in stored


def test_a_second_opening_is_refused_and_names_the_holder(closed: Path) -> None:
    with open_store(closed), pytest.raises(Precondition, match=r"in use by process \d+") as refusal:
        open_store(closed)
    assert refusal.value.reason == "STORE_IN_USE"
    open_store(closed).close()


def test_another_key_is_refused(closed: Path) -> None:
    before = contents(closed)
    KeyRing.create(closed / "other.json")
    with pytest.raises(WrongKey, match="put back the key file"):
        Store.open(closed / "data", key_file=closed / "other.json")
    assert contents(closed) == before


def test_a_missing_key_is_refused_and_not_replaced_by_a_new_one(closed: Path) -> None:
    (closed / "key.json").unlink()
    with pytest.raises(WrongKey, match="does not exist"):
        open_store(closed)
    (closed / "data" / "likeness.db").unlink()
    with pytest.raises(WrongKey, match="does not exist"):
        open_store(closed)
    assert not (closed / "key.json").exists()


def test_an_old_key_that_is_missing_is_noticed_at_open(closed: Path) -> None:
    first = KeyRing.load(closed / "key.json").active
    KeyRing.rotate(closed / "key.json")
    with open_store(closed) as store:
        assert store.get("r1").subject_id == "subject-1"
        store.write([enrol(5, reference_id="r5")])
        assert store.verify(full=True).problems == ()
    with open_store(closed) as store:
        assert len(store.tail(0)) == 4
    content = json.loads((closed / "key.json").read_text())
    del content["keys"][first]
    (closed / "key.json").write_text(json.dumps(content))
    with pytest.raises(WrongKey, match=first):
        open_store(closed)


def test_snapshots_are_sealed_under_the_same_ring(closed: Path) -> None:
    with open_store(closed) as store:
        blob = store.snapshot_seal().seal(b"index", aad=b"snapshot 1")
    with open_store(closed) as store:
        assert store.snapshot_seal().unseal(blob, aad=b"snapshot 1") == b"index"


def put_index_out_of_step(database: Connection) -> None:
    """Leave the index on owners with an entry that its table no longer has."""
    database.execute("UPDATE reference SET owner = 'DE' WHERE key = 2")
    database.commit()
    row = database.execute("SELECT * FROM sqlite_schema WHERE name = 'reference_by_owner'").fetchone()
    database.execute("PRAGMA writable_schema = ON")
    database.execute("DELETE FROM sqlite_schema WHERE name = 'reference_by_owner'")
    database.commit()
    database.execute("PRAGMA writable_schema = RESET")
    database.execute("UPDATE reference SET owner = 'FR' WHERE key = 2")
    database.execute("PRAGMA writable_schema = ON")
    database.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", row)
    database.commit()
    database.execute("PRAGMA writable_schema = RESET")


Damage = Callable[[Connection], object]
REFUSALS: dict[str, tuple[Damage, type[LikenessError], str]] = {
    "newer release": (
        lambda db: db.execute("UPDATE alembic_version SET version_num = '0999'"),
        Precondition,
        "has revision 0999",
    ),
    "unknown revision": (
        lambda db: db.execute("UPDATE alembic_version SET version_num = '0000x'"),
        Corrupt,
        "revision",
    ),
    "another program's file": (lambda db: db.execute("PRAGMA application_id = 1"), Precondition, "0x1"),
    "a trigger put in": (
        lambda db: db.execute("CREATE TRIGGER t AFTER INSERT ON log BEGIN DELETE FROM audit; END"),
        Corrupt,
        "definitions",
    ),
    "an index taken out": (lambda db: db.execute("DROP INDEX reference_by_owner"), Corrupt, "definitions"),
    "an index out of step": (put_index_out_of_step, Corrupt, "missing from index reference_by_owner"),
    "a definition that is not text": (
        lambda db: db.executescript(
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = "
            "CAST('CREATE INDEX reference_by_owner ON ' || x'e3' || 'x (owner)' AS TEXT) "
            "WHERE name = 'reference_by_owner'"
        ),
        Corrupt,
        "definitions",
    ),
    "a table taken out": (lambda db: db.execute("DROP TABLE meta"), Corrupt, "damaged"),
    "keys off record": (lambda db: db.execute("DELETE FROM meta WHERE name <> 'schema'"), Corrupt, "keys"),
    "a key's record changed": (
        lambda db: db.execute("UPDATE meta SET name = 'check:00' WHERE name <> 'schema'"),
        Corrupt,
        "check:00",
    ),
    "the newest entries gone": (
        lambda db: db.executescript(
            "DELETE FROM log WHERE position > 1; DELETE FROM reference WHERE key > 1"
        ),
        Corrupt,
        "up to log position 3 .* ends at 1",
    ),
    "the newest act gone": (lambda db: db.execute("DELETE FROM audit"), Corrupt, "audit entry 2"),
    "the last act changed": (
        lambda db: db.execute("UPDATE audit SET at = at + 1 WHERE position = 2"),
        Corrupt,
        "Audit entry 2",
    ),
    "an entry changed": (lambda db: db.execute("UPDATE log SET entity = 'XX'"), Corrupt, "Log entry 1"),
}


@pytest.mark.parametrize(("damage", "error", "words"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_says_why_and_changes_nothing(
    closed: Path, damage: Damage, error: type[LikenessError], words: str
) -> None:
    with tampering(closed) as database:
        damage(database)
    before = contents(closed)
    with pytest.raises(error, match=words):
        open_store(closed)
    assert contents(closed) == before
    with pytest.raises(error, match=words):
        open_store(closed)


def test_a_lost_database_is_not_replaced_by_an_empty_one(closed: Path) -> None:
    (closed / "data" / "likeness.db").unlink()
    with pytest.raises(Corrupt, match="up to log position 3 and audit entry 2; the database ends at 0"):
        open_store(closed)


def test_an_older_copy_is_refused_until_it_is_accepted(closed: Path) -> None:
    database = closed / "data" / "likeness.db"
    shutil.copy(database, closed / "backup.db")
    with open_store(closed) as store:
        store.write([enrol(7)])
    shutil.copy(closed / "backup.db", database)
    with pytest.raises(
        Corrupt, match=r"remove .*likeness\.head, and start once with .* audit\.expected_head"
    ):
        open_store(closed)
    (closed / "data" / "likeness.head").unlink()
    with pytest.raises(Corrupt, match="missing next to a database of 3 log entries and 2 audit entries"):
        open_store(closed)
    with open_store(closed, audit_end(closed)) as store:
        assert store.head() == 3
    with open_store(closed) as store:  # once: the witness is there again
        assert store.head() == 3


def audit_end(folder: Path) -> AuditMark:
    """The last audit entry of a closed store."""
    with tampering(folder) as database:
        query = "SELECT position, digest FROM audit ORDER BY position DESC LIMIT 1"
        return AuditMark(*database.execute(query).fetchone())


def test_an_act_taken_out_together_with_the_witness_is_noticed(closed: Path) -> None:
    noted = audit_end(closed)
    with tampering(closed) as database:
        database.execute("DELETE FROM audit WHERE position = 2")
    (closed / "data" / "likeness.head").unlink()
    before = contents(closed)
    with pytest.raises(Corrupt, match="is missing next to") as refusal:
        open_store(closed)
    assert refusal.value.reason == "WITNESS_MISSING"
    with pytest.raises(Corrupt, match="missing next to"):
        open_store(closed, noted)
    assert contents(closed) == before


def test_an_older_copy_of_everything_is_noticed_by_the_entry_that_is_expected(closed: Path) -> None:
    shutil.copytree(closed, closed / "older")
    with open_store(closed) as store:
        store.audit(act(3))
        head = store.audit_head()
    noted = AuditMark(head.position, head.digest)
    open_store(closed / "older").close()  # from within it cannot be noticed
    with pytest.raises(Corrupt, match="has 2 entries and ends before it") as refusal:
        open_store(closed / "older", noted)
    assert refusal.value.reason == "AUDIT_HEAD_MISSING"
    with pytest.raises(Corrupt, match="has another entry in its place"):
        open_store(closed, AuditMark(1, noted.digest))
    open_store(closed, noted).close()
    with open_store(closed, audit_end(closed / "older")) as store:
        store.audit(act(4))


def test_a_store_that_holds_nothing_is_not_served_where_an_entry_is_expected(tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match="is expected, and the database is empty"):
        open_store(tmp_path, AuditMark(1, bytes(32)))
    open_store(tmp_path, AuditMark(0, bytes(32))).close()


@pytest.mark.parametrize("gone", [["likeness.db"], ["likeness.db", "likeness.head"]])
@pytest.mark.parametrize("remnant", ["likeness.db-wal", "snapshots/face/0001.snapshot"])
def test_an_emptied_folder_is_not_served_as_a_new_store(closed: Path, gone: list[str], remnant: str) -> None:
    data = closed / "data"
    (data / remnant).parent.mkdir(parents=True, exist_ok=True)
    (data / remnant).write_bytes(b"something")
    for name in gone:
        (data / name).unlink()
    for empty in (False, True):
        if empty:
            (data / "likeness.db").touch()
        with pytest.raises(Corrupt, match=f"{remnant} shows that there was one") as refusal:
            open_store(closed)
        assert refusal.value.reason == "DATABASE_MISSING"


def test_a_first_start_with_a_key_ring_made_before_it_is_served_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    KeyRing.create(tmp_path / "key.json")
    open_store(tmp_path).close()
    assert "A key ring is there and no database" in caplog.text


def test_a_key_ring_older_than_the_witness_is_named(closed: Path) -> None:
    shutil.copy(closed / "data" / "likeness.db", closed / "older.db")
    shutil.copy(closed / "key.json", closed / "older.json")
    newer = KeyRing.rotate(closed / "key.json").active
    with open_store(closed) as store:
        store.audit(act(3))
        store.audit(act(4))
    shutil.copy(closed / "older.db", closed / "data" / "likeness.db")
    shutil.copy(closed / "older.json", closed / "key.json")
    with pytest.raises(WrongKey, match=f"sealed with key {newer}.* the ring is older than the data"):
        open_store(closed)


def test_the_witness_is_durable_before_the_first_entry(tmp_path: Path) -> None:
    with open_store(tmp_path):
        assert (tmp_path / "data" / "likeness.head").stat().st_size > 0
    (tmp_path / "data" / "likeness.head").unlink()  # without entries there is nothing to lose
    open_store(tmp_path).close()


def test_a_witness_that_cannot_be_made_is_a_refusal(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    (tmp_path / "data" / "likeness.head").unlink()
    (tmp_path / "data" / "likeness.head").symlink_to(tmp_path / "nowhere" / "head")
    with pytest.raises(Unavailable, match="cannot be written"):
        open_store(tmp_path)


def test_a_data_directory_that_cannot_be_made_is_a_clear_refusal(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(LikenessError, match="cannot be made"):
        open_store(tmp_path)


def test_verify_counts_what_it_checked(closed: Path) -> None:
    with open_store(closed) as store:
        report = store.verify(full=True)
        assert (report.ok, report.log_entries, report.references, report.audit_entries) == (True, 3, 3, 2)
        assert store.verify().references == 0


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit SET at = at + 1 WHERE position = 1",
        "DELETE FROM membership WHERE key = 2",
        "DELETE FROM subject WHERE key = 2",
        "DELETE FROM reference WHERE key = 2",
        "UPDATE reference SET reason = x'00' WHERE key = 2",
    ],
)
def test_a_full_check_finds_what_reading_would(closed: Path, sql: str) -> None:
    with tampering(closed) as database:
        database.execute(sql)
    with open_store(closed) as store:
        assert store.verify().ok
        report = store.verify(full=True)
        assert len(report.problems) == 1
        assert "restore" in report.problems[0]

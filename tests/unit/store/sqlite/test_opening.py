"""Files that are missing, older or changed, and who may read them."""

import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from sqlite3 import Connection

import pytest

from likeness.domain.audit import AuditMark
from likeness.domain.errors import Corrupt, LikenessError, Precondition, WrongKey
from likeness.store.store import Store
from likeness.store.vault import KeyRing
from tests.unit.store.writes import (
    Damage,
    act,
    assert_refused_unchanged,
    audit_end,
    contents,
    enrol,
    open_store,
)


def test_files_are_the_owners_alone(closed: Path) -> None:
    assert stat.S_IMODE((closed / "data").stat().st_mode) == 0o700
    for path in (closed / "data").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_personal_data_is_not_stored_in_the_clear(closed: Path) -> None:
    stored = b"".join(contents(closed).values())
    # A shorter secret than four bytes would be found in ciphertext by chance now and then.
    for secret in ("subject-", "FR/1", "2024/1", "Zo\xeb", "Zo\\u00eb", "height_cm", "InterEyeDistance"):
        assert secret.encode() not in stored


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


DAMAGES: dict[str, tuple[Callable[[Connection], object], type[LikenessError], str]] = {
    "another program's file": (lambda db: db.execute("PRAGMA application_id = 1"), Precondition, "0x1"),
    "a trigger put in": (
        lambda db: db.execute("CREATE TRIGGER t AFTER INSERT ON log BEGIN DELETE FROM audit; END"),
        Corrupt,
        "definitions",
    ),
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
}


@pytest.mark.parametrize(("damage", "error", "words"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_file_that_another_program_changed_is_refused_unchanged(
    closed: Path, damage: Damage, error: type[LikenessError], words: str
) -> None:
    assert_refused_unchanged(closed, damage, error, words)


def test_a_lost_database_is_not_replaced_by_an_empty_one(closed: Path) -> None:
    (closed / "data" / "likeness.db").unlink()
    with pytest.raises(
        Corrupt, match="up to log position 3 and audit entry 2; the database ends at 0"
    ) as refusal:
        open_store(closed)
    assert refusal.value.reason == "DATABASE_BEHIND"


def test_an_older_copy_is_refused_until_it_is_accepted(closed: Path) -> None:
    database = closed / "data" / "likeness.db"
    shutil.copy(database, closed / "backup.db")
    with open_store(closed) as store:
        store.write([enrol(7)])
    shutil.copy(closed / "backup.db", database)
    with pytest.raises(
        Corrupt, match=r"remove .*likeness\.head, and start once with .* audit\.expected_head"
    ) as refusal:
        open_store(closed)
    assert refusal.value.reason == "DATABASE_BEHIND"
    (closed / "data" / "likeness.head").unlink()
    with pytest.raises(Corrupt, match="missing next to a database of 3 log entries and 2 audit entries"):
        open_store(closed)
    with open_store(closed, audit_end(closed)) as store:
        assert store.head() == 3
    with open_store(closed) as store:  # once: the witness is there again
        assert store.head() == 3


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

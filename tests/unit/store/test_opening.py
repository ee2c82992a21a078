"""What is refused at open, and that a refusal changes nothing."""

import json
from pathlib import Path

import pytest

from likeness.domain.audit import AuditMark
from likeness.domain.errors import Corrupt, LikenessError, Precondition, Unavailable, WrongKey
from likeness.domain.storage import only
from likeness.store.vault import KeyRing
from tests.unit.store.writes import (
    Damage,
    act,
    assert_refused_unchanged,
    audit_end,
    contents,
    enrol,
    open_store,
    tampering,
)


def test_what_was_written_is_there_after_opening_again(closed: Path) -> None:
    with open_store(closed) as store:
        assert store.head() == 3
        assert store.get("r2").subject_id == "subject-2"
        assert only(store.write([enrol(9)])).position == 4
        assert store.audit(act(3)).position == 3


def test_a_second_opening_is_refused_and_names_the_holder(closed: Path) -> None:
    with open_store(closed), pytest.raises(Precondition, match=r"in use by process \d+") as refusal:
        open_store(closed)
    assert refusal.value.reason == "STORE_IN_USE"
    open_store(closed).close()


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
    "an index taken out": (lambda db: db.execute("DROP INDEX reference_by_owner"), Corrupt, "definitions"),
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
    assert_refused_unchanged(closed, damage, error, words)


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


def test_a_store_that_holds_nothing_is_not_served_where_an_entry_is_expected(tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match="is expected, and the database is empty"):
        open_store(tmp_path, AuditMark(1, bytes(32)))
    open_store(tmp_path, AuditMark(0, bytes(32))).close()


def test_a_first_start_with_a_key_ring_made_before_it_is_served_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    KeyRing.create(tmp_path / "key.json")
    open_store(tmp_path).close()
    assert "A key ring is there and no database" in caplog.text


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
        assert report.problems
        assert "restore" in report.problems[0]

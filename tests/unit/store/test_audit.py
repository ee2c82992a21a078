"""The audit chain: checked here by an independent reading of its definition."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from likeness.domain.audit import AuditMark
from likeness.domain.errors import Corrupt, InvalidInput
from likeness.store.store import Store
from tests.unit.store.backends import Database
from tests.unit.store.writes import Damage, act, open_store, tampering


def rechain(database: Database) -> bytes:
    """Compute the chain as the documentation defines it, write it, and return its end."""
    digest = bytes(32)
    rows = database.execute("SELECT position, at, body FROM audit ORDER BY position").fetchall()
    for position, at, body in rows:
        digest = hashlib.sha256(digest + position.to_bytes(8, "big") + at.to_bytes(8, "big") + body).digest()
        database.execute("UPDATE audit SET digest = ? WHERE position = ?", (digest, position))
    return digest


def test_entries_come_back_as_they_were_put(store: Store) -> None:
    entries = [replace(act(i, nested={"list": [1, 2.5, None, "ü"]}), searched=i) for i in range(5)]
    receipts = [store.audit(entry) for entry in entries]
    assert [r.position for r in receipts] == [1, 2, 3, 4, 5]
    records = store.audit_entries()
    assert [r.entry for r in records] == entries
    assert [r.digest for r in records] == [r.digest for r in receipts]
    assert [r.position for r in store.audit_entries(2, 2)] == [3, 4]
    assert store.audit_entries(5) == []
    assert store.audit_head() == receipts[-1]


def test_the_chain_is_what_its_definition_says_and_needs_no_key(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        assert store.audit_head().position == 0
        for i in range(3):
            end = store.audit(act(i))
    with tampering(tmp_path) as database:
        assert rechain(database) == end.digest


def test_bodies_are_sealed(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.audit(act(1))
    with tampering(tmp_path) as database:
        (stored,) = database.execute("SELECT body FROM audit").fetchone()
    for secret in (b"case-1", b"officer", b"reference-1"):
        assert secret not in stored


def test_an_intact_chain_verifies_whole_and_in_part(store: Store) -> None:
    receipts = [store.audit(act(i)) for i in range(4)]
    for first, last in ((1, None), (1, 4), (2, 3), (4, 4)):
        report = store.verify_audit(first, last)
        assert report.ok
        assert (report.first, report.last) == (first, last or 4)
        assert report.digest == receipts[report.last - 1].digest


DAMAGES: dict[str, tuple[Damage, int]] = {
    "body": (
        lambda db: db.execute("UPDATE audit SET body = CAST(body || x'00' AS BLOB) WHERE position = 2"),
        1,
    ),
    "time": (lambda db: db.execute("UPDATE audit SET at = at + 1 WHERE position = 2"), 1),
    "time of another type": (lambda db: db.execute("UPDATE audit SET at = 'x' WHERE position = 2"), 1),
    "taken out": (lambda db: db.execute("DELETE FROM audit WHERE position = 2"), 1),
    "digest": (lambda db: db.execute("UPDATE audit SET digest = zeroblob(32) WHERE position = 2"), 1),
}


@pytest.mark.parametrize(("damage", "sound"), DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_breaks_the_chain_where_it_is(tmp_path: Path, damage: Damage, sound: int) -> None:
    with open_store(tmp_path) as store:
        for i in range(4):
            store.audit(act(i))
    with tampering(tmp_path) as database:
        damage(database)
    with open_store(tmp_path) as store:
        report = store.verify_audit()
        assert (report.ok, report.last) == (False, sound)
        assert "Audit entry 2" in report.problems[0]
        with pytest.raises(Corrupt, match="Audit entry 2"):
            store.audit_entries()
        assert not store.verify(full=True).ok


def test_a_recomputed_chain_without_one_entry_does_not_open(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for i in range(4):
            store.audit(act(i))
    with tampering(tmp_path) as database:
        database.execute("DELETE FROM audit WHERE position = 2")
        database.execute("UPDATE audit SET position = position - 1 WHERE position > 2")
        rechain(database)
    with pytest.raises(Corrupt, match="another history"):
        open_store(tmp_path)
    (tmp_path / "data" / "likeness.head").unlink()
    with tampering(tmp_path) as database:
        query = "SELECT position, digest FROM audit ORDER BY position DESC LIMIT 1"
        end = AuditMark(*database.execute(query).fetchone())
    with pytest.raises(Corrupt, match="tree over the audit has 4 entries and the chain 3"):
        open_store(tmp_path, end)
    with tampering(tmp_path) as database:
        database.execute("DELETE FROM audit_tree")
    with pytest.raises(Corrupt, match="entry 2"):  # it does not open when the tree is to be made again
        open_store(tmp_path, end)


def test_an_entry_that_is_not_json_or_too_long_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInput, match="cannot be stored"):
        store.audit(act(1, value=float("nan")))
    with pytest.raises(InvalidInput, match="fewer candidates"):
        store.audit(act(1, value="x" * 5_000_000))
    assert store.audit_head().position == 0


def test_a_probe_digest_is_keyed_and_stable(tmp_path: Path) -> None:
    with open_store(tmp_path / "a") as store:
        first = store.probe_digest(b"image")
        assert first != store.probe_digest(b"other")
        assert hashlib.sha256(b"image").hexdigest() not in first
    with open_store(tmp_path / "a") as store:
        assert store.probe_digest(b"image") == first
    with open_store(tmp_path / "b") as store:
        assert store.probe_digest(b"image") != first

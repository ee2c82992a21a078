"""The Merkle tree over the audit as it is stored, checked here by an independent reading of its definition."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from likeness.domain.errors import Corrupt, NotFound
from likeness.store.audit import encode_entry
from likeness.store.planting import disclose
from likeness.store.sealing import Seals
from likeness.store.store import Store
from likeness.store.tree import check_tree, tree_edge, tree_reader
from likeness.store.vault import KeyRing, KeyUse
from likeness.transparency.disclosure import Disclosure
from likeness.transparency.merkle import check_inclusion, inclusion_proof
from tests.unit.store.backends import Database
from tests.unit.store.writes import Damage, act, enrol, open_store, tampering


def root_by_definition(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1."""
    if len(leaves) < 2:
        return hashlib.sha256(b"\x00" + leaves[0] if leaves else b"").digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + root_by_definition(leaves[:k]) + root_by_definition(leaves[k:])).digest()


def records(folder: Path) -> list[bytes]:
    """The records of a closed store's entries, as the documentation defines them."""
    ring = KeyRing.load(folder / "key.json")
    found = []
    with open_store(folder) as store:
        bodies = [encode_entry(record.entry) for record in store.audit_entries(limit=10_000)]
    with tampering(folder) as database:
        rows = database.execute("SELECT position, at, body, digest FROM audit ORDER BY position").fetchall()
    for (position, at, sealed, digest), body in zip(rows, bodies, strict=True):
        subkey = ring.subkey(sealed[1:9].hex(), KeyUse.AUDIT)
        salts = hmac.new(subkey, b"likeness/1/audit-salts", hashlib.sha256).digest()
        salt = hmac.new(salts, digest, hashlib.sha256).digest()
        commitment = hashlib.sha256(salt + body).digest()
        found.append(position.to_bytes(8, "big") + at.to_bytes(8, "big") + digest + commitment)
    return found


def root(store: Store) -> tuple[int, bytes]:
    with store._reading() as connection:
        edge = tree_edge(connection)
    return edge.size, edge.root()


def shown(store: Store, position: int) -> Disclosure:
    with store._reading() as connection:
        return disclose(connection, store._seals, position)


def fill(store: Store, entries: int = 7) -> None:
    """Entries that come alone, with a write, and in one group."""
    for i in range(entries - 4):
        store.audit(act(i))
    store.write([replace(enrol(i), audit=act(i)) for i in range(2)])
    threads = [threading.Thread(target=store.audit, args=(act(i),)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_the_tree_is_what_its_definition_says(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        assert root(store) == (0, hashlib.sha256(b"").digest())
        fill(store)
        stored = root(store)
    assert stored == (7, root_by_definition(records(tmp_path)))


def test_an_entry_is_proved_by_what_is_shown_of_it_alone(store: Store) -> None:
    fill(store)
    size, top = root(store)
    for position in range(1, size + 1):
        found = shown(store, position)
        assert Disclosure.decode(position, found.encode()) == found
        with store._reading() as connection:
            proof = inclusion_proof(position - 1, size, tree_reader(connection))
        check_inclusion(found.leaf, position - 1, size, top, proof)
        with pytest.raises(Corrupt):
            check_inclusion(replace(found, body=found.body + b" ").leaf, position - 1, size, top, proof)
    assert b"case-1" in shown(store, 2).body
    for position in (0, size + 1):
        with pytest.raises(NotFound):
            shown(store, position)


def test_it_goes_on_after_a_restart_and_is_checked(tmp_path: Path) -> None:
    for _ in range(3):
        with open_store(tmp_path) as store:
            fill(store, 5)
            assert store.verify(full=True).problems == ()
            stored = root(store)
    assert stored == (15, root_by_definition(records(tmp_path)))


@pytest.mark.parametrize("first", [0, 3, 6])
def test_what_it_lacks_is_made_again_and_the_same(tmp_path: Path, first: int) -> None:
    with open_store(tmp_path) as store:
        fill(store)
        before = root(store)
    with tampering(tmp_path) as database:
        database.execute("DELETE FROM audit_tree WHERE position > ?", (first,))
    with open_store(tmp_path) as store:
        assert root(store) == before
        assert store.verify(full=True).problems == ()


def test_it_stays_as_it_is_when_keys_are_rotated_and_retired(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        fill(store)
        old, first = root(store), shown(store, 1)
    KeyRing.rotate(tmp_path / "key.json")
    with open_store(tmp_path) as store:
        store.reseal()
        (gone,) = KeyRing.load(tmp_path / "key.json").ids - {store.active_key}
    KeyRing.remove(tmp_path / "key.json", gone)
    with open_store(tmp_path) as store:
        assert (root(store), shown(store, 1)) == (old, first)
        store.audit(act(1))
        assert store.verify(full=True).problems == ()
    with tampering(tmp_path) as database:
        database.execute("DELETE FROM audit_tree")
    with open_store(tmp_path) as store:
        assert (root(store)[0], shown(store, 1)) == (8, first)
        assert store.verify(full=True).problems == ()


def spoilt(column: str, position: int) -> Damage:
    def damage(database: Database) -> object:
        query = f"UPDATE audit_tree SET {column} = zeroblob(32) WHERE position = ?"  # noqa: S608
        return database.execute(query, (position,))

    return damage


DAMAGES: dict[str, tuple[Damage, str]] = {
    "hashes": (spoilt("hashes", 2), "at entry 2"),
    "commitment": (spoilt("commitment", 3), "at entry 3"),
    "commitment of another type": (
        lambda db: db.execute("UPDATE audit_tree SET commitment = 7 WHERE position = 3"),
        "at entry 3",
    ),
    "short hashes": (
        lambda db: db.execute("UPDATE audit_tree SET hashes = x'00' WHERE position = 5"),
        "at entry 5",
    ),
    "row taken out": (lambda db: db.execute("DELETE FROM audit_tree WHERE position = 3"), "at entry 3"),
}


@pytest.mark.parametrize(("damage", "words"), DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_is_found_without_a_key(tmp_path: Path, damage: Damage, words: str) -> None:
    with open_store(tmp_path) as store:
        fill(store)
    with tampering(tmp_path) as database:
        damage(database)
    with open_store(tmp_path) as store:
        with store._reading() as connection, pytest.raises(Corrupt, match=words):
            check_tree(connection, 0, 7)
        assert [p for p in store.verify(full=True).problems if words in p]


def test_a_commitment_to_something_else_is_found_with_the_keys(tmp_path: Path) -> None:
    """Whoever can write and lacks the keys can make a tree that agrees with the chain, and no more."""
    with open_store(tmp_path) as store:
        store.audit(act(1))
    with tampering(tmp_path) as database:
        position, at, digest = database.execute("SELECT position, at, digest FROM audit").fetchone()
        record = position.to_bytes(8, "big") + at.to_bytes(8, "big") + digest + bytes(32)
        made = (bytes(32), hashlib.sha256(b"\x00" + record).digest())
        database.execute("UPDATE audit_tree SET commitment = ?, hashes = ?", made)
    with open_store(tmp_path) as store:
        with store._reading() as connection:
            check_tree(connection, 0, 1)
        assert "does not hold what entry 1 says" in store.verify(full=True).problems[0]


@pytest.mark.parametrize(
    "damage",
    [
        spoilt("hashes", 7),
        spoilt("hashes", 4),
        spoilt("commitment", 7),
        lambda db: db.execute("INSERT INTO audit_tree VALUES (8, zeroblob(32), zeroblob(128))"),
    ],
    ids=["hashes", "hashes of the edge", "commitment", "longer than the chain"],
)
def test_a_tree_that_does_not_end_as_the_chain_is_not_built_on(tmp_path: Path, damage: Damage) -> None:
    with open_store(tmp_path) as store:
        fill(store)
    with tampering(tmp_path) as database:
        damage(database)
    with pytest.raises(Corrupt, match="tree over the audit"):
        open_store(tmp_path)


def test_neighbours_of_a_shown_entry_cannot_be_tried_out(tmp_path: Path) -> None:
    """The salt of one entry says nothing of another's, and is not stored."""
    with open_store(tmp_path) as store:
        store.audit(act(1))
        store.audit(act(1))
        first, second = shown(store, 1), shown(store, 2)
        seals: Seals = store._seals
        assert first.body == second.body
        assert first.salt != second.salt
    with tampering(tmp_path) as database:
        rows = database.execute("SELECT commitment, hashes FROM audit_tree").fetchall()
    assert rows[0][0] != rows[1][0]
    assert not [row for row in rows if first.salt in row[0] + row[1] or second.salt in row[0] + row[1]]
    assert seals.audit_salt(b"\x01" + bytes.fromhex(seals.ring.active), first.digest) == first.salt

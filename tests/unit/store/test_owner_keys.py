"""The tree of owners' keys."""

import secrets
from pathlib import Path

import pytest

from likeness.domain.errors import Corrupt, Precondition
from likeness.store.owner_keys import DEPTH, LEAF_BYTES, OwnerKeys, leaf_of
from likeness.store.vault import KeyRing


def test_every_owner_has_a_key_of_its_own() -> None:
    keys = OwnerKeys.fresh()
    found = {keys.key(leaf_of(f"NCB-{i}")) for i in range(200)}
    assert len(found) == 200
    assert keys.key(leaf_of("NCB-1")) == keys.key(leaf_of("NCB-1"))
    assert OwnerKeys.fresh().key(leaf_of("NCB-1")) not in found


def test_an_erased_key_is_gone_and_every_other_is_what_it_was() -> None:
    keys = OwnerKeys.fresh()
    leaves = [leaf_of(f"NCB-{i}") for i in range(50)]
    neighbours = [bytes(LEAF_BYTES), bytes(LEAF_BYTES - 1) + b"\x01", b"\xff" * LEAF_BYTES]
    before = {leaf: keys.key(leaf) for leaf in [*leaves, *neighbours]}
    for number, leaf in enumerate([*leaves[:10], neighbours[0]], start=1):
        keys = keys.without(leaf)
        assert keys.key(leaf) is None
        assert len(keys.nodes) <= number * DEPTH
        before.pop(leaf)
        assert {other: keys.key(other) for other in before} == before


def test_what_is_left_holds_no_seed_on_the_way_to_an_erased_key() -> None:
    """The nodes cover every leaf but the erased ones, each once; none is above an erased leaf."""
    keys, erased = OwnerKeys.fresh(), [secrets.token_bytes(LEAF_BYTES) for _ in range(8)]
    for leaf in erased:
        keys = keys.without(leaf)
    covered = sum(1 << (DEPTH - depth) for depth, _ in keys.nodes)
    assert covered == (1 << DEPTH) - len(erased)
    for leaf in erased:
        number = int.from_bytes(leaf, "big")
        assert not any(number >> (DEPTH - depth) == way for depth, way in keys.nodes)


def test_to_erase_a_key_twice_changes_nothing_more() -> None:
    keys = OwnerKeys.fresh().without(leaf_of("NCB-1"))
    assert keys.without(leaf_of("NCB-1")) == keys


def test_an_exit_replaces_the_secret_of_snapshots() -> None:
    keys = OwnerKeys.fresh()
    after = keys.without(leaf_of("NCB-1"))
    assert (after.snapshots == keys.snapshots, after.snapshots_mark == keys.snapshots_mark) == (False, False)


def test_the_text_says_the_same_and_no_changed_digit_passes() -> None:
    keys = OwnerKeys.fresh().without(leaf_of("NCB-1"))
    text = keys.to_hex("0123456789abcdef")
    assert OwnerKeys.from_hex("0123456789abcdef", text) == keys
    for place in range(0, len(text), 7):
        changed = f"{text[:place]}{'0' if text[place] != '0' else '1'}{text[place + 1 :]}"
        with pytest.raises(Corrupt, match="restore"):
            OwnerKeys.from_hex("0123456789abcdef", changed)


@pytest.mark.parametrize("text", ["", "00", "xyz", "00" * 40, "ab" * 100])
def test_what_is_no_tree_is_refused(text: str) -> None:
    with pytest.raises(Corrupt, match="damaged"):
        OwnerKeys.from_hex("0123456789abcdef", text)
    with pytest.raises(Corrupt, match="damaged"):
        OwnerKeys.from_hex("another", OwnerKeys.fresh().to_hex("0123456789abcdef"))


def test_the_ring_without_an_owner_is_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    before = KeyRing.create(path)
    assert KeyRing.erase_owner(path, "NCB-1")
    assert not KeyRing.erase_owner(path, "NCB-1")
    after = KeyRing.load(path)
    keys, former = after.owners[after.active], before.owners[before.active]
    assert (after.ids, after.active) == (before.ids, before.active)
    assert keys.key(leaf_of("NCB-1")) is None
    assert keys.key(leaf_of("NCB-2")) == former.key(leaf_of("NCB-2"))
    assert path.stat().st_size < 7_000


def test_the_root_of_the_tree_is_not_in_the_file_after_an_exit(tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    ring = KeyRing.create(path)
    root, secret = ring.owners[ring.active].nodes[0, 0].hex(), ring.owners[ring.active].snapshots.hex()
    assert root in path.read_text()
    KeyRing.erase_owner(path, "NCB-1")
    assert root not in path.read_text()
    assert secret not in path.read_text()
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_of_an_older_release_has_no_owners_until_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    made = KeyRing.create(path)
    older = KeyRing(made._keys, made.active, made.created)
    path.write_bytes(older.to_json())
    assert b'"version": 1' in path.read_bytes()
    with pytest.raises(Precondition, match="keys rotate"):
        KeyRing.erase_owner(path, "NCB-1")
    KeyRing.rotate(path)
    assert b'"version": 2' in path.read_bytes()
    assert KeyRing.load(path).without_owners == [older.active]
    assert KeyRing.erase_owner(path, "NCB-1")

"""The Merkle tree, against the definitions of RFC 6962 and the test data of Certificate Transparency."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.domain.errors import Corrupt
from likeness.transparency.merkle import (
    EMPTY_ROOT,
    MAX_SIZE,
    Edge,
    HashReader,
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    stored_bytes,
    stored_place,
)

LEAVES = [
    bytes.fromhex(h)
    for h in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
"""The entries of the test data of github.com/google/certificate-transparency (merkletree/merkle_tree_test.cc)."""

ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Their roots, of the first entry, the first two, and so on."""

INCLUSION = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
"""Proofs of inclusion by index and size, from the same data."""

CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
"""Proofs of consistency by the two sizes, from the same data."""

LARGEST = 200


class Tree:
    """A tree as it is stored: what is written with each entry."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.edge = Edge()
        self.rows: list[bytes] = []
        for leaf in leaves:
            self.edge, ended = self.edge.append(leaf_hash(leaf))
            self.rows.append(ended)

    def read(self, level: int, index: int) -> bytes:
        position, place = stored_place(level, index)
        return self.rows[position - 1][place]


def mth(leaves: Sequence[bytes]) -> bytes:
    """MTH as section 2.1 of the RFC writes it."""
    if len(leaves) < 2:
        return hashlib.sha256(b"\x00" + leaves[0] if leaves else b"").digest()
    k = split(len(leaves))
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH as section 2.1.1 writes it."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: Sequence[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF as section 2.1.2 writes it."""
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def split(size: int) -> int:
    k = 1
    while 2 * k < size:
        k *= 2
    return k


ENTRIES = [str(i).encode() for i in range(LARGEST)]
TREE = Tree(ENTRIES)
ALL_ROOTS = [mth(ENTRIES[:size]) for size in range(LARGEST + 1)]


def hexes(hashes: Sequence[bytes]) -> list[str]:
    return [h.hex() for h in hashes]


def test_the_roots_are_those_of_the_published_data() -> None:
    tree = Tree(LEAVES)
    assert [root_of(size, tree.read).hex() for size in range(1, 9)] == ROOTS
    assert (
        Edge().root()
        == EMPTY_ROOT
        == bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    )


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_proofs_of_inclusion_are_those_of_the_published_data(index: int, size: int) -> None:
    proof = inclusion_proof(index, size, Tree(LEAVES).read)
    assert hexes(proof) == INCLUSION[index, size]
    check_inclusion(leaf_hash(LEAVES[index]), index, size, bytes.fromhex(ROOTS[size - 1]), proof)


@pytest.mark.parametrize(("old", "new"), CONSISTENCY)
def test_proofs_of_consistency_are_those_of_the_published_data(old: int, new: int) -> None:
    proof = consistency_proof(old, new, Tree(LEAVES).read)
    assert hexes(proof) == CONSISTENCY[old, new]
    check_consistency(old, bytes.fromhex(ROOTS[old - 1]), new, bytes.fromhex(ROOTS[new - 1]), proof)


def test_the_rfcs_example_of_seven_entries() -> None:
    """Section 2.1.3, by the names of its picture."""
    tree = Tree(ENTRIES[:7])
    a, b, c, d, e, f, j = (leaf_hash(entry) for entry in ENTRIES[:7])
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k = node_hash(g, h)
    el = node_hash(i, j)
    assert root_of(7, tree.read) == node_hash(k, el)
    assert inclusion_proof(0, 7, tree.read) == [b, h, el]
    assert inclusion_proof(3, 7, tree.read) == [c, g, el]
    assert inclusion_proof(4, 7, tree.read) == [f, j, k]
    assert inclusion_proof(6, 7, tree.read) == [i, k]
    assert consistency_proof(3, 7, tree.read) == [c, d, g, el]
    assert consistency_proof(4, 7, tree.read) == [el]
    assert consistency_proof(6, 7, tree.read) == [i, j, k]


def test_every_root_up_to_two_hundred_entries_is_the_definitions() -> None:
    assert [root_of(size, TREE.read) for size in range(LARGEST + 1)] == ALL_ROOTS
    assert [Edge.read(size, TREE.read) for size in range(9)] == [
        Tree(ENTRIES[:size]).edge for size in range(9)
    ]


@given(st.integers(1, LARGEST).flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size))))
def test_every_entry_is_proved_as_the_definition_says(case: tuple[int, int]) -> None:
    index, size = case
    proof = inclusion_proof(index, size, TREE.read)
    assert proof == path(index, ENTRIES[:size])
    check_inclusion(leaf_hash(ENTRIES[index]), index, size, ALL_ROOTS[size], proof)


@given(st.integers(0, LARGEST).flatmap(lambda new: st.tuples(st.integers(0, new), st.just(new))))
def test_every_growth_is_proved_as_the_definition_says(case: tuple[int, int]) -> None:
    old, new = case
    proof = consistency_proof(old, new, TREE.read)
    assert proof == (subproof(old, ENTRIES[:new], True) if 0 < old < new else [])
    check_consistency(old, ALL_ROOTS[old], new, ALL_ROOTS[new], proof)


def spoilt(proof: list[bytes]) -> st.SearchStrategy[list[bytes]]:
    """Proofs that are not this one."""
    hashes = st.binary(min_size=32, max_size=32)
    places = st.integers(0, len(proof))
    ways = [st.tuples(places, hashes).map(lambda t: [*proof[: t[0]], t[1], *proof[t[0] :]])]
    if proof:
        inside = st.integers(0, len(proof) - 1)
        ways += [
            inside.map(lambda at: proof[:at] + proof[at + 1 :]),
            st.tuples(inside, hashes).map(lambda t: [*proof[: t[0]], t[1], *proof[t[0] + 1 :]]),
        ]
    return st.one_of(ways)


@given(st.data())
def test_no_other_proof_of_inclusion_is_taken(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, LARGEST))
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, TREE.read)
    leaf, root = leaf_hash(ENTRIES[index]), ALL_ROOTS[size]
    with pytest.raises(Corrupt):
        check_inclusion(leaf, index, size, root, data.draw(spoilt(proof)))
    with pytest.raises(Corrupt):
        check_inclusion(leaf_hash(b"another"), index, size, root, proof)
    with pytest.raises(Corrupt):
        check_inclusion(leaf, index, size, leaf_hash(b"another"), proof)


@given(st.data())
def test_no_other_proof_of_consistency_is_taken(data: st.DataObject) -> None:
    new = data.draw(st.integers(1, LARGEST))
    old = data.draw(st.integers(0, new))
    proof = consistency_proof(old, new, TREE.read)
    with pytest.raises(Corrupt):
        check_consistency(old, ALL_ROOTS[old], new, ALL_ROOTS[new], data.draw(spoilt(proof)))
    if old:
        with pytest.raises(Corrupt):
            check_consistency(old, leaf_hash(b"another"), new, ALL_ROOTS[new], proof)
        with pytest.raises(Corrupt):
            check_consistency(old, ALL_ROOTS[old], new, leaf_hash(b"another"), proof)


def test_a_tree_that_shrinks_is_not_consistent() -> None:
    with pytest.raises(Corrupt):
        check_consistency(5, ALL_ROOTS[5], 4, ALL_ROOTS[4], [])
    with pytest.raises(Corrupt, match="missing"):
        check_consistency(4, ALL_ROOTS[4], 5, ALL_ROOTS[5], [])


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_what_is_not_in_the_tree_is_not_proved(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="none at index"):
        inclusion_proof(index, size, TREE.read)
    with pytest.raises(Corrupt):
        check_inclusion(EMPTY_ROOT, index, size, EMPTY_ROOT, [])
    with pytest.raises(ValueError, match="does not go on"):
        consistency_proof(4, 3, TREE.read)


def counted() -> tuple[HashReader, list[tuple[int, int]]]:
    asked: list[tuple[int, int]] = []

    def read(level: int, index: int) -> bytes:
        asked.append((level, index))
        return leaf_hash(b"%d %d" % (level, index))

    return read, asked


def test_a_proof_in_a_tree_of_any_size_takes_few_reads() -> None:
    proofs: list[Callable[[HashReader], list[bytes]]] = [
        lambda read: inclusion_proof(12345, 2**40 - 1, read),
        lambda read: consistency_proof(2**39 + 12345, 2**40 - 1, read),
        lambda read: inclusion_proof(0, MAX_SIZE, read),
    ]
    for prove in proofs:
        read, asked = counted()
        assert len(prove(read)) <= 64
        assert len(asked) <= 130


def test_what_is_stored_is_two_hashes_an_entry() -> None:
    assert [len(row) for row in TREE.rows] == [stored_bytes(n) for n in range(1, LARGEST + 1)]
    assert sum(map(len, TREE.rows)) < 2 * 32 * LARGEST

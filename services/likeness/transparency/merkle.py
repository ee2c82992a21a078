"""The Merkle tree of a log (RFC 6962, section 2.1): hashes, and proofs that are made and checked.

Hashes are SHA-256, 32 bytes. What is stored of a tree is, with each entry, the hashes of the complete subtrees that
it ends: the entry's own, then those of the twos, fours, ... that it completes. That is appended and never changed,
is 64 bytes for each entry on average, and gives any root and any proof in a few reads for each doubling of size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from likeness.domain.errors import Corrupt

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
MAX_SIZE = 2**63 - 1

HashReader = Callable[[int, int], bytes]
"""Gives the hash of the complete subtree at a level (0 is the entries) with an index: the entries from
`index << level`, `1 << level` of them."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of an entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees that stand side by side."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Edge:
    """The right edge of a tree: its size, and the hashes of its largest complete subtrees from left to right.

    There is one for each bit of the size that is set, the highest first.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    @classmethod
    def read(cls, size: int, read: HashReader) -> Edge:
        """The edge of a stored tree."""
        return cls(size, tuple(read(level, index) for level, index in _complete(0, size)))

    def append(self, leaf: bytes) -> tuple[Edge, bytes]:
        """The edge with one more entry, by the entry's hash; and what is to be stored with it: the hashes of the
        complete subtrees that it ends, the smallest first."""
        hashes, ended, made = list(self.hashes), [leaf], leaf
        size = self.size
        while size & 1:
            made = node_hash(hashes.pop(), made)
            ended.append(made)
            size >>= 1
        return Edge(self.size + 1, (*hashes, made)), b"".join(ended)

    def root(self) -> bytes:
        """The root of the tree."""
        return _joined(self.hashes) if self.hashes else EMPTY_ROOT


def stored_place(level: int, index: int) -> tuple[int, slice]:
    """With which entry, counted from 1, the hash of a complete subtree is stored, and where in what is stored."""
    return (index + 1) << level, slice(level * HASH_BYTES, (level + 1) * HASH_BYTES)


def stored_bytes(position: int) -> int:
    """How many bytes are stored with an entry, counted from 1."""
    return ((position & -position).bit_length()) * HASH_BYTES


def root_of(size: int, read: HashReader) -> bytes:
    """The root of the first `size` entries."""
    return Edge.read(size, read).root()


def inclusion_proof(index: int, size: int, read: HashReader) -> list[bytes]:
    """That the entry at an index, counted from 0, is in the tree of a size (RFC 6962, section 2.1.1).

    Raises:
        ValueError: there is no such entry.
    """
    if not 0 <= index < size:
        raise ValueError(f"A tree of {size} entries has none at index {index}.")
    return _path(index, 0, size, read)


def consistency_proof(old: int, new: int, read: HashReader) -> list[bytes]:
    """That the tree of the size `new` goes on from that of the size `old` (RFC 6962, section 2.1.2).

    Raises:
        ValueError: the sizes are not in that order.
    """
    if not 0 <= old <= new:
        raise ValueError(f"A tree of {new} entries does not go on from one of {old}.")
    return [] if old in (0, new) else _subproof(old, 0, new, read, True)


def check_inclusion(leaf: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Check a proof that an entry, by its hash, is in a tree (RFC 9162, section 2.1.3.2).

    Raises:
        Corrupt: it proves nothing of the kind.
    """
    if not 0 <= index < size:
        raise Corrupt(f"The proof is of entry {index + 1} of a tree that has {size}.")
    node, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise Corrupt("The proof of inclusion is longer than the tree is high.")
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    if last or found != root:
        raise Corrupt(f"The proof of inclusion does not lead from entry {index + 1} to the root of the tree.")


def check_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check a proof that one tree goes on from another (RFC 9162, section 2.1.4.2); from the empty one, and from an
    equal one, no proof is needed and none may be given.

    Raises:
        Corrupt: it proves nothing of the kind.
    """
    if not 0 <= old <= new:
        raise Corrupt(f"A tree of {new} entries does not go on from one of {old}.")
    if old in (0, new):
        if proof or (old == new and old_root != new_root):
            raise Corrupt(f"Two trees of {old} entries are given that are not the same.")
        return
    if not proof:
        raise Corrupt("The proof of consistency is missing.")
    hashes = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise Corrupt("The proof of consistency is longer than the tree is high.")
        if node & 1 or node == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        node, last = node >> 1, last >> 1
    if last or (first, second) != (old_root, new_root):
        raise Corrupt(
            f"The tree of {new} entries does not go on from that of {old}: an entry was changed, "
            "moved or taken out."
        )


def _complete(start: int, size: int) -> list[tuple[int, int]]:
    """The largest complete subtrees, as level and index, of `size` entries from `start` on, from left to right.

    `start` is a multiple of the smallest power of two that is no less than `size`.
    """
    found = []
    while size:
        level = size.bit_length() - 1
        found.append((level, start >> level))
        start, size = start + (1 << level), size - (1 << level)
    return found


def _joined(hashes: Sequence[bytes]) -> bytes:
    """The root over complete subtrees from left to right."""
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def _hash_of(start: int, size: int, read: HashReader) -> bytes:
    return _joined([read(level, index) for level, index in _complete(start, size)])


def _split(size: int) -> int:
    """The largest power of two below a size of two or more."""
    return 1 << ((size - 1).bit_length() - 1)


def _path(index: int, start: int, size: int, read: HashReader) -> list[bytes]:
    if size == 1:
        return []
    left = _split(size)
    if index < left:
        return [*_path(index, start, left, read), _hash_of(start + left, size - left, read)]
    return [*_path(index - left, start + left, size - left, read), _hash_of(start, left, read)]


def _subproof(old: int, start: int, size: int, read: HashReader, whole: bool) -> list[bytes]:
    """SUBPROOF of the RFC; `whole` says that the old tree's root is this subtree's, and known to who checks."""
    if old == size:
        return [] if whole else [_hash_of(start, size, read)]
    left = _split(size)
    if old <= left:
        return [*_subproof(old, start, left, read, whole), _hash_of(start + left, size - left, read)]
    return [*_subproof(old - left, start + left, size - left, read, False), _hash_of(start, left, read)]

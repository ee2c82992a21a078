"""A data key for each owner, and how one is erased so that no copy of the data opens with what is left.

Owners' keys are the leaves of a binary tree of HMAC-SHA-256 (O. Goldreich, S. Goldwasser, S. Micali, "How to
construct random functions", 1986): from a node's seed follow the seeds below it and no others. A key ring begins
with the root. To erase a leaf, the nodes on the way to it are replaced by their siblings (a puncturable function,
D. Boneh and B. Waters, "Constrained pseudorandom functions", 2013): every other key is derived as before, that one
by nobody.

So a key ring changes when it is rotated and when an owner leaves, never when an owner arrives: a server needs no
right to write to it, and a copy of the ring does not age with every new owner.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from likeness.domain.errors import Corrupt

DEPTH = 64
"""Levels of the tree. Two of 100,000 owners share a leaf with a probability of 3e-10; a key is derived in 64 HMACs,
a millisecond at most, once for each process, use and owner; an erased owner adds 64 nodes, 5 KB, to the ring."""

LEAF_BYTES = DEPTH // 8
SEED_BYTES = 32
_NODE_BYTES = 1 + LEAF_BYTES + SEED_BYTES
_CHECK_BYTES = 8

Node = tuple[int, int]
"""A depth, 0 for the root, and the bits of the way down to the node."""


def leaf_of(owner: str) -> bytes:
    """The leaf of an owner, `LEAF_BYTES` of the SHA-256 of its name."""
    return hashlib.sha256(b"likeness/1/owner" + owner.encode()).digest()[:LEAF_BYTES]


@dataclass(frozen=True, slots=True)
class OwnerKeys:
    """What one key of the ring has for its owners, and for snapshots, which hold vectors of all of them.

    `nodes` are the seeds from which the leaves are derived that are not erased. `snapshots` is a secret that is
    replaced whenever an owner is erased, so that the snapshots of before open no more.
    """

    nodes: Mapping[Node, bytes]
    snapshots: bytes

    @classmethod
    def fresh(cls) -> OwnerKeys:
        """A new tree with every leaf."""
        return cls({(0, 0): secrets.token_bytes(SEED_BYTES)}, secrets.token_bytes(SEED_BYTES))

    @property
    def is_whole(self) -> bool:
        """Whether nothing was erased."""
        return (0, 0) in self.nodes

    @property
    def snapshots_mark(self) -> bytes:
        """`LEAF_BYTES` that tell one secret of the snapshots from another."""
        return hashlib.sha256(b"likeness/1/snapshots-mark" + self.snapshots).digest()[:LEAF_BYTES]

    def holds(self, leaf: bytes) -> bool:
        """Whether the key of a leaf was not erased."""
        return self._above(int.from_bytes(leaf, "big")) is not None

    def key(self, leaf: bytes) -> bytes | None:
        """The 32-byte key of a leaf; None where it was erased."""
        number = int.from_bytes(leaf, "big")
        node = self._above(number)
        if node is None:
            return None
        seed = self.nodes[node]
        for depth in range(node[0], DEPTH):
            seed = _child(seed, number >> (DEPTH - 1 - depth) & 1)
        return seed

    def without(self, leaf: bytes) -> OwnerKeys:
        """The same without the key of a leaf, and with another secret for snapshots."""
        number = int.from_bytes(leaf, "big")
        node = self._above(number)
        if node is None:
            return self
        nodes = dict(self.nodes)
        seed = nodes.pop(node)
        for depth in range(node[0], DEPTH):
            way = number >> (DEPTH - 1 - depth)
            nodes[depth + 1, way ^ 1] = _child(seed, way & 1 ^ 1)
            seed = _child(seed, way & 1)
        return OwnerKeys(nodes, secrets.token_bytes(SEED_BYTES))

    def _above(self, number: int) -> Node | None:
        ways = ((depth, number >> (DEPTH - depth)) for depth in range(DEPTH + 1))
        return next((node for node in ways if node in self.nodes), None)

    def to_hex(self, key_id: str) -> str:
        """As it stands in the key file, bound to its key; a changed byte shows."""
        data = self.snapshots + b"".join(
            bytes([depth]) + way.to_bytes(LEAF_BYTES, "big") + seed
            for (depth, way), seed in sorted(self.nodes.items())
        )
        return (data + _check(key_id, data)).hex()

    @classmethod
    def from_hex(cls, key_id: str, text: str) -> OwnerKeys:
        """Read what `to_hex` wrote.

        Raises:
            Corrupt: it is something else, or another key's.
        """
        try:
            content = bytes.fromhex(text)
        except ValueError as error:
            raise _damaged(key_id) from error
        data = content[:-_CHECK_BYTES]
        if len(data) % _NODE_BYTES != SEED_BYTES or content[-_CHECK_BYTES:] != _check(key_id, data):
            raise _damaged(key_id)
        nodes = {}
        for start in range(SEED_BYTES, len(data), _NODE_BYTES):
            depth, way = data[start], data[start + 1 : start + 1 + LEAF_BYTES]
            nodes[depth, int.from_bytes(way, "big")] = data[start + 1 + LEAF_BYTES : start + _NODE_BYTES]
        return cls(nodes, data[:SEED_BYTES])


def _child(seed: bytes, bit: int) -> bytes:
    return hmac.digest(seed, b"\x01" if bit else b"\x00", "sha256")


def _check(key_id: str, data: bytes) -> bytes:
    return hashlib.sha256(b"likeness/1/owner-keys" + key_id.encode() + data).digest()[:_CHECK_BYTES]


def _damaged(key_id: str) -> Corrupt:
    return Corrupt(
        f"The owners' keys of key {key_id} in the key file are damaged; restore it from its backup."
    )

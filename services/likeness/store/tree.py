"""The Merkle tree over the audit as it is stored: a row for each entry, written in the entry's own transaction.

A row has the commitment to what its entry says, and the hashes of the complete subtrees that the entry ends; see
`likeness.transparency.merkle`. The tree is checked, as the chain is, without any key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from likeness.domain.errors import Corrupt
from likeness.store.schema import audit, audit_tree
from likeness.store.sealing import Seals
from likeness.transparency.disclosure import commit, record_hash
from likeness.transparency.merkle import HASH_BYTES, Edge, HashReader, stored_bytes, stored_place

_CHUNK = 1000

_SIZE = sa.select(sa.func.max(audit_tree.c.position))
_HASHES = sa.select(audit_tree.c.hashes).where(audit_tree.c.position == sa.bindparam("position"))
_BOTH = (
    sa.select(audit.c.position, audit.c.at, audit.c.digest, audit_tree.c.commitment, audit_tree.c.hashes)
    .select_from(audit.outerjoin(audit_tree, audit_tree.c.position == audit.c.position))
    .where(audit.c.position > sa.bindparam("after"), audit.c.position <= sa.bindparam("until"))
    .order_by(audit.c.position)
)


def has_tree(connection: sa.Connection) -> bool:
    """Whether the store has been opened by a release that keeps a tree."""
    return bool(sa.inspect(connection).has_table(audit_tree.name))


def tree_size(connection: sa.Connection) -> int:
    """How many entries are in the tree."""
    return connection.execute(_SIZE).scalar() or 0


def tree_reader(connection: sa.Connection) -> HashReader:
    """The hashes of complete subtrees.

    The function raises Corrupt where a hash is missing.
    """

    def read(level: int, index: int) -> bytes:
        position, place = stored_place(level, index)
        hashes = connection.execute(_HASHES, {"position": position}).scalar()
        if not isinstance(hashes, bytes) or len(hashes) != stored_bytes(position):
            raise _damaged(position)
        return hashes[place]

    return read


def tree_edge(connection: sa.Connection) -> Edge:
    """The right edge of the tree, from which it grows.

    Raises:
        Corrupt: a hash of it is missing.
    """
    return Edge.read(tree_size(connection), tree_reader(connection))


def tree_row(
    seals: Seals, edge: Edge, position: int, at: int, sealed: bytes, digest: bytes, body: bytes
) -> tuple[Edge, dict[str, int | bytes]]:
    """The edge with one more entry, and the row that is to be written with it.

    Args:
        seals: of the store.
        edge: of the tree before the entry.
        position: of the entry.
        at: its time in microseconds.
        sealed: its body as it is stored.
        digest: its digest in the chain.
        body: its canonical JSON.
    """
    commitment = commit(seals.audit_salt(sealed, digest), body)
    edge, hashes = edge.append(record_hash(position, at, digest, commitment))
    return edge, {"position": position, "commitment": commitment, "hashes": hashes}


def check_tree(
    connection: sa.Connection, after: int, until: int, step: Callable[[int], None] = lambda _: None
) -> Edge:
    """Whether the tree's rows of the entries in (after, until] are what the chain makes of them, given that those
    before are; returns the edge at the end.

    Args:
        connection: a reading one.
        after: the position before the first entry.
        until: the position of the last entry.
        step: called with the number of entries just checked.

    Raises:
        Corrupt: tree and chain do not agree.
    """
    edge = Edge.read(after, tree_reader(connection))
    while edge.size < until:
        start, end = edge.size, min(until, edge.size + _CHUNK)
        for row in connection.execute(_BOTH, {"after": start, "until": end}):
            edge = _follow(edge, row)
        if edge.size != end:
            raise _damaged(edge.size + 1)
        step(end - start)
    return edge


def check_size(connection: sa.Connection, end: int) -> None:
    """Whether the tree has as many entries as the chain.

    Raises:
        Corrupt: it has not.
    """
    size = tree_size(connection)
    if size != end:
        raise Corrupt(
            f"The tree over the audit has {size} entries and the chain {end}; restore the database from a backup."
        )


def _follow(edge: Edge, row: Sequence[Any]) -> Edge:
    position, at, digest, commitment, hashes = row
    numbers = isinstance(at, int) and position == edge.size + 1
    if not (numbers and isinstance(digest, bytes) and isinstance(commitment, bytes)):
        raise _damaged(edge.size + 1)
    if len(digest) != HASH_BYTES or len(commitment) != HASH_BYTES:
        raise _damaged(position)
    edge, ended = edge.append(record_hash(position, at, digest, commitment))
    if ended != hashes:
        raise _damaged(position)
    return edge


def _damaged(position: int) -> Corrupt:
    return Corrupt(
        f"The tree over the audit is missing or damaged at entry {position}: it is not what the chain makes of it; "
        "restore the database from a backup."
    )

"""What of the audit's tree needs the keys: to make what it lacks, to check its commitments, to show one entry."""

from __future__ import annotations

import logging
import time

import sqlalchemy as sa

from likeness.domain.errors import Corrupt, NotFound
from likeness.store.audit import open_entries
from likeness.store.backend import Backend
from likeness.store.chain import AUDIT
from likeness.store.schema import audit_tree
from likeness.store.sealing import Seals
from likeness.store.tree import check_size, tree_edge, tree_row
from likeness.transparency.disclosure import Disclosure, commit

logger = logging.getLogger(__name__)

_CHUNK = 1000
_REPORT_SECONDS = 5.0

_COMMITMENTS = (
    sa.select(audit_tree.c.position, audit_tree.c.commitment)
    .where(audit_tree.c.position > sa.bindparam("after"), audit_tree.c.position <= sa.bindparam("until"))
    .order_by(audit_tree.c.position)
)


def plant(backend: Backend, connection: sa.Connection, seals: Seals) -> None:
    """Let the tree grow over the entries that it does not hold yet, in the connection's transaction.

    Those are the entries of releases that kept none.

    Raises:
        Corrupt: an entry is missing or damaged, or the tree is longer than the chain.
    """
    edge, end = tree_edge(connection), AUDIT.head(connection).position
    reported = time.monotonic()
    while edge.size < end:
        rows = []
        for row, body in open_entries(connection, seals, edge.size, min(end, edge.size + _CHUNK)):
            edge, made = tree_row(seals, edge, row.position, row.at, row.body, row.digest, body)
            rows.append(made)
        backend.insert(connection, audit_tree, rows)
        if edge.size == end or time.monotonic() - reported >= _REPORT_SECONDS:
            reported = time.monotonic()
            logger.info("The tree over the audit has been made for %d of %d entries.", edge.size, end)
    check_size(connection, end)


def check_commitments(connection: sa.Connection, seals: Seals, end: int) -> None:
    """Whether each entry is what the tree's commitment says.

    Raises:
        Corrupt: an entry or a commitment is missing or damaged.
    """
    for after in range(0, end, _CHUNK):
        until = min(after + _CHUNK, end)
        stored = {
            row.position: row.commitment
            for row in connection.execute(_COMMITMENTS, {"after": after, "until": until})
        }
        for row, body in open_entries(connection, seals, after, until):
            if commit(seals.audit_salt(row.body, row.digest), body) != stored.get(row.position):
                raise Corrupt(
                    f"The tree over the audit does not hold what entry {row.position} says; restore the database "
                    "from a backup."
                )


def disclose(connection: sa.Connection, seals: Seals, position: int) -> Disclosure:
    """One entry, with what shows that the tree holds it.

    Raises:
        NotFound: there is no such entry.
        Corrupt: it is damaged.
    """
    end = AUDIT.head(connection).position
    if not 0 < position <= end:
        raise NotFound(f"There is no audit entry {position}: the audit has {end}.")
    ((row, body),) = open_entries(connection, seals, position - 1, position)
    return Disclosure(position, row.at, row.digest, seals.audit_salt(row.body, row.digest), body)

"""Who received which references of an owner: what it may know of acts on record, and nothing else of others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import sqlalchemy as sa

from likeness.domain.access import Level
from likeness.domain.oversight import Received, ReceivedFilter
from likeness.store.audit import AuditRecord
from likeness.store.audit_search import AuditFilter, find, stored_owners, with_owners
from likeness.store.sealing import Seals


def find_received(
    connection: sa.Connection, seals: Seals, wanted: ReceivedFilter, after: int, last: int
) -> Sequence[Received]:
    """What the acts in (after, last] answered of it, in their order, every link of the chain there checked.

    Raises:
        Corrupt: an entry is missing or damaged.
    """
    acts = AuditFilter(
        owner=wanted.owner, references=wanted.references, since=wanted.since, until=wanted.until
    )
    rows = received(connection, find(connection, seals, acts, after, last), wanted.owner)
    return [row for row in rows if wanted.references is None or row.reference_id in wanted.references]


def received(connection: sa.Connection, records: Iterable[AuditRecord], owner: str) -> Iterator[Received]:
    """One row for each reference of the owner that an entry answered, at the highest level that it was shown at."""
    for record in records:
        entry = record.entry
        owners = dict(with_owners(entry, stored_owners(connection, [record])))
        levels: dict[str, Level | None] = {}
        for reference_id, _, level in entry.answered():
            levels[reference_id] = max(level, levels.get(reference_id) or level) if level else level
        for reference_id, level in levels.items():
            if owners[reference_id] == owner:
                yield Received(
                    record.at,
                    record.position,
                    entry.caller.entity,
                    entry.caller.purpose,
                    entry.rpc,
                    reference_id,
                    level,
                )

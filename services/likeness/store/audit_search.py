"""Finding entries of the audit: by what they say, in one pass over the chain and with bounded memory."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from likeness.domain.audit import REFERENCE, AuditEntry
from likeness.domain.deadline import NO_DEADLINE, Deadline
from likeness.domain.references import Status
from likeness.domain.storage import ListFilter
from likeness.store.audit import AuditRecord, read_audit
from likeness.store.reads import MAX_PAGE, list_page
from likeness.store.rows import chunks
from likeness.store.schema import reference
from likeness.store.sealing import Seals

CHUNK = 1000
"""Entries that are read, checked and opened at once."""

SIDES = "sides"
"""By this name the details of a comparison have its two sides: reference ids, or keyed digests of samples."""

_DIGEST = re.compile(r"[0-9a-f]{65,}")
_OWNERS = sa.select(reference.c.reference_id, reference.c.owner).where(
    reference.c.reference_id.in_(sa.bindparam("ids", expanding=True))
)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are wanted; an empty field wants any.

    `since` and `until` are aware, the second excluded. `references`: an entry names or answers one of them; None
    wants any, and an empty set none. `owner`: a reference of this owner was answered. `probe`: a sample's bytes.
    """

    case: str = ""
    entity: str = ""
    operator: str = ""
    principal: str = ""
    since: datetime | None = None
    until: datetime | None = None
    references: frozenset[str] | None = None
    owner: str = ""
    rpc: str = ""
    outcome: str = ""
    probe: bytes | None = None

    def wants(self, record: AuditRecord, seals: Seals, owners: Mapping[str, str]) -> bool:
        """Whether an entry is wanted; `owners` of the references whose entry does not say it."""
        entry, caller = record.entry, record.entry.caller
        asked = (
            (self.case, (caller.case_reference,)),
            (self.entity, (caller.entity,)),
            (self.operator, (caller.operator,)),
            (self.principal, (entry.principal, entry.person)),
            (self.rpc, (entry.rpc,)),
            (self.outcome, (entry.outcome,)),
        )
        return (
            all(not wanted or wanted in found for wanted, found in asked)
            and (self.since is None or record.at >= self.since)
            and (self.until is None or record.at < self.until)
            and (self.references is None or not self.references.isdisjoint(named(entry)))
            and (not self.owner or any(o == self.owner for _, o in with_owners(entry, owners)))
            and (self.probe is None or _is_of(entry, self.probe, seals))
        )


def find(
    connection: sa.Connection,
    seals: Seals,
    wanted: AuditFilter,
    after: int,
    last: int,
    step: Callable[[int, int], None] = lambda _done, _total: None,
) -> Iterator[AuditRecord]:
    """The wanted entries in (after, last], in order, every link of the chain there checked.

    `step` is called now and then with how many entries were looked at, and how many there are.

    Raises:
        Corrupt: an entry is missing or damaged.
    """
    for begin in range(after, last, CHUNK):
        end = min(begin + CHUNK, last)
        records = read_audit(connection, seals, begin, end)
        owners = stored_owners(connection, records) if wanted.owner else {}
        yield from (record for record in records if wanted.wants(record, seals, owners))
        step(end - after, last - after)


def named(entry: AuditEntry) -> Iterator[str]:
    """Every reference that an entry names or answers."""
    yield from (reference_id for reference_id, _, _ in entry.answered())
    asked = entry.details.get(REFERENCE)
    if isinstance(asked, str):
        yield asked
    yield from _sides(entry)


def with_owners(entry: AuditEntry, owners: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The references that an entry answers, each with its owner: by the entry, or else by `owners`, or empty."""
    for reference_id, owner, _ in entry.answered():
        yield reference_id, owner or owners.get(reference_id, "")


def stored_owners(connection: sa.Connection, records: Iterable[AuditRecord]) -> dict[str, str]:
    """The owners of the references that older entries answered without saying whose they are, where they are still
    stored; of expunged ones too."""
    unknown = {name for r in records for name, owner, _ in r.entry.answered() if not owner}
    rows = (row for some in chunks(unknown) for row in connection.execute(_OWNERS, {"ids": some}))
    return {row.reference_id: row.owner for row in rows}


def has_reference(connection: sa.Connection, reference_id: str) -> bool:
    """Whether a reference is stored, or was: what is expunged leaves its identifier."""
    found = sa.select(reference.c.reference_id).where(reference.c.reference_id == reference_id)
    return connection.execute(found).first() is not None


def owners_of_references(connection: sa.Connection) -> frozenset[str]:
    """Whose references are stored, or were, as far as what is expunged still says it."""
    return frozenset(connection.scalars(sa.select(reference.c.owner).distinct()))


def references_of(
    connection: sa.Connection, seals: Seals, owner: str, subject: str, deadline: Deadline = NO_DEADLINE
) -> frozenset[str]:
    """The references that an owner has of a subject; an expunged one no longer says whose it was.

    Raises:
        DeadlineExceeded: time ran out.
        Corrupt: a row or a subject is damaged or missing.
    """
    wanted = ListFilter(owners=frozenset({owner}), statuses=frozenset(Status))
    found: set[str] = set()
    token = ""
    while True:
        deadline.check("the references of a subject were looked for")
        page = list_page(connection, seals, wanted, token, MAX_PAGE)
        found |= {r.reference_id for r in page.references if r.subject_id == subject}
        token = page.next_token
        if not token:
            return frozenset(found)


def _sides(entry: AuditEntry) -> Iterator[str]:
    sides = entry.details.get(SIDES)
    if isinstance(sides, list | tuple):
        yield from (side for side in sides if isinstance(side, str))


def _is_of(entry: AuditEntry, probe: bytes, seals: Seals) -> bool:
    """Whether the act was done with this sample; its keyed digest may be of an older key."""
    digest = hashlib.sha256(probe).digest()
    digests = [text for text in (entry.probe, *_sides(entry)) if _DIGEST.fullmatch(text)]
    return any(seals.probes.matches(digest, bytes.fromhex(text)) for text in digests)

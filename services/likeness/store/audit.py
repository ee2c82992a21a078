"""The audit chain: who asked what and why, and what was answered.

An entry's body is sealed, because a case reference or an operator's name is nobody else's business; the chain
is made over the sealed bytes, so that anyone with the file can check that no entry was changed or taken out,
and only the holder of the key can read them. The body is bound to its position and to the digest before it:
whoever re-computes the chain after taking an entry out still cannot make the entries behind it open.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from likeness.domain.access import Level
from likeness.domain.audit import REFERENCE, REPLAYED, AuditCandidate, AuditEntry, AuditShown, JsonValue
from likeness.domain.changes import Receipt
from likeness.domain.errors import Corrupt, InvalidInput
from likeness.domain.references import Caller, Purpose
from likeness.domain.storage import AuditReceipt
from likeness.store.backend import Backend
from likeness.store.canonical import canonical_json, from_micros, to_micros
from likeness.store.chain import AUDIT, Head
from likeness.store.schema import audit, audit_tree
from likeness.store.sealing import GENESIS, Seals, audit_digest
from likeness.store.tree import tree_row
from likeness.transparency.merkle import Edge

MAX_BODY_BYTES = 4 * 1024 * 1024
"""Of one entry as JSON: some tens of thousands of candidates."""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """A stored entry with its place in the chain."""

    position: int
    at: datetime
    digest: bytes
    entry: AuditEntry


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The outcome of checking a stretch of the chain: `first` to `last`, and what was wrong with it."""

    first: int
    last: int
    digest: bytes
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing was wrong."""
        return not self.problems


_ADDED = ("principal", "person", "policy", "decided_by", "shown")
"""Fields that came after the first release: left out where they are empty, as in its entries."""

_ENTRY = tuple(field.name for field in fields(AuditEntry) if field.name not in _ADDED)
_CALLER = ("entity", "purpose", "case_reference", "operator")

_FIRST_CANDIDATE = 4
"""What the first release had of a candidate, at most: id, score, rate, and whether that was measurable."""

_RANGE = (
    sa.select(*audit.columns)
    .where(audit.c.position >= sa.bindparam("first"), audit.c.position <= sa.bindparam("last"))
    .order_by(audit.c.position)
)


def encode_entry(entry: AuditEntry) -> bytes:
    """Canonical JSON, to be sealed.

    Raises:
        InvalidInput: it is too long, or holds what JSON cannot.
    """
    content = {name: getattr(entry, name) for name in _ENTRY}
    content["caller"] = {name: getattr(entry.caller, name) for name in _CALLER}
    content["candidates"] = [_encode_candidate(candidate) for candidate in entry.candidates]
    content |= {name: getattr(entry, name) for name in _ADDED if getattr(entry, name)}
    if entry.shown:
        content["shown"] = [[s.owner, s.level.name, s.reference_ids] for s in entry.shown]
    try:
        body = canonical_json(content).encode("ascii")
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"The audit entry of {entry.rpc} cannot be stored: {error}.") from error
    if len(body) > MAX_BODY_BYTES:
        raise InvalidInput(
            f"The audit entry of {entry.rpc} takes {len(body)} bytes, more than {MAX_BODY_BYTES}; ask for fewer "
            "candidates."
        )
    return body


def settled(entry: AuditEntry, receipt: Receipt) -> AuditEntry:
    """The entry of a write that was done: where, and whether that was before; then with the reference of then."""
    done = replace(entry, log_position=receipt.position)
    if not receipt.replayed:
        return done
    return replace(done, details={**entry.details, REFERENCE: receipt.reference_id, REPLAYED: True})


def _encode_candidate(candidate: AuditCandidate) -> list[JsonValue]:
    c = candidate
    row: list[JsonValue] = [c.reference_id, c.score, c.fmr, c.measurable]
    return row if c.level is None else [*row, c.owner, c.level.name]


def _decode_candidate(row: list[Any]) -> AuditCandidate:
    if len(row) <= _FIRST_CANDIDATE:
        return AuditCandidate(*row)
    reference_id, score, fmr, measurable, owner, level = row
    return AuditCandidate(reference_id, score, fmr, measurable, owner, Level[level])


def _decode_entry(body: bytes) -> AuditEntry:
    try:
        content: dict[str, Any] = json.loads(body)
        caller = content.pop("caller")
        caller["purpose"] = Purpose(caller["purpose"])
        candidates = tuple(map(_decode_candidate, content.pop("candidates")))
        shown = tuple(AuditShown(o, Level[level], tuple(ids)) for o, level, ids in content.pop("shown", ()))
        decided_by = tuple(content.pop("decided_by", ()))
        return AuditEntry(
            caller=Caller(**caller), candidates=candidates, shown=shown, decided_by=decided_by, **content
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Corrupt("A stored audit entry cannot be read; restore the database from a backup.") from error


class AuditPlan:
    """One transaction's worth of audit entries."""

    def __init__(self, seals: Seals, head: Head, edge: Edge, at: datetime) -> None:
        self.head = head
        self.edge = edge
        self._seals = seals
        self._micros = to_micros(at)
        self._rows: list[dict[str, int | bytes]] = []
        self._tree: list[dict[str, int | bytes]] = []

    def add(self, body: bytes) -> AuditReceipt:
        """Seal an encoded entry into the next place of the chain and of the tree."""
        position = self.head.position + 1
        sealed = self._seals.audit.seal(body, aad=_place(position, self.head.digest))
        digest = audit_digest(self.head.digest, position, self._micros, sealed)
        self._rows.append({"position": position, "at": self._micros, "body": sealed, "digest": digest})
        self.edge, row = tree_row(self._seals, self.edge, position, self._micros, sealed, digest, body)
        self._tree.append(row)
        self.head = Head(position, digest)
        return AuditReceipt(position, digest)

    def execute(self, backend: Backend, connection: sa.Connection) -> None:
        """Write the entries in the connection's transaction."""
        backend.insert(connection, audit, self._rows)
        backend.insert(connection, audit_tree, self._tree)


def read_audit(connection: sa.Connection, seals: Seals, after: int, last: int) -> list[AuditRecord]:
    """The entries in (after, last], every link checked and every body opened.

    Raises:
        Corrupt: an entry is missing or damaged.
    """
    return [
        AuditRecord(row.position, from_micros(row.at), row.digest, _decode_entry(body))
        for row, body in open_entries(connection, seals, after, last)
    ]


def open_entries(
    connection: sa.Connection, seals: Seals, after: int, last: int
) -> Iterator[tuple[sa.Row[Any], bytes]]:
    """The rows of the entries in (after, last] with their canonical JSON, every link checked.

    Raises:
        Corrupt: an entry is missing or damaged.
    """
    previous, position = AUDIT.digest_at(connection, after), after
    for row in connection.execute(_RANGE, {"first": after + 1, "last": last}):
        _check_link(row, position + 1, previous)
        yield row, seals.audit.unseal(row.body, aad=_place(row.position, previous))
        previous, position = row.digest, row.position
    if position != last:
        raise AUDIT.gap(position + 1)


def verify_links(connection: sa.Connection, first: int, last: int) -> AuditReport:
    """Check the chain from `first` to `last` without any key; stops at the first break."""
    digest, position = GENESIS, first - 1
    try:
        digest = AUDIT.digest_at(connection, first - 1)
        for row in connection.execute(_RANGE, {"first": first, "last": last}):
            _check_link(row, position + 1, digest)
            position, digest = row.position, row.digest
        if position != last:
            raise AUDIT.gap(position + 1)
    except Corrupt as problem:
        return AuditReport(first, position, digest, (problem.message,))
    return AuditReport(first, last, digest)


def _check_link(row: Sequence[Any], position: int, previous: bytes) -> None:
    found, at, body, digest = row
    if found != position:
        raise AUDIT.gap(position)
    sound = isinstance(at, int) and isinstance(body, bytes)
    if not sound or audit_digest(previous, position, at, body) != digest:
        raise Corrupt(
            f"Audit entry {position} does not follow from the one before it: it, or that one, was changed after "
            "it was written; restore the database from a backup."
        )


def _place(position: int, previous: bytes) -> bytes:
    return f"audit.body of entry {position} after {previous.hex()}".encode()

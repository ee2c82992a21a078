"""Reading the log: in order, without a gap, every link of its chain checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import sqlalchemy as sa

from likeness.domain.changes import (
    Change,
    ChangeKind,
    Enrol,
    Expunge,
    LogEntry,
    Receipt,
    RequestKey,
    Update,
    unknown_kind,
)
from likeness.domain.errors import Conflict, Corrupt
from likeness.domain.references import Status
from likeness.domain.samples import Template
from likeness.store.canonical import from_micros
from likeness.store.chain import LOG
from likeness.store.codec import decode_facets
from likeness.store.rows import load_rows
from likeness.store.schema import log, template
from likeness.store.sealing import Seals, place

BY_REQUEST = sa.select(log.c.position).where(
    log.c.entity == sa.bindparam("entity"), log.c.request_id == sa.bindparam("name")
)
"""`name` is one of `Seals.request_names`."""

_ENTRY = sa.select(log).where(log.c.position == sa.bindparam("position"))
_LINKS = (
    sa.select(log)
    .where(log.c.position > sa.bindparam("after"), log.c.position <= sa.bindparam("until"))
    .order_by(log.c.position)
)
_RANGE = (
    sa.select(*log.columns, template.c.body)
    .select_from(log.outerjoin(template, template.c.key == log.c.position))
    .where(log.c.position > sa.bindparam("after"), log.c.position <= sa.bindparam("until"))
    .order_by(log.c.position)
)
"""Only an enrolment's position is ever a template's key."""


class Entry(Protocol):
    """What of a log entry says what was done: its row, or what was made of it."""

    @property
    def kind(self) -> str:
        """The name of a `ChangeKind`."""

    @property
    def modality(self) -> str:
        """Of the reference."""

    @property
    def reference_id(self) -> str:
        """The reference."""


def read_log(
    connection: sa.Connection, seals: Seals, after: int, until: int, modality: str | None
) -> list[LogEntry]:
    """The entries of one modality, or of all, in (after, until], with templates not expunged since.

    Raises:
        Corrupt: an entry is missing or damaged, or a template is, or a newer release wrote an entry, of whatever
            modality.
    """
    previous = LOG.digest_at(connection, after)
    entries: list[LogEntry] = []
    without: list[str] = []
    position = after
    for *columns, body in connection.execute(_RANGE, {"after": after, "until": until}):
        position += 1
        if columns[0] != position:
            raise LOG.gap(position)
        seals.check_chain(previous, columns)
        previous, kind = columns[-1], _kind(columns[0], columns[2])
        if modality is not None and columns[3] != modality:
            continue
        entries.append(_entry(columns, kind, body, seals))
        if body is None and kind is ChangeKind.ENROL:
            without.append(columns[4])
    if position != until:
        raise LOG.gap(position + 1)
    _expect_expunged(connection, seals, without)
    return entries


def verify_chain(connection: sa.Connection, seals: Seals, after: int, until: int) -> None:
    """Check the links of the entries in (after, until], their templates left alone.

    Raises:
        Corrupt: an entry is missing or damaged, or a newer release wrote it.
    """
    previous, position = LOG.digest_at(connection, after), after
    for row in connection.execute(_LINKS, {"after": after, "until": until}):
        position += 1
        if row.position != position:
            raise LOG.gap(position)
        seals.check_chain(previous, row)
        _kind(position, row.kind)
        previous = row.digest
    if position != until:
        raise LOG.gap(position + 1)


def kind_and_object(change: Change) -> tuple[ChangeKind, str]:
    """What a change would do, and to what: an enrolment to a modality, the others to a reference."""
    match change:
        case Enrol():
            return ChangeKind.ENROL, change.reference.modality
        case Update():
            return ChangeKind.UPDATE, change.reference.reference_id
        case Expunge():
            return ChangeKind.EXPUNGE, change.reference_id


def repeats(kind: ChangeKind, of: str, entry: Entry) -> bool:
    """Whether a log entry is what a change of this kind and object would make.

    A request id that was used for one thing never acknowledges another, whatever the digest of its content covers.
    """
    return kind == entry.kind and of == (entry.modality if kind is ChangeKind.ENROL else entry.reference_id)


def find_receipt(
    connection: sa.Connection, seals: Seals, key: RequestKey, kind: ChangeKind, of: str
) -> Receipt | None:
    """What was answered to the request with this key; None where there was none.

    Raises:
        Conflict, Corrupt: as `receipt_at`.
    """
    for name in seals.request_names(key.entity, key.request_id):
        position = connection.execute(BY_REQUEST, {"entity": key.entity, "name": name}).scalar()
        if position is not None:
            return receipt_at(connection, seals, position, key, kind, of)
    return None


def receipt_at(
    connection: sa.Connection, seals: Seals, position: int, key: RequestKey, kind: ChangeKind, of: str
) -> Receipt:
    """What was answered to the request that made an entry, from the entry itself, its link checked.

    Raises:
        Conflict: the entry was made by a request with the same id and other content, or did something else.
        Corrupt: the entry is missing or damaged, or belongs to another request.
    """
    row = connection.execute(_ENTRY, {"position": position}).first()
    if row is None:
        raise LOG.gap(position)
    seals.check_chain(LOG.digest_at(connection, position - 1), row)
    if row.entity != key.entity or row.request_id not in seals.request_names(key.entity, key.request_id):
        raise Corrupt(f"Log entry {position} is not that of its request; restore the database from a backup.")
    if not seals.is_request(key.digest, row.request_digest) or not repeats(kind, of, row):
        raise request_id_reused(key)
    return Receipt(row.reference_id, position, from_micros(row.at), replayed=True)


def request_id_reused(key: RequestKey) -> Conflict:
    """The refusal of a request id that has served for other content."""
    return Conflict(
        f"Request id {key.request_id!r} was used before for another request; send a new id with new content.",
        reason="REQUEST_ID_REUSED",
        metadata={"request_id": key.request_id},
    )


def _kind(position: int, name: str) -> ChangeKind:
    """The kind of an entry whose link was checked, so that it is what a release wrote."""
    try:
        return ChangeKind(name)
    except ValueError:
        raise unknown_kind(position, name) from None


def _entry(columns: Sequence[Any], kind: ChangeKind, body: bytes | None, seals: Seals) -> LogEntry:
    position, at, _, modality, reference_id, facets, *_ = columns
    found = None
    if body is not None:
        found = Template.from_bytes(seals.templates.unseal(body, aad=place("template", reference_id)))
    return LogEntry(
        position=position,
        kind=kind,
        modality=modality,
        reference_id=reference_id,
        at=from_micros(at),
        facets=None if facets is None else decode_facets(facets),
        template=found,
    )


def _expect_expunged(connection: sa.Connection, seals: Seals, reference_ids: Sequence[str]) -> None:
    """An enrolment without a template is right only where its reference has been expunged since."""
    rows = load_rows(connection, seals, reference_ids)
    for reference_id in reference_ids:
        if reference_id not in rows or rows[reference_id]["status"] != Status.EXPUNGED:
            raise Corrupt(
                f"The template of reference {reference_id} is missing; restore the database from a backup."
            )

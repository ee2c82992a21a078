"""Reading references and their parts; nothing is returned before its seal has been checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from likeness.domain.deadline import Deadline
from likeness.domain.errors import InvalidInput, NotFound
from likeness.domain.references import Facets, Reference, Status
from likeness.domain.samples import Quality, Template
from likeness.domain.storage import ListFilter, Page, any_facets, parse_token
from likeness.store.backend import unindexed
from likeness.store.codec import Subject, decode_facets, decode_quality, decode_subject, reference_from
from likeness.store.rows import ID_CHUNK, Row, check_body, checked, chunks, load_rows
from likeness.store.schema import membership, reference, source, subject, template
from likeness.store.sealing import Seals, place

MAX_PAGE = 1000
"""References on one page of a List."""

_NOTHING: Subject = {"subject_id": "", "owner_reference": "", "notices": (), "attributes": {}}


def _joined(satellite: sa.Table) -> sa.Select[Any]:
    """Reference rows, each with its body in a satellite; one statement, and so one state of the database."""
    return sa.select(*reference.columns, satellite.c.body).select_from(
        reference.outerjoin(satellite, satellite.c.key == reference.c.key)
    )


_IDS = reference.c.reference_id.in_(sa.bindparam("ids", expanding=True))
_BY_ID = {satellite.name: _joined(satellite).where(_IDS) for satellite in (template, subject, source)}
_OWN_BY_ID = _BY_ID[subject.name].where(reference.c.owner == sa.bindparam("owner"))
_BY_KEY = (
    _joined(subject)
    .where(reference.c.key.in_(sa.bindparam("keys", expanding=True)))
    .order_by(reference.c.key)
)


def read_references(
    connection: sa.Connection, seals: Seals, ids: Iterable[str], owner: str = ""
) -> dict[str, Reference]:
    """Those references that exist, by id; an expunged one as its tombstone. With an owner, only its own.

    Raises:
        Corrupt: a row or a subject is damaged or missing.
    """
    query, more = (_OWN_BY_ID, {"owner": owner}) if owner else (_BY_ID[subject.name], {})
    return {
        row["reference_id"]: _assemble(row, body, seals)
        for some in chunks(ids)
        for row, body in (
            _checked(raw, seals, subject) for raw in connection.execute(query, {"ids": some, **more})
        )
    }


def read_templates(connection: sa.Connection, seals: Seals, ids: Iterable[str]) -> dict[str, Template]:
    """The templates of those references that exist and are not expunged, by id.

    Raises:
        Corrupt: a row or a template is damaged or missing.
    """
    templates: dict[str, Template] = {}
    for row, body in _read(connection, seals, template, ids):
        name = row["reference_id"]
        if body is not None:
            templates[name] = Template.from_bytes(seals.templates.unseal(body, aad=place("template", name)))
    return templates


def read_source(connection: sa.Connection, seals: Seals, reference_id: str) -> bytes | None:
    """The source bytes of a reference; None where none are stored.

    Raises:
        NotFound: there is no such reference.
        Corrupt: a row or the source is damaged or missing.
    """
    for _, body in _read(connection, seals, source, [reference_id]):
        return None if body is None else seals.sources.unseal(body, aad=place("source", reference_id))
    raise not_found(reference_id)


def read_reason(connection: sa.Connection, seals: Seals, reference_id: str) -> str:
    """Why a reference was expunged.

    Raises:
        NotFound: there is no such reference, or it is not expunged.
        WrongKey: its owner has left since, and its key was erased then.
        Corrupt: the row or the reason is damaged.
    """
    row = load_rows(connection, seals, [reference_id]).get(reference_id)
    if row is None or row["reason"] is None:
        raise not_found(reference_id)
    return seals.reasons.unseal(row["reason"], aad=place("reference", reference_id, "reason")).decode()


def list_page(
    connection: sa.Connection,
    seals: Seals,
    wanted: ListFilter,
    token: str,
    limit: int,
    admits: Callable[[Facets], bool] = any_facets,
) -> Page:
    """One page of references that pass the filter and that `admits` lets pass.

    Raises:
        InvalidInput: the token is not one that a List returned, or the limit is not 1..MAX_PAGE.
        Corrupt: a row or a subject is damaged or missing.
    """
    _check_limit(limit)
    after, rows, whole = parse_token(token), list[tuple[Row, bytes | None]](), True
    while whole and len(rows) <= limit:
        asked = {"after": after, "limit": limit + 1}
        found = [_checked(raw, seals, subject) for raw in connection.execute(_listing(wanted), asked)]
        whole = len(found) > limit
        after = found[-1][0]["key"] if found else after
        rows += [(row, body) for row, body in found if admits(decode_facets(row["facets"]))]
    return _page(rows[: limit + 1], limit, seals)


def read_page(
    connection: sa.Connection,
    seals: Seals,
    positions: Sequence[int] | NDArray[np.int64],
    limit: int,
    admits: Callable[[Facets], bool],
    deadline: Deadline,
) -> Page:
    """One page of the references that were enrolled at these log positions and that `admits` still lets pass.

    Raises:
        InvalidInput: the limit is not 1..MAX_PAGE.
        DeadlineExceeded: time ran out.
        Corrupt: a row or a subject is damaged or missing.
    """
    _check_limit(limit)
    rows, read = list[tuple[Row, bytes | None]](), 0
    while read < len(positions) and len(rows) <= limit:
        deadline.check(f"{len(rows)} references were listed")
        keys = [int(key) for key in positions[read : read + min(ID_CHUNK, limit + 1 - len(rows))]]
        read += len(keys)
        found = (_checked(raw, seals, subject) for raw in connection.execute(_BY_KEY, {"keys": keys}))
        rows += [(row, body) for row, body in found if admits(decode_facets(row["facets"]))]
    return _page(rows, limit, seals)


def _page(rows: Sequence[tuple[Row, bytes | None]], limit: int, seals: Seals) -> Page:
    """The first `limit` of the rows; there is a next page where there are more."""
    references = tuple(_assemble(row, body, seals) for row, body in rows[:limit])
    return Page.of(references, more=len(rows) > limit)


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidInput(f"A page has 1 to {MAX_PAGE} references, not {limit}.", field="page_size")


def count_references(connection: sa.Connection, modality: str, status: Status) -> int:
    """How many references of a modality, or of all where it is empty, have a status."""
    query = sa.select(sa.func.count()).select_from(reference).where(reference.c.status == status.value)
    if modality:
        query = query.where(reference.c.modality == modality)
    return int(connection.execute(query).scalar_one())


def count_unexpunged(connection: sa.Connection) -> int:
    """How many references there are, without tombstones."""
    query = sa.select(sa.func.count()).select_from(reference)
    return int(connection.execute(query.where(reference.c.status != Status.EXPUNGED.value)).scalar_one())


def count_of_owner(connection: sa.Connection, owner: str) -> int:
    """How many references of an owner are not expunged."""
    query = sa.select(sa.func.count()).select_from(reference)
    query = query.where(reference.c.owner == owner, reference.c.status != Status.EXPUNGED.value)
    return int(connection.execute(query).scalar_one())


def not_found(reference_id: str) -> NotFound:
    """The refusal of an id that names nothing."""
    return NotFound(f"There is no reference {reference_id}.", metadata={"reference_id": reference_id})


def _listing(wanted: ListFilter) -> sa.Select[Any]:
    columns = reference.c
    # One owner asks for its own: by no other index, which would lead past the rows of others.
    by_owner = len(wanted.owners) == 1
    usual = unindexed if by_owner else _indexed
    query = _joined(subject).where(columns.key > sa.bindparam("after"))
    if wanted.modality:
        query = query.where(usual(columns.modality) == wanted.modality)
    if wanted.owners:
        query = query.where(columns.owner.in_(sorted(wanted.owners)))
    if wanted.categories:
        query = query.where(usual(columns.category).in_(sorted(c.value for c in wanted.categories)))
    if wanted.statuses:
        query = query.where(usual(columns.status).in_(sorted(s.value for s in wanted.statuses)))
    order = columns.key
    if by_owner and wanted.galleries:
        query = query.where(_MEMBER.where(membership.c.gallery.in_(sorted(wanted.galleries))).exists())
    elif len(wanted.galleries) == 1:
        # The gallery's own index leads in the order of the page: no more is read than the page shows.
        query = query.join(membership, membership.c.key == columns.key)
        query = query.where(
            membership.c.gallery == min(wanted.galleries), membership.c.key > sa.bindparam("after")
        )
        order = membership.c.key
    elif wanted.galleries:
        members = sa.select(membership.c.key).where(membership.c.gallery.in_(sorted(wanted.galleries)))
        query = query.where(columns.key.in_(members))
    return query.order_by(order).limit(sa.bindparam("limit"))


def _indexed(column: sa.Column[str]) -> sa.ColumnElement[str]:
    return column


_MEMBER = sa.select(membership.c.key).where(membership.c.key == reference.c.key).correlate(reference)


def _read(
    connection: sa.Connection, seals: Seals, satellite: sa.Table, ids: Iterable[str]
) -> Iterator[tuple[Row, bytes | None]]:
    for some in chunks(ids):
        for raw in connection.execute(_BY_ID[satellite.name], {"ids": some}):
            yield _checked(raw, seals, satellite)


def _checked(raw: Sequence[Any], seals: Seals, satellite: sa.Table) -> tuple[Row, bytes | None]:
    """A row, its seal checked, and the sealed body that it names.

    Raises:
        Corrupt: the row does not match its seal, or the body is missing or another version.
    """
    *columns, body = raw
    row = checked(columns, seals)
    check_body(row, satellite.name, body)
    return row, body


def _assemble(row: Row, body: bytes | None, seals: Seals) -> Reference:
    name, opened, quality = row["reference_id"], _NOTHING, (Quality(), "")
    if body is not None:
        opened = decode_subject(seals.subjects.unseal(body, aad=place("subject", name)))
    if row["quality"] is not None:
        aad = place("reference", name, "quality")
        quality = decode_quality(seals.subjects.unseal(row["quality"], aad=aad))
    return reference_from(row, opened, quality)

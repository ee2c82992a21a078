"""Checking what is stored, without changing it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from likeness.domain.errors import Corrupt, LikenessError
from likeness.domain.references import Status
from likeness.domain.samples import Template
from likeness.store.audit import read_audit
from likeness.store.backend import Backend
from likeness.store.codec import decode_facets, decode_quality, decode_subject
from likeness.store.followers import check_followers
from likeness.store.inspection import (
    check_ends,
    check_keys,
    check_schema,
    stored_heads,
)
from likeness.store.log import verify_chain
from likeness.store.owner_vault import Erased
from likeness.store.planting import check_commitments
from likeness.store.rows import Row, check_body, checked, chunks
from likeness.store.schema import REVISIONS, log, membership, reference, source, subject, template
from likeness.store.sealing import Seals, place
from likeness.store.tree import check_size, check_tree, has_tree

MAX_PROBLEMS = 100
"""Reported at most; a store with that many is restored, not repaired."""

_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was checked and what was wrong; `problems` are sentences, at most `MAX_PROBLEMS`."""

    log_entries: int
    references: int
    audit_entries: int
    full: bool
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing was wrong."""
        return not self.problems


def verify_store(backend: Backend, connection: sa.Connection, seals: Seals, *, full: bool) -> VerifyReport:
    """Quick: structure, keys, definitions and the recent log. Full: every link, row, blob and entry too."""
    problems: list[str] = []
    references = 0

    def attempt(check: Callable[[], object]) -> None:
        try:
            with backend.guarded():
                check()
        except LikenessError as error:
            problems.append(error.message)

    def check_references() -> None:
        nonlocal references
        for problem in _check_references(connection, seals):
            references += 1
            if problem is not None:
                problems.append(problem)
            if len(problems) >= MAX_PROBLEMS:
                break

    attempt(lambda: backend.check_structure(connection))
    attempt(lambda: check_keys(connection, seals))
    attempt(lambda: check_schema(backend, connection, seals))
    attempt(lambda: check_ends(connection, seals))
    with backend.snapshot(connection):
        heads = stored_heads(connection)
        if full:
            attempt(lambda: verify_chain(connection, seals, 0, heads.log.position))
            attempt(lambda: _check_audit(connection, seals, heads.audit.position))
            attempt(lambda: _check_tree(connection, seals, heads.audit.position))
            attempt(lambda: _check_fold(connection))
            attempt(lambda: _check_followers(backend, connection, seals))
            attempt(check_references)
    return VerifyReport(
        heads.log.position, references, heads.audit.position, full, tuple(problems[:MAX_PROBLEMS])
    )


def _check_audit(connection: sa.Connection, seals: Seals, last: int) -> None:
    for after in range(0, last, _CHUNK):
        read_audit(connection, seals, after, min(after + _CHUNK, last))


def _check_tree(connection: sa.Connection, seals: Seals, end: int) -> None:
    """A store that no server of this release has opened yet has none."""
    if has_tree(connection):
        check_size(connection, end)
        check_tree(connection, 0, end)
        check_commitments(connection, seals, end)


def _check_followers(backend: Backend, connection: sa.Connection, seals: Seals) -> None:
    """Of a store that no server of this release has opened yet there are none."""
    if backend.revision(connection) == REVISIONS[-1]:
        check_followers(connection, seals)


_LAST_CHANGES = (
    sa.select(
        log.c.reference_id,
        sa.func.min(log.c.position).label("first"),
        sa.func.max(log.c.position).label("last"),
    )
    .group_by(log.c.reference_id)
    .subquery()
)
_NOT_FOLDED = (
    sa.select(_LAST_CHANGES.c.reference_id)
    .select_from(_LAST_CHANGES.outerjoin(reference, reference.c.reference_id == _LAST_CHANGES.c.reference_id))
    .where(
        reference.c.key.is_distinct_from(_LAST_CHANGES.c.first)
        | reference.c.position.is_distinct_from(_LAST_CHANGES.c.last)
    )
    .limit(1)
)
_NOT_LOGGED = (
    sa.select(reference.c.reference_id)
    .where(reference.c.reference_id.not_in(sa.select(log.c.reference_id)))
    .limit(1)
)
_MEMBERSHIPS = sa.select(membership.c.gallery).where(membership.c.key == sa.bindparam("key"))
_PARTS = (
    sa.select(*reference.columns, template.c.body, subject.c.body, source.c.body)
    .select_from(
        reference.outerjoin(template, template.c.key == reference.c.key)
        .outerjoin(subject, subject.c.key == reference.c.key)
        .outerjoin(source, source.c.key == reference.c.key)
    )
    .order_by(reference.c.key)
)
_SAMPLE = _PARTS.where(reference.c.key.in_(sa.bindparam("keys", expanding=True)))
_NEXT_KEY = sa.select(sa.func.min(reference.c.key)).where(reference.c.key >= sa.bindparam("start"))


def _check_fold(connection: sa.Connection) -> None:
    """Whether the references are what the log makes of them."""
    for query in (_NOT_FOLDED, _NOT_LOGGED):
        stray = connection.execute(query).scalar()
        if stray is not None:
            raise Corrupt(
                f"Reference {stray!r} is not as the log left it; restore the database from a backup."
            )


def _check_references(connection: sa.Connection, seals: Seals) -> Iterator[str | None]:
    """What is wrong with each reference, None where nothing is."""
    for *columns, template_body, subject_body, source_body in connection.execute(_PARTS):
        try:
            row = checked(columns, seals)
            _check_parts(row, seals, template_body, subject_body, source_body)
            galleries = set(connection.execute(_MEMBERSHIPS, {"key": row["key"]}).scalars())
            if galleries != decode_facets(row["facets"]).galleries:
                raise Corrupt(
                    f"Reference {row['reference_id']} is listed under the wrong galleries; restore the database "
                    "from a backup."
                )
        except LikenessError as error:
            yield error.message
        else:
            yield None


def check_sample(connection: sa.Connection, seals: Seals, count: int) -> int:
    """Open every part of some references, spread over all; returns how many.

    What belongs to an owner that has left is passed over: its key was erased, and nobody can open it.

    Raises:
        Corrupt: one is damaged.
    """
    last = connection.execute(sa.select(sa.func.max(reference.c.key))).scalar() or 0
    starts = range(1, last + 1, max(1, last // count))
    keys = {connection.execute(_NEXT_KEY, {"start": start}).scalar() for start in starts}
    for some in chunks(sorted(keys)):
        for *columns, template_body, subject_body, source_body in connection.execute(_SAMPLE, {"keys": some}):
            try:
                _check_parts(checked(columns, seals), seals, template_body, subject_body, source_body)
            except Erased:
                continue
    return len(keys)


def _check_parts(row: Row, seals: Seals, template_body: Any, subject_body: Any, source_body: Any) -> None:
    name = row["reference_id"]
    check_body(row, "template", template_body)
    check_body(row, "subject", subject_body)
    check_body(row, "source", source_body)
    if row["status"] == Status.EXPUNGED:
        with suppress(Erased):  # given before its owner left
            seals.reasons.unseal(row["reason"], aad=place("reference", name, "reason"))
        return
    Template.from_bytes(seals.templates.unseal(template_body, aad=place("template", name)))
    decode_subject(seals.subjects.unseal(subject_body, aad=place("subject", name)))
    decode_quality(seals.subjects.unseal(row["quality"], aad=place("reference", name, "quality")))
    if source_body is not None:
        seals.sources.unseal(source_body, aad=place("source", name))

"""Sealing under the active key what older keys sealed: templates, subjects, sources and the rows of references.

Only seals change. No entry is added to the log or to the audit, no position moves, and what was erased is not
there to be sealed. Every row is looked at by its bytes, so that a run which was cut short, at any point, is gone on
with by the next one. When nothing is left, the older keys are retired: see `retired.py`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa

from likeness.domain.errors import Corrupt, Precondition
from likeness.domain.storage import ResealReport
from likeness.store.backend import Backend
from likeness.store.followers import reseal_followers
from likeness.store.inspection import forget_key, keys_on_record, record_schema
from likeness.store.retired import record_retired, retired_ids
from likeness.store.rows import Row, check_body, checked
from likeness.store.schema import Blob, reference, source, subject, template
from likeness.store.sealing import Seals, place, tag
from likeness.store.signer_record import reseal_signer
from likeness.store.vault import ID_BYTES, KEY_PREFIX_BYTES, KeyRing, key_of

LOOK_ROWS = 1000
"""References whose keys are looked at in one transaction, which only reads."""

BATCH_ROWS = 64
BATCH_BYTES = 4 * 1024 * 1024
"""Sealed in one transaction, during which nothing else is committed: some milliseconds."""

MAX_PROBLEMS = 100
"""Reported at most; a store with that many is restored, not repaired."""

Transaction = Callable[[Callable[[sa.Connection], Any]], Any]
"""Runs a function in a transaction between two commits of the writer; see `Writer.between_commits`."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A reference by its row's key, and the bytes that each key (16 hexadecimal digits) seals of it."""

    key: int
    bytes_by_key: dict[str, int]


@dataclass(slots=True)
class KeyLoad:
    """What a key seals: so many references, wholly or in part, of so many bytes in all."""

    references: int = 0
    bytes: int = 0


def _key_prefix(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.func.substr(column, 1, KEY_PREFIX_BYTES, type_=Blob)


_BODIES = {"template": template, "subject": subject, "source": source}
_TABLES = (
    reference.outerjoin(template, template.c.key == reference.c.key)
    .outerjoin(subject, subject.c.key == reference.c.key)
    .outerjoin(source, source.c.key == reference.c.key)
)
_LOOK = (
    sa.select(
        reference.c.key,
        reference.c.seal,
        reference.c.quality,
        reference.c.reason,
        _key_prefix(template.c.body),
        sa.func.length(template.c.body),
        _key_prefix(subject.c.body),
        sa.func.length(subject.c.body),
        sa.func.length(source.c.body),
    )
    .select_from(_TABLES)
    .where(reference.c.key > sa.bindparam("after"))
    .order_by(reference.c.key)
    .limit(LOOK_ROWS)
)
_ROWS = (
    sa.select(*reference.columns, *(table.c.body for table in _BODIES.values()))
    .select_from(_TABLES)
    .where(reference.c.key.in_(sa.bindparam("keys", expanding=True)))
)
_CHANGED = ("quality", "reason", *(f"{name}_tag" for name in _BODIES), "seal")
_UPDATE = (
    reference.update()
    .where(reference.c.key == sa.bindparam("of"))
    .values({name: sa.bindparam(f"new_{name}") for name in _CHANGED})
)
_UPDATE_BODY = {
    name: table.update().where(table.c.key == sa.bindparam("of")).values(body=sa.bindparam("new_body"))
    for name, table in _BODIES.items()
}


def look(backend: Backend, connection: sa.Connection, after: int) -> list[Sealed]:
    """Which keys seal what of the next `LOOK_ROWS` references whose row keys follow `after`."""
    with backend.snapshot(connection):  # for the statement and what it leads to
        rows = connection.execute(_LOOK, {"after": after}).all()
        return [_sealed(backend, connection, row) for row in rows]


def _sealed(backend: Backend, connection: sa.Connection, row: Sequence[Any]) -> Sealed:
    key, seal, quality, reason, *heads, source_bytes = row
    found: dict[str, int] = {}

    def add(key_id: str, size: int) -> None:
        found[key_id] = found.get(key_id, 0) + size

    if isinstance(seal, bytes):
        add(seal[:ID_BYTES].hex(), len(seal))
    for blob in (quality, reason):
        if isinstance(blob, bytes):
            add(key_of(blob), len(blob))
    for head, size in zip(heads[::2], heads[1::2], strict=True):
        if isinstance(head, bytes):
            add(key_of(head), size)
    if source_bytes is not None:
        head = backend.first_bytes(connection, source.c.body, key, KEY_PREFIX_BYTES)
        add(key_of(head), source_bytes)
    return Sealed(key, found)


def count_rows(connection: sa.Connection) -> int:
    """How many references there are to look at, the expunged ones too."""
    return int(connection.execute(sa.select(sa.func.count()).select_from(reference)).scalar_one())


def looked_at(
    backend: Backend, reading: Callable[[], AbstractContextManager[sa.Connection]]
) -> Iterator[list[Sealed]]:
    """Every reference, `LOOK_ROWS` at a time, no transaction open in between."""
    after = 0
    while True:
        with reading() as connection:
            some = look(backend, connection, after)
        if not some:
            return
        yield some
        after = some[-1].key


def key_loads(
    backend: Backend,
    reading: Callable[[], AbstractContextManager[sa.Connection]],
    step: Callable[[int], None] = lambda _: None,
) -> dict[str, KeyLoad]:
    """What each key seals, by its id; `step` is called with the number of references just looked at."""
    loads: dict[str, KeyLoad] = {}
    for some in looked_at(backend, reading):
        for sealed in some:
            for key_id, size in sealed.bytes_by_key.items():
                load = loads.setdefault(key_id, KeyLoad())
                load.references += 1
                load.bytes += size
        step(len(some))
    return loads


def reseal(
    backend: Backend,
    reading: Callable[[], AbstractContextManager[sa.Connection]],
    transaction: Transaction,
    seals: Seals,
    *,
    rows: int | None = None,
    rest: float = 0.0,
    stop: threading.Event | None = None,
    step: Callable[[int], None] = lambda _: None,
) -> ResealReport:
    """Seal everything under the active key, and retire the other keys if nothing is left under them.

    Args:
        backend: of the store.
        reading: gives a connection that only reads.
        transaction: runs a function in a transaction that writes.
        seals: of the store.
        rows: at most so many references in one transaction; None means `BATCH_ROWS`.
        rest: for every second of work, seconds in which nothing is done, so that others have the disk.
        stop: set by another thread to end the run early.
        step: called with the number of references just dealt with, those that needed nothing too.

    Raises:
        Unavailable: the disk is full, or the store was closed. What was done stays done.
    """
    report, stopped = ResealReport(), stop or threading.Event()
    active = seals.ring.active
    for some in looked_at(backend, reading):
        old = [sealed for sealed in some if sealed.bytes_by_key.keys() - {active}]
        step(len(some) - len(old))
        for batch in _batches(old, rows or BATCH_ROWS):
            began = time.monotonic()
            keys = [sealed.key for sealed in batch]
            done, problems = transaction(partial(reseal_rows, seals=seals, keys=keys))
            report.references += done
            report.problems += problems[: MAX_PROBLEMS - len(report.problems)]
            step(len(batch))
            if stopped.wait(rest * (time.monotonic() - began)):
                return report
        if stopped.is_set():
            return report
    report.finished = True
    if not report.problems:
        transaction(partial(_retire, backend, seals=seals))
    return report


def _batches(sealed: Iterable[Sealed], rows: int) -> Iterator[list[Sealed]]:
    batch: list[Sealed] = []
    size = 0
    for one in sealed:
        own = sum(one.bytes_by_key.values())
        if batch and (len(batch) >= rows or size + own > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += own
    if batch:
        yield batch


def reseal_rows(connection: sa.Connection, seals: Seals, keys: Sequence[int]) -> tuple[int, list[str]]:
    """Seal these references, as they are now, under the active key.

    Returns how many had something under another key, and what is wrong with those that cannot be opened: they are
    left as they are.
    """
    changed: list[dict[str, Any]] = []
    bodies: dict[str, list[dict[str, Any]]] = {name: [] for name in _BODIES}
    problems: list[str] = []
    for *columns, template_body, subject_body, source_body in connection.execute(_ROWS, {"keys": keys}):
        held = {"template": template_body, "subject": subject_body, "source": source_body}
        try:
            row = checked(columns, seals)
            fresh = _resealed(row, held, seals)
        except (Corrupt, Precondition) as error:
            problems.append(error.message)
            continue
        for name, body in fresh.items():
            bodies[name].append({"of": row["key"], "new_body": body})
        changed.append({"of": row["key"]} | {f"new_{name}": row[name] for name in _CHANGED})
    if changed:
        connection.execute(_UPDATE, changed)
    for name, rows in bodies.items():
        if rows:
            connection.execute(_UPDATE_BODY[name], rows)
    return len(changed), problems


def _resealed(row: Row, held: dict[str, Any], seals: Seals) -> dict[str, bytes]:
    """Bring a row under the active key; returns the bodies that belong to it and changed.

    Raises:
        Corrupt: a part of it cannot be opened.
        Precondition: its owner's key was erased.
    """
    reference_id, owner = row["reference_id"], row["owner"]
    vaults = {"template": seals.templates, "subject": seals.subjects, "source": seals.sources}
    fresh: dict[str, bytes] = {}
    for name, vault in vaults.items():
        body = held[name]
        check_body(row, name, body)
        if body is not None and not vault.is_current_for(owner, body):
            fresh[name] = vault.reseal_for(owner, body, aad=place(name, reference_id))
            row[f"{name}_tag"] = tag(fresh[name])
    quality, reason = row["quality"], row["reason"]
    if quality is not None and not seals.subjects.is_current_for(owner, quality):
        aad = place("reference", reference_id, "quality")
        row["quality"] = seals.subjects.reseal_for(owner, quality, aad=aad)
    if reason is not None and not seals.reasons.is_current_for(owner, reason):
        row["reason"] = seals.reseal_reason(owner, reason, reference_id)
    row["seal"] = seals.sign_row(row)
    return fresh


def _retire(backend: Backend, connection: sa.Connection, seals: Seals) -> None:
    """Record that the other keys seal no reference any more."""
    ring: KeyRing = seals.ring
    old = keys_on_record(connection) - {ring.active}
    if not old:
        return
    for key_id in old | retired_ids(connection):
        record_retired(connection, ring, key_id)
        forget_key(connection, key_id)
    reseal_followers(connection, seals)
    reseal_signer(connection, seals)
    record_schema(backend, connection, seals)

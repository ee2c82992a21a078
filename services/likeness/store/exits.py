"""What is left of owners that have left: expunged when a store is opened with a ring that has not their keys.

The ring decides, the store follows: so an exit that was interrupted is gone on with, and a backup from before an
exit comes up without what belonged to that owner.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import sqlalchemy as sa

from likeness.domain.audit import AuditEntry, JsonValue
from likeness.domain.changes import Expunge, RequestKey, Write
from likeness.domain.ids import new_id
from likeness.domain.operators import OPERATOR
from likeness.domain.references import Caller, Status
from likeness.domain.storage import AuditReceipt, Outcome, only
from likeness.store.owner_keys import leaf_of
from likeness.store.owner_vault import is_erased
from likeness.store.schema import Blob, reference, template
from likeness.store.sealing import OWNER_HAS_LEFT
from likeness.store.vault import LABEL_PREFIX_BYTES, KeyRing

logger = logging.getLogger(__name__)

NOBODY = Caller(OPERATOR)
"""Who acts where the store follows the ring, or a backup is brought up to date: what an operator did before has an
entry of its own."""

_CHUNK = 1000

_NEXT_OWNER = sa.select(sa.func.min(reference.c.owner)).where(reference.c.owner > sa.bindparam("after"))
_LIVE = (
    sa.select(
        reference.c.key,
        reference.c.reference_id,
        reference.c.modality,
        sa.func.substr(template.c.body, 1, LABEL_PREFIX_BYTES, type_=Blob),
    )
    .select_from(reference.outerjoin(template, template.c.key == reference.c.key))
    .where(
        reference.c.owner == sa.bindparam("of"),
        reference.c.status != Status.EXPUNGED.value,
        reference.c.key > sa.bindparam("after"),
    )
    .order_by(reference.c.key)
    .limit(_CHUNK)
)

Reading = Callable[[], AbstractContextManager[sa.Connection]]


@dataclass(frozen=True, slots=True)
class OwnerExit:
    """An owner whose references were expunged because its key was erased.

    `references` of them were, up to `log_position`; the exit is on record as audit entry `audit.position`.
    """

    owner: str
    references: int
    log_position: int
    audit: AuditReceipt


def finish_exits(
    ring: KeyRing,
    reading: Reading,
    write: Callable[[Sequence[Write]], Sequence[Outcome]],
    audit: Callable[[AuditEntry], AuditReceipt],
) -> tuple[OwnerExit, ...]:
    """Expunge what belongs to owners whose keys were erased, and put each exit on record.

    Raises:
        LikenessError: the store cannot be read or written; what was done stays done.
    """
    done = []
    for owner in _owners_gone(ring, reading):
        count = position = 0
        for some in _left_behind(ring, reading, owner):
            position = [only([outcome]).position for outcome in write(some)][-1]
            count += len(some)
        if count:
            logger.warning("An owner has left: %d references were expunged.", count)
            done.append(OwnerExit(owner, count, position, audit(exit_entry(owner, count, position))))
    return tuple(done)


def exit_entry(owner: str, references: int, log_position: int) -> AuditEntry:
    """The entry of an owner that has left, of whose references so many were expunged, up to a log position."""
    details: dict[str, JsonValue] = {"owner": owner, "references": references, "reason": OWNER_HAS_LEFT}
    return AuditEntry("ExpungeOwner", NOBODY, "OK", log_position=log_position, details=details)


def _owners_gone(ring: KeyRing, reading: Reading) -> list[str]:
    """Those owners of references of whom some key was erased."""
    if all(keys.is_whole for keys in ring.owners.values()):
        return []
    with reading() as connection:
        return [
            owner
            for owner in stored_owners(connection)
            if not all(keys.holds(leaf_of(owner)) for keys in ring.owners.values())
        ]


def stored_owners(connection: sa.Connection) -> Iterator[str]:
    """The owners of all references, expunged ones too, each once, in order."""
    owner = connection.execute(_NEXT_OWNER, {"after": ""}).scalar()
    while owner is not None:
        yield owner
        owner = connection.execute(_NEXT_OWNER, {"after": owner}).scalar()


def _left_behind(ring: KeyRing, reading: Reading, owner: str) -> Iterator[list[Write]]:
    """Expungements of what an owner left; where it came back after a rotation, of what it left before that."""
    active = ring.owners.get(ring.active)
    gone = active is not None and not active.holds(leaf_of(owner))
    after = 0
    while True:
        with reading() as connection:
            rows = connection.execute(_LIVE, {"of": owner, "after": after}).all()
        if not rows:
            return
        after = rows[-1].key
        left = [
            expungement(name, modality, OWNER_HAS_LEFT)
            for _, name, modality, head in rows
            if gone or is_erased(ring, head)
        ]
        if left:
            yield left


def expungement(reference_id: str, modality: str, reason: str) -> Write:
    """An expungement that no caller asked for, with its entry of the audit."""
    digest = hashlib.sha256(f"{reason}: {reference_id}".encode()).digest()
    details: dict[str, JsonValue] = {"reference_id": reference_id, "reason": reason}
    act = AuditEntry("Expunge", NOBODY, "OK", modality=modality, details=details)
    return Write(RequestKey(NOBODY.entity, new_id(), digest), Expunge(reference_id, 0, reason), act)

"""What a bureau oversees: it cuts its entities off and resumes them, and reads who received its references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from likeness.domain.access import OversightAction
from likeness.domain.audit import REFERENCE, TARGET, JsonValue
from likeness.domain.deadline import Deadline
from likeness.domain.errors import InvalidInput, NotFound
from likeness.domain.oversight import Received, ReceivedFilter, Record, SuspendedEntity, Suspending
from likeness.domain.references import Caller
from likeness.domain.storage import AuditReceipt
from likeness.engine.audit import audit_oversight

STRETCH = 100
"""Acts of the audit that are read at once: an entry may have some thousand references, and each is decrypted."""


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """What of the record is wanted, of the caller's own references.

    `reference_id` or `subject_id` narrows them down. `since` and `until` are aware, the second excluded. Acts after
    the position `after` alone.
    """

    reference_id: str = ""
    subject_id: str = ""
    since: datetime | None = None
    until: datetime | None = None
    after: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """A record that is being read, from `position` to `last`; `receipt` is of the entry that says so."""

    wanted: ReceivedFilter
    position: int
    last: int
    receipt: AuditReceipt

    @property
    def is_complete(self) -> bool:
        """Whether everything was read."""
        return self.position >= self.last


class Oversight:
    """Acts about entities and the record, each on record before it is done. Safe to use from many threads.

    Args:
        record: what is read, and what the acts go on.
        suspending: cuts entities off.
    """

    def __init__(self, record: Record, suspending: Suspending) -> None:
        self._record = record
        self._suspending = suspending

    def suspend(self, caller: Caller, entity: str, reason: str) -> tuple[SuspendedEntity, AuditReceipt]:
        """Cut an entity off; in force on return.

        Raises:
            InvalidInput: it is the caller's own, in whose name nobody could then resume it.
            Denied, Precondition: see `Suspending.suspend`.
        """
        if entity == caller.entity:
            raise InvalidInput(
                f"'{entity}' would cut itself off, and could not resume itself; ask in the name of another entity "
                "of your bureau, or let the operator of this service do it.",
                field="entity",
                reason="SUSPENDS_ITSELF",
            )
        receipts: list[AuditReceipt] = []

        def record() -> int:
            details: dict[str, JsonValue] = {TARGET: entity, "reason": reason}
            receipts.append(self._audit(OversightAction.SUSPEND_ENTITY, caller, details))
            return receipts[0].position

        done = self._suspending.suspend(caller, entity, reason, record)
        return done, receipts[0]

    def resume(self, caller: Caller, entity: str) -> tuple[bool, AuditReceipt]:
        """Let an entity call again; in force on return. Whether it was cut off.

        Raises:
            Denied, Precondition: see `Suspending.suspend`.
        """
        receipts: list[AuditReceipt] = []

        def record(resumed: bool) -> None:
            details: dict[str, JsonValue] = {TARGET: entity, "resumed": resumed}
            receipts.append(self._audit(OversightAction.RESUME_ENTITY, caller, details))

        resumed = self._suspending.resume(caller, entity, record)
        return resumed, receipts[0]

    def suspensions(
        self, caller: Caller, after: str, size: int
    ) -> tuple[Sequence[SuspendedEntity], bool, AuditReceipt]:
        """A page of what is cut off in the caller's bureau, by name, after one; and whether there are more."""
        rows = [row for row in self._suspending.suspended_in_bureau_of(caller.entity) if row.entity > after]
        page = rows[:size]
        details: dict[str, JsonValue] = {"after": after, "entities": [row.entity for row in page]}
        receipt = self._audit(OversightAction.LIST_SUSPENSIONS, caller, details)
        return page, len(rows) > size, receipt

    def begin(self, caller: Caller, query: RecordQuery, deadline: Deadline) -> Reading:
        """Begin to read who received references of the caller, up to the acts of now; that is then on record.

        Raises:
            NotFound: the caller has no reference of the subject.
            DeadlineExceeded: time ran out.
        """
        references = self._references(caller.entity, query, deadline)
        wanted = ReceivedFilter(caller.entity, references, query.since, query.until)
        last = max(self._record.audit_head().position, query.after)
        details: dict[str, JsonValue] = {"after": query.after, "last": last}
        if query.reference_id:
            details[REFERENCE] = query.reference_id
        elif references is not None:
            details["references"] = sorted(references)
        for name, moment in (("since", query.since), ("until", query.until)):
            if moment is not None:
                details[name] = moment.isoformat()
        receipt = self._audit(OversightAction.READ_RECORD, caller, details)
        return Reading(wanted, query.after, last, receipt)

    def read(self, reading: Reading, most: int) -> tuple[Sequence[Received], Reading]:
        """The next stretch of a record, and the reading from there on; it ends after the act that fills `most`.

        Raises:
            Corrupt: an entry is missing or damaged.
        """
        end = min(reading.position + STRETCH, reading.last)
        rows = self._record.received(reading.wanted, reading.position, end)
        if len(rows) > most:
            end = rows[most - 1].position
            rows = [row for row in rows if row.position <= end]
        return rows, replace(reading, position=end)

    def _references(self, owner: str, query: RecordQuery, deadline: Deadline) -> frozenset[str] | None:
        if query.reference_id:
            return frozenset({query.reference_id})
        if not query.subject_id:
            return None
        found = self._record.references_of(owner, query.subject_id, deadline)
        if not found:
            raise NotFound(
                f"{owner} has no reference of the subject {query.subject_id!r}. An expunged one no longer says "
                "whose it was: ask for it by its identifier."
            )
        return found

    def _audit(
        self, action: OversightAction, caller: Caller, details: Mapping[str, JsonValue]
    ) -> AuditReceipt:
        return self._record.audit(audit_oversight(action, caller, details))

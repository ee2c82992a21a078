"""What a bureau oversees: which entities are cut off, and who received whose references. The ports for both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from likeness.domain.access import Level
from likeness.domain.deadline import Deadline
from likeness.domain.references import Caller, Purpose
from likeness.domain.storage import Ledger


@dataclass(frozen=True, slots=True)
class SuspendedEntity:
    """An entity that is cut off.

    `since` is aware; `by` and `reason` are who did it and why; `audit` is the position of its entry of the audit, 0
    where there is none.
    """

    entity: str
    since: datetime
    by: str = ""
    reason: str = ""
    audit: int = 0


@runtime_checkable
class Suspending(Protocol):
    """Access whose entities can be cut off. Safe to use from many threads."""

    def suspend(self, caller: Caller, entity: str, reason: str, record: Callable[[], int]) -> SuspendedEntity:
        """Cut an entity off; in force on return. One that is cut off already keeps its time and gets the reason,
        unless an operator cut it off: then all stays as it is.

        Args:
            caller: who asks for it.
            entity: which one.
            reason: why.
            record: puts the act on record, at the position that it returns; called before anything is changed, and
                what it raises stops that.

        Raises:
            Denied: the caller's entity is cut off itself.
            InvalidInput: the file of what is cut off is malformed.
            Precondition: the file cannot be written, or what is in it cannot be taken.
        """

    def resume(self, caller: Caller, entity: str, record: Callable[[bool], None]) -> bool:
        """Let an entity call again; in force on return. Whether it was cut off, with which `record` is called.

        Arguments and errors are those of `suspend`; it is also Denied where an operator cut the entity off.
        """

    def suspended_in_bureau_of(self, entity: str) -> Sequence[SuspendedEntity]:
        """The entities that are cut off, of the bureau of this one, by name."""


@dataclass(frozen=True, slots=True)
class Received:
    """A reference that an act on record answered: what its owner may know of who received it.

    `position` is the act's in the audit; `level` is None where a release wrote it that did not record it.
    """

    at: datetime
    position: int
    entity: str
    purpose: Purpose
    method: str
    reference_id: str
    level: Level | None


@dataclass(frozen=True, slots=True)
class ReceivedFilter:
    """Whose references are meant, and when they were received.

    `references` narrows those of the owner down; None means all. `since` and `until` are aware, the second
    excluded.
    """

    owner: str
    references: frozenset[str] | None = None
    since: datetime | None = None
    until: datetime | None = None


class Receipts(Protocol):
    """The record as an owner may read it. Safe to use from many threads."""

    def received(self, wanted: ReceivedFilter, after: int, last: int) -> Sequence[Received]:
        """What the acts in (after, last] answered of it, in their order; all of these are read at once.

        Raises:
            Corrupt: an entry is missing or damaged.
        """

    def references_of(self, owner: str, subject: str, deadline: Deadline) -> frozenset[str]:
        """The references that an owner has of a subject; an expunged one no longer says whose it was.

        Raises:
            DeadlineExceeded: time ran out.
            Corrupt: a reference is damaged.
        """


class Record(Ledger, Receipts, Protocol):
    """What oversight reads, and is itself put on."""

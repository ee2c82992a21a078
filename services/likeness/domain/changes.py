"""Changes as they are asked for, and the log that they become."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from likeness.domain.audit import AuditEntry
from likeness.domain.errors import Corrupt
from likeness.domain.references import Facets, Reference
from likeness.domain.samples import Template


class ChangeKind(StrEnum):
    """What a log entry did to its reference."""

    ENROL = "enrol"
    UPDATE = "update"
    EXPUNGE = "expunge"


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Makes a write idempotent: the same key with the same digest is answered with the first receipt.

    `digest` is a SHA-256 over the request's content, so that a request id used again for something else is
    noticed. Whoever has it can try out what the content was: it is kept under a key.
    """

    entity: str
    request_id: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Enrol:
    """Add a reference with its template and, where policy keeps it, its source bytes."""

    reference: Reference
    template: Template
    source: bytes | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """Replace the description and facets of a reference.

    `expected_position` is the position at which the caller read it; another change in between is refused.
    """

    reference: Reference
    expected_position: int


@dataclass(frozen=True, slots=True)
class Expunge:
    """Erase the template, subject metadata and source of a reference; a tombstone with the reason remains."""

    reference_id: str
    expected_position: int
    reason: str = ""


Change = Enrol | Update | Expunge


@dataclass(frozen=True, slots=True)
class Write:
    """A change, the key that makes it idempotent, and the audit entry that is committed with it.

    The store adds the log position to the entry, and to that of a replayed write that it is one. A refused write
    leaves none: whoever answers the refusal puts it on record.
    """

    key: RequestKey
    change: Change
    audit: AuditEntry | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The durable acknowledgement of a write. `replayed`: an earlier request with this key already did it."""

    reference_id: str
    position: int
    at: datetime
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One committed change. `facets` are those after the change; None for an expunged reference.

    `template` is present for an enrolment whose reference has not been expunged since.
    """

    position: int
    kind: ChangeKind
    modality: str
    reference_id: str
    at: datetime
    facets: Facets | None
    template: Template | None = None


def unknown_kind(position: int, kind: str) -> Corrupt:
    """The error for a log entry of a kind that this release does not know.

    Nothing may pass over such an entry: what it did to its reference would be missing in every answer.
    """
    return Corrupt(
        f"A newer release wrote this log: entry {position} is of kind {kind!r}, which this release does not know. "
        "Run the release that wrote it, or a newer one.",
        reason="LOG_TOO_NEW",
        metadata={"position": str(position)},
    )

"""The port of storage: what the engine asks of a store, whatever keeps it.

A store is a log of changes, the references that the log makes, and a ledger that takes changes and acts and gives
receipts for them. `likeness.store` is one; tests may be another.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from likeness.domain.audit import AuditEntry
from likeness.domain.changes import ChangeKind, LogEntry, Receipt, RequestKey, Write
from likeness.domain.deadline import Deadline
from likeness.domain.errors import InvalidInput, LikenessError
from likeness.domain.quotas import Charge
from likeness.domain.references import Category, Facets, Reference, Status
from likeness.domain.samples import Template

Outcome = Receipt | LikenessError
"""Of one write: it is durable, or was refused."""

Listener = Callable[[Sequence[LogEntry]], None]
"""Called with the entries of a commit, in order."""

_LIVE = frozenset({Status.ACTIVE, Status.SUSPENDED})


@dataclass(frozen=True, slots=True)
class AuditReceipt:
    """Where an entry stands in the audit chain; `digest` is 32 bytes."""

    position: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Derived:
    """What a named follower derived from the log entries in (after, position]: acts for the audit, in order."""

    follower: str
    after: int
    position: int
    acts: Sequence[AuditEntry] = ()


@dataclass(frozen=True, slots=True)
class ListFilter:
    """Which references a list shows; an empty set means any. Expunged ones only where asked for."""

    modality: str = ""
    owners: frozenset[str] = frozenset()
    galleries: frozenset[str] = frozenset()
    categories: frozenset[Category] = frozenset()
    statuses: frozenset[Status] = _LIVE


@dataclass(frozen=True, slots=True)
class Page:
    """References in the order of their enrolment; `next_token` is empty on the last page."""

    references: tuple[Reference, ...]
    next_token: str = ""

    @classmethod
    def of(cls, references: tuple[Reference, ...], *, more: bool) -> Page:
        """A page of these references; `more` says whether another follows it."""
        return cls(references, str(references[-1].enrolled_position) if more and references else "")

    def first(self, count: int) -> Page:
        """The page that ends after the first `count` of these references, at least one."""
        return self if count >= len(self.references) else Page.of(self.references[:count], more=True)

    def merged(self, other: Page, limit: int) -> Page:
        """The page of both lists together, each the first `limit` of its own; what stands in both is shown once."""
        both = {r.enrolled_position: r for r in (*self.references, *other.references)}
        ordered = tuple(both[position] for position in sorted(both))
        more = len(ordered) > limit or bool(self.next_token or other.next_token)
        return Page.of(ordered[:limit], more=more)


def parse_token(token: str) -> int:
    """The log position after which the page of a token begins; 0 for the first page.

    Raises:
        InvalidInput: it is not a token that a list returned.
    """
    if not token:
        return 0
    if not token.isascii() or not token.isdigit() or len(token) > 18:
        raise InvalidInput(
            "The page token is not one that List returned; begin again without one.", field="page_token"
        )
    return int(token)


@dataclass(slots=True)
class ResealReport:
    """What a run did: references resealed, why others could not be, and whether it came to the end."""

    references: int = 0
    problems: list[str] = field(default_factory=list)
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes on the disk of a store: those that it may still take, and all of them."""

    free: int
    total: int


def any_facets(facets: Facets) -> bool:
    """Whether a reference is listed, where nothing but the filter says so: it is."""
    del facets
    return True


class Log(Protocol):
    """Every change as one entry with a position, in the order in which they were committed."""

    def head(self) -> int:
        """The position of the last committed entry; 0 while the log is empty."""

    def tail(self, after: int, *, modality: str | None = None, limit: int = ...) -> Sequence[LogEntry]:
        """Up to `limit` entries after a position, of one modality or of all.

        Enrolments carry their template unless the reference has been expunged since. Nothing means that there was
        nothing up to the head at the time of the call.

        Raises:
            Corrupt: an entry is missing or damaged, or a template is.
        """

    def follow(self, listener: Listener) -> int:
        """Call the listener with every later commit, in order, before its callers are answered.

        It is called in the thread that commits, so it must be quick and must not write. Returns the log position
        after which it is called with everything.
        """

    def unfollow(self, listener: Listener) -> None:
        """Call the listener no more."""


class References(Protocol):
    """What the log makes: the references as they stand."""

    def get(self, reference_id: str) -> Reference:
        """One reference; an expunged one as its tombstone, without subject or quality.

        Raises:
            NotFound: there is no such reference.
            Corrupt: it is damaged.
        """

    def get_many(self, reference_ids: Iterable[str], *, owner: str = "") -> dict[str, Reference]:
        """Those of the references that exist, by id; where an owner is named, only those that are its own.

        Raises:
            Corrupt: one is damaged.
        """

    def templates(self, reference_ids: Iterable[str]) -> dict[str, Template]:
        """The templates of those references that exist and are not expunged, by id.

        Raises:
            Corrupt: one is damaged.
        """

    def source(self, reference_id: str) -> bytes | None:
        """The bytes that a reference was enrolled from, where policy keeps them.

        Raises:
            NotFound: there is no such reference.
            Corrupt: they are damaged.
        """

    def count(self, modality: str = "", status: Status = Status.ACTIVE) -> int:
        """How many references of a modality, or of all, have a status."""

    def page(
        self,
        positions: Sequence[int] | NDArray[np.int64],
        limit: int,
        *,
        admits: Callable[[Facets], bool],
        deadline: Deadline,
    ) -> Page:
        """A page of the references that were enrolled at these log positions, ascending.

        No more is read than is shown, and what was changed meanwhile so that `admits` refuses it.

        Raises:
            InvalidInput: the limit is wrong.
            DeadlineExceeded: time ran out.
            Corrupt: a reference is damaged.
        """

    def list(
        self,
        wanted: ListFilter,
        token: str = "",
        limit: int = 100,
        *,
        admits: Callable[[Facets], bool] = any_facets,
    ) -> Page:
        """A page of references in the order of enrolment, of those that `admits` lets pass.

        Raises:
            InvalidInput: the token or the limit is wrong.
            Corrupt: a reference is damaged.
        """


class Ledger(Protocol):
    """Takes changes and acts; what it gives a receipt for is durable."""

    @property
    def is_full(self) -> bool:
        """Whether there is no space to enrol in: what is not needed for audit and erasure should not be written."""

    @property
    def is_failing(self) -> bool:
        """Whether the last commit failed: what cannot be put on record is not answered, so nothing is until one
        succeeds."""

    def write(self, writes: Sequence[Write]) -> Sequence[Outcome]:
        """Do the writes in order; returns, once they are durable, a receipt or the refusal for each."""

    def receipt(self, key: RequestKey, kind: ChangeKind, of: str) -> Receipt | None:
        """What an earlier request with this key was given; None where there was none.

        So that a replay is recognised before its sample is looked at. `kind` and `of` are what the caller is about
        to do: an enrolment of a modality, or a change of a reference id.

        Raises:
            Conflict: the request id was used for something else.
            Corrupt: the entry of that request is damaged.
        """

    def audit(self, entry: AuditEntry, charges: Sequence[Charge] = ()) -> AuditReceipt:
        """Put an act on record and count what it uses of quotas, in one transaction; returns once it is durable.

        Raises:
            QuotaReached: a quota is used up; nothing was written but counts beyond a limit.
            InvalidInput: the entry is too long or is not JSON.
            Unavailable: it could not be written.
        """

    def audit_head(self) -> AuditReceipt:
        """The end of the audit chain; position 0 while it is empty."""

    def probe_digest(self, data: bytes) -> str:
        """A keyed digest of a probe for the audit: it can be recognised by this store, not guessed by others."""


class Followers(Protocol):
    """Whoever derives something from each entry of the log exactly once, by name, across restarts.

    A follower asks for its position, takes the entries after it from the log, and hands in what it derived from
    them together with the position that it came to. Both become durable, or neither does.
    """

    def followed(self, follower: str) -> int:
        """The log position up to which a follower has derived what it derives; 0 for one that never did.

        Raises:
            Corrupt: it is damaged.
        """

    def advance(self, derived: Derived) -> Sequence[AuditReceipt]:
        """Put what a follower derived on record and move it, in one transaction; returns once that is durable.

        Raises:
            Stale: the follower is not at `derived.after`, because another took that step; nothing was written.
            InvalidInput: the log does not reach as far, or something cannot be stored.
            Unavailable: it could not be written; neither the acts nor the position were.
        """


class SnapshotSeal(Protocol):
    """Encryption, under the keys of a store, of its snapshots."""

    @property
    def prefix_bytes(self) -> int:
        """How much of a sealed blob names its key."""

    def seal(self, plaintext: bytes | memoryview, /, *, aad: bytes) -> bytes:
        """Encrypt and authenticate."""

    def unseal(self, sealed: bytes | memoryview, /, *, aad: bytes) -> bytes:
        """Decrypt.

        Raises:
            Corrupt: it is damaged, or belongs elsewhere.
            WrongKey: its key is not in the ring.
        """

    def is_current(self, blob: bytes | memoryview, /) -> bool:
        """Whether a sealed blob, or its beginning, is sealed under the active key."""

    def key_of(self, blob: bytes | memoryview, /) -> str:
        """The id of the key that a sealed blob, or its beginning, names."""


class Housekeeping(Protocol):
    """What keeps a store in order while it is served."""

    def hold_reserve(self) -> bool:
        """Hold the reserve again if there is room for it, so that enrolment goes on; whether it is held now."""

    def sizes(self) -> Mapping[str, int]:
        """Bytes of what is stored, by kind; every kind is there."""

    def space(self) -> Space:
        """The space of the disk that it is stored on."""

    def snapshot_seal(self) -> SnapshotSeal:
        """Encryption of the snapshots of indices."""

    def old_keys(self) -> frozenset[str]:
        """The keys other than the active one that something is still sealed with."""

    def prune_quotas(self) -> int:
        """Delete counts of windows that have ended, some thousands at a time; returns how many were.

        Raises:
            Unavailable: the disk is full, or the store was closed.
        """

    def reseal(
        self,
        *,
        rows: int | None = None,
        rest: float = 0.0,
        stop: threading.Event | None = None,
        step: Callable[[int], None] = ...,
    ) -> ResealReport:
        """Seal under the active key what older keys sealed; others go on meanwhile.

        Args:
            rows: at most so many references in one transaction; None leaves it to the store.
            rest: for every second of work, seconds in which nothing is done.
            stop: set by another thread to end the run early.
            step: called with the number of references just dealt with.

        Raises:
            Unavailable: the disk is full, or the store was closed. What was done stays done.
        """


class Storage(Log, References, Ledger, Followers, Housekeeping, Protocol):
    """All that the engine asks of a store. Safe to use from many threads."""


def only(outcomes: Sequence[Outcome]) -> Receipt:
    """The receipt of a single write.

    Raises:
        LikenessError: the write was refused.
    """
    (outcome,) = outcomes
    if isinstance(outcome, LikenessError):
        raise outcome
    return outcome

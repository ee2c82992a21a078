"""The one tree of errors.

Every error has a *kind* (what class of trouble, from which the gRPC code follows), a *reason* (a constant
that a client may test for) and *metadata* (names and numbers, never personal data). The message says what
was wrong, with which input, and what to do about it. `rpc/errors.py` is the only place that turns these into
`google.rpc.Status`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class ErrorKind(StrEnum):
    """The class of an error; each maps to exactly one gRPC status code."""

    INVALID = "INVALID_ARGUMENT"
    PRECONDITION = "FAILED_PRECONDITION"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "ALREADY_EXISTS"
    ABORTED = "ABORTED"
    DENIED = "PERMISSION_DENIED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    EXHAUSTED = "RESOURCE_EXHAUSTED"
    DEADLINE = "DEADLINE_EXCEEDED"
    UNAVAILABLE = "UNAVAILABLE"
    CORRUPT = "DATA_LOSS"
    INTERNAL = "INTERNAL"


class LikenessError(Exception):
    """Root of the tree.

    Args:
        message: what was wrong, with which input, and the remedy, in one or two sentences.
        reason: overrides the class's reason with a more exact constant (UPPER_SNAKE_CASE).
        metadata: string pairs that travel with the error (`ErrorInfo.metadata`).
    """

    kind: ErrorKind = ErrorKind.INTERNAL
    reason: str = "INTERNAL"
    field: str = ""
    """The field of the request that is wrong, where it is one."""
    retry_after: float | None = None
    """Seconds after which the same request may succeed, where the service knows."""
    timings: Mapping[str, float] = MappingProxyType({})
    """Seconds by stage that were spent in vain, where they were measured; they are observed, and not answered."""

    def __init__(
        self, message: str, *, reason: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        if reason is not None:
            self.reason = reason
        self.metadata: dict[str, str] = dict(metadata or {})


class InvalidInput(LikenessError):
    """A request, a file or a parameter breaks its contract. `field` names the offending request field."""

    kind = ErrorKind.INVALID
    reason = "INVALID_INPUT"

    def __init__(
        self,
        message: str,
        *,
        field: str = "",
        reason: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata)
        self.field = field


class SampleRejected(InvalidInput):
    """A sample was readable but cannot be used: no face, too small, several faces, too blurred."""

    reason = "SAMPLE_REJECTED"


class NotFound(LikenessError):
    """No such thing, or the caller may not know of it; the two are deliberately not distinguished."""

    kind = ErrorKind.NOT_FOUND
    reason = "NOT_FOUND"


class Conflict(LikenessError):
    """The identifier is already taken, or a request id was used again with other content."""

    kind = ErrorKind.CONFLICT
    reason = "ALREADY_EXISTS"


class Stale(LikenessError):
    """The thing changed since the caller read it; read again and retry."""

    kind = ErrorKind.ABORTED
    reason = "CONCURRENT_CHANGE"


class Precondition(LikenessError):
    """The system or the reference is not in a state that allows this."""

    kind = ErrorKind.PRECONDITION
    reason = "FAILED_PRECONDITION"


class Denied(LikenessError):
    """The caller is known and may not do this. `decided_by`: the policies that forbid it, by their ids."""

    decided_by: tuple[str, ...] = ()

    kind = ErrorKind.DENIED
    reason = "PERMISSION_DENIED"


class Unauthenticated(LikenessError):
    """The request does not say who asks. `field` names the request field that should."""

    kind = ErrorKind.UNAUTHENTICATED
    reason = "CALLER_UNKNOWN"
    field = "caller.entity"


class Unproven(Unauthenticated):
    """Whoever calls has not proven who they are: by no certificate or token, or by one that is not taken."""

    reason = "IDENTITY_UNPROVEN"
    field = ""


class Exhausted(LikenessError):
    """A limit on size, pixels or concurrency was reached."""

    kind = ErrorKind.EXHAUSTED
    reason = "RESOURCE_EXHAUSTED"


class TooBusy(Exhausted):
    """As much is under way as the service takes; `retry_after` is in seconds."""

    reason = "TOO_BUSY"

    def __init__(
        self, message: str, *, retry_after: float = 1.0, metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, metadata=metadata)
        self.retry_after = retry_after


class DeadlineExceeded(LikenessError):
    """The caller's time ran out before the work was done; nothing was half-done."""

    kind = ErrorKind.DEADLINE
    reason = "DEADLINE_EXCEEDED"


class Unavailable(LikenessError):
    """The service is starting, draining or without a part it needs; try again later."""

    kind = ErrorKind.UNAVAILABLE
    reason = "UNAVAILABLE"


class Corrupt(LikenessError):
    """Stored bytes do not match their seal, digest or chain; they are refused, never served."""

    kind = ErrorKind.CORRUPT
    reason = "DATA_CORRUPT"


class WrongKey(Corrupt):
    """The key ring does not open the stored data."""

    kind = ErrorKind.PRECONDITION
    reason = "WRONG_KEY"

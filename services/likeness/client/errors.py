"""One class of error per status code, with what the service sent with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from likeness.client import handshake

_DETAILS_KEY = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field of the request that is wrong, and why."""

    field: str
    description: str


class CallFailed(Exception):
    """An RPC failed.

    `code` is its status; `message` was written for people; `reason` is a constant to test for: the service's, or
    `HANDSHAKE_FAILED` where no connection came about over TLS, or empty. `retry_after` is in seconds.
    """

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        field_violations: tuple[FieldViolation, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.field_violations = field_violations
        self.retry_after = retry_after

    @property
    def is_transient(self) -> bool:
        """Whether the same request may succeed if it is sent again.

        RESOURCE_EXHAUSTED is, only if the service stated when to come back: a message that is too large stays so.
        CANCELLED is, if the service gave no reason: its transport ends so what it cannot take in (whoever cancels a
        call of its own does not ask).
        """
        if self.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return self.retry_after is not None
        if self.code is grpc.StatusCode.CANCELLED:
            return not self.reason
        return self.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


class Aborted(CallFailed):
    """The reference changed since it was read; read it again."""


class AlreadyExists(CallFailed):
    """The request id was used for other content, or the identifier is taken."""


class Cancelled(CallFailed):
    """The call was cancelled."""


class DataLoss(CallFailed):
    """The service found stored data damaged and refused to serve it."""


class DeadlineExceeded(CallFailed):
    """Time ran out."""


class FailedPrecondition(CallFailed):
    """The service or the reference is not in a state that allows this."""


class Internal(CallFailed):
    """The service failed; `metadata["incident"]` is what its operator needs."""


class InvalidArgument(CallFailed):
    """The request or the sample is wrong; see `reason` and `field_violations`."""


class NotFound(CallFailed):
    """There is no such reference that the caller may know of."""


class PermissionDenied(CallFailed):
    """The caller may not do this."""


class ResourceExhausted(CallFailed):
    """A limit was reached."""


class Unauthenticated(CallFailed):
    """The request does not say who asks."""


class Unavailable(CallFailed):
    """The service cannot be reached, or is starting or stopping."""


class Unimplemented(CallFailed):
    """The service does not have this method."""


CLASSES: Mapping[grpc.StatusCode, type[CallFailed]] = {
    grpc.StatusCode.ABORTED: Aborted,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.CANCELLED: Cancelled,
    grpc.StatusCode.DATA_LOSS: DataLoss,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.INTERNAL: Internal,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.UNIMPLEMENTED: Unimplemented,
}


_CODES: Mapping[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


def from_rpc(error: grpc.RpcError) -> CallFailed:
    """The typed error for one that grpc raised, synchronous or asynchronous."""
    call = cast(grpc.Call, error)
    return build(call.code(), call.details() or "", call.trailing_metadata() or ())


def build(
    code: grpc.StatusCode, message: str, trailers: Iterable[tuple[str, str | bytes]] = ()
) -> CallFailed:
    """The typed error for a status and its trailers."""
    return _built(code, message, _details(trailers))


def from_status(status: status_pb2.Status) -> CallFailed:
    """The typed error for the status of one item of a stream."""
    return _built(_CODES.get(status.code, grpc.StatusCode.UNKNOWN), status.message, status)


def _built(code: grpc.StatusCode, message: str, status: status_pb2.Status) -> CallFailed:
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    for detail in status.details:
        for known in (info, bad, retry):
            if detail.Is(known.DESCRIPTOR):
                detail.Unpack(known)
    means = handshake.meaning(message) if code is grpc.StatusCode.UNAVAILABLE and not info.reason else ""
    return CLASSES.get(code, CallFailed)(
        f"{means} ({message})" if means else message or code.name,
        code=code,
        reason=handshake.REASON if means else info.reason,
        metadata=info.metadata,
        field_violations=tuple(FieldViolation(v.field, v.description) for v in bad.field_violations),
        retry_after=retry.retry_delay.ToNanoseconds() / 1e9 if retry.HasField("retry_delay") else None,
    )


def _details(trailers: Iterable[tuple[str, str | bytes]]) -> status_pb2.Status:
    for key, value in trailers:
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                break
    return status_pb2.Status()

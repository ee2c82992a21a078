"""The only place that turns errors into `google.rpc.Status`, with ErrorInfo, BadRequest and RetryInfo.

See https://google.aip.dev/193 for the model. A client tests `ErrorInfo.reason`; a person reads the message.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

from likeness.domain.errors import ErrorKind, LikenessError
from likeness.telemetry import logs

DOMAIN = "likeness"

# A status travels in the trailers, of which a peer accepts 8 KiB at the least (grpc.max_metadata_size), and it
# travels twice: as text and as google.rpc.Status. What is longer is cut, or the client would get no reason.
_MAX_MESSAGE = 1024  # characters
_MAX_VALUE = 256  # characters of one metadata value
_MAX_ENTRIES = 16  # metadata entries

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """What a client learns of an error."""

    kind: ErrorKind
    reason: str
    message: str
    metadata: dict[str, str] = field(default_factory=dict)
    field: str = ""
    retry_after: float | None = None

    @property
    def code(self) -> grpc.StatusCode:
        """The gRPC status code."""
        return grpc.StatusCode[self.kind.value]


class _Aborts(Protocol):
    async def abort(
        self, code: grpc.StatusCode, details: str, trailing_metadata: tuple[tuple[str, str | bytes], ...]
    ) -> NoReturn: ...


def report_of(error: Exception) -> ErrorReport:
    """What a client learns of an error.

    An error of our tree speaks for itself. Anything else is a fault of ours: it is logged with its stack under
    an incident id, and the client learns the id alone.
    """
    if isinstance(error, LikenessError):
        if error.kind in (ErrorKind.INTERNAL, ErrorKind.CORRUPT):
            logs.event(_logger, logging.ERROR, "request failed", error=error)
        return ErrorReport(
            kind=error.kind,
            reason=error.reason,
            message=error.message[:_MAX_MESSAGE],
            metadata={k: v[:_MAX_VALUE] for k, v in list(error.metadata.items())[:_MAX_ENTRIES]},
            field=error.field,
            retry_after=error.retry_after,
        )
    incident = secrets.token_hex(8)
    logs.event(_logger, logging.ERROR, "request failed unexpectedly", error=error, incident=incident)
    return ErrorReport(
        kind=ErrorKind.INTERNAL,
        reason="INTERNAL",
        message=f"The service failed; nothing was half-done. Give the operator the incident id {incident}.",
        metadata={"incident": incident},
    )


def to_status(report: ErrorReport) -> status_pb2.Status:
    """The rich status: of a call that ends with it, or of one item of a stream."""
    info = error_details_pb2.ErrorInfo(domain=DOMAIN, reason=report.reason, metadata=report.metadata)
    details = [_packed(info)]
    if report.field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=report.field, description=report.message, reason=report.reason
        )
        details.append(_packed(error_details_pb2.BadRequest(field_violations=[violation])))
    if report.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(report.retry_after * 1e9))
        details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    return status_pb2.Status(code=report.code.value[0], message=report.message, details=details)


async def abort(context: _Aborts, report: ErrorReport) -> NoReturn:
    """End the RPC with the rich status."""
    status = rpc_status.to_status(to_status(report))
    await context.abort(status.code, status.details, status.trailing_metadata)


def _packed(
    message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo,
) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed

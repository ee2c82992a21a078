"""What stands in place of a connection, so that a client can be tested without a server. Needs the client alone.

channel = AnsweringChannel({"face.Search": lambda request: matching.SearchResponse(...)})
client = LikenessClient(channel=channel, entity="NCB-FR")
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2

from likeness.protocol import OVERSIGHT, SERVICES, Service

Answer = Callable[[Any], Any]
"""Given the request, returns the answer or raises what `refusal` makes. Of SearchWithProgress and
ReadRecord it returns the messages of the stream; of EnrollMany it is given one item at a time, and returns its
outcome."""

_EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]  # missing from the stubs
_HEALTH = "/grpc.health.v1.Health/Check"
_DETAILS_KEY = "grpc-status-details-bin"


def refusal(
    code: grpc.StatusCode,
    message: str,
    *,
    reason: str = "",
    metadata: Mapping[str, str] | None = None,
    retry_after: float | None = None,
) -> grpc.RpcError:
    """An error to raise from an answer: what a client meets when the service refuses.

    Args:
        code: its status.
        message: for people.
        reason: a constant of `likeness.v1.Reason`, without `REASON_`.
        metadata: what the reason comes with.
        retry_after: seconds after which the same request may be sent again; None says nothing of that.
    """
    info = error_details_pb2.ErrorInfo(reason=reason, metadata=metadata)
    details: list[Message] = [info] if reason else []
    if retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(round(retry_after * 1e9))
        details.append(retry)
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    trailers = grpc.aio.Metadata((_DETAILS_KEY, status.SerializeToString()))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers, message, "")


class _Answers:
    """Answers by path; what has none is refused as UNIMPLEMENTED, and health is SERVING."""

    def __init__(self, answers: Mapping[str, Answer], services: tuple[Service, ...]) -> None:
        paths = {
            f"{service.modality}.{method.name}": f"/{service.name}/{method.name}"
            for service in (*services, OVERSIGHT)
            for method in service.descriptor.methods
        }
        unknown = sorted(set(answers) - set(paths))
        if unknown:
            raise ValueError(f"'{unknown[0]}' is no method; some are {', '.join(sorted(paths)[:3])}")
        self._by_path: dict[str, Answer] = {_HEALTH: _is_serving}
        self._by_path |= {paths[name]: answer for name, answer in answers.items()}
        self.requests: list[Message] = []

    def to(self, path: str, request: Any) -> Any:
        """The answer to a copy of the request, as the service would receive it; the copy is stored."""
        received = type(request).FromString(request.SerializeToString())
        if path != _HEALTH:
            self.requests.append(received)
        answer = self._by_path.get(path)
        if answer is None:
            raise refusal(grpc.StatusCode.UNIMPLEMENTED, f"The test has no answer to {path}.")
        return answer(received)


def _is_serving(_: health_pb2.HealthCheckRequest) -> health_pb2.HealthCheckResponse:
    return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


class _Channel:
    """What both channels have.

    Args:
        answers: by modality and method, such as `face.Search`; those of oversight as `oversight.ReadRecord`.
        services: of the protocol.

    Raises:
        ValueError: an answer is to no method.
    """

    def __init__(self, answers: Mapping[str, Answer], *, services: tuple[Service, ...] = SERVICES) -> None:
        self._answers = _Answers(answers, services)

    @property
    def requests(self) -> list[Message]:
        """Every request that came, in order; of streams, every item."""
        return self._answers.requests

    def stream_unary(self, method: str, **_: Any) -> Any:
        """Nothing: the protocol has no such method."""


class AnsweringChannel(_Channel):
    """Implements `likeness.client.Transport`: calls are answered in this process, by functions."""

    def unary_unary(self, method: str, **_: Any) -> Callable[..., Any]:
        """See `Transport.unary_unary`."""

        def call(request: Any, **__: Any) -> Any:
            return self._answers.to(method, request)

        return call

    def unary_stream(self, method: str, **_: Any) -> Callable[..., Any]:
        """See `Transport.unary_stream`."""

        def call(request: Any, **__: Any) -> _Stream:
            return _Stream(update for update in self._answers.to(method, request))

        return call

    def stream_stream(self, method: str, **_: Any) -> Callable[..., Any]:
        """See `Transport.stream_stream`."""

        def call(requests: Iterator[Any], **__: Any) -> _Stream:
            return _Stream(self._answers.to(method, request) for request in requests)

        return call

    def close(self) -> None:
        """Nothing to close."""


class _Stream:
    def __init__(self, answers: Iterator[Any]) -> None:
        self._answers = answers

    def __iter__(self) -> Iterator[Any]:
        return self._answers

    def cancel(self) -> None:
        """Nothing to cancel: whoever ends a call ends its requests."""


class AsyncAnsweringChannel(_Channel):
    """Implements `likeness.client.AsyncTransport`: calls are answered in this process, by functions."""

    def unary_unary(self, method: str, **_: Any) -> Callable[..., Any]:
        """See `AsyncTransport.unary_unary`."""

        async def call(request: Any, **__: Any) -> Any:
            return self._answers.to(method, request)

        return call

    def unary_stream(self, method: str, **_: Any) -> Callable[..., Any]:
        """See `AsyncTransport.unary_stream`."""

        async def call(request: Any, **__: Any) -> AsyncIterator[Any]:
            for update in self._answers.to(method, request):
                yield update

        return call

    def stream_stream(self, method: str, **_: Any) -> Callable[..., Any]:
        """See `AsyncTransport.stream_stream`."""

        def call(*_: Any, **__: Any) -> _AsyncStream:
            return _AsyncStream(lambda request: self._answers.to(method, request))

        return call

    async def close(self, grace: float | None) -> None:
        """Nothing to close."""


class _AsyncStream:
    """A call that is written to and read from in turn."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._in: asyncio.Queue[Any] = asyncio.Queue()

    async def write(self, request: Any) -> None:
        """Send one request."""
        try:
            self._in.put_nowait(self._answer(request))
        except grpc.RpcError as error:
            self._in.put_nowait(error)

    async def done_writing(self) -> None:
        """Say that nothing more comes."""
        self._in.put_nowait(_EOF)

    async def read(self) -> Any:
        """The next answer, or that there is none."""
        answer = await self._in.get()
        if isinstance(answer, grpc.RpcError):
            raise answer
        return answer

    def cancel(self) -> None:
        """Nothing to cancel: nothing is under way between two calls."""

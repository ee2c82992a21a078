"""What every RPC passes on its way in: observe, gate, deadline, caller. Written once, for unary and for streams.

Each step is a context manager around the call; the first is the outermost. Errors raised anywhere inside are
turned into statuses by `observed`, around them all, and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, aclosing, asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import grpc
from google.protobuf.message import Message

from likeness.domain.errors import DeadlineExceeded
from likeness.domain.references import Caller
from likeness.rpc import errors
from likeness.rpc.gate import Gate
from likeness.rpc.identity import Peer
from likeness.rpc.notes import asked
from likeness.rpc.workers import CallDeadline
from likeness.telemetry import logs, metrics

PACKAGE = "likeness."
"""Services whose names begin so are ours; health and reflection pass untouched."""

_logger = logging.getLogger(__name__)


@dataclass
class Call:
    """One RPC under way. `request` is None for a stream. `notes` are fields for its log line."""

    service: str
    method: str
    context: grpc.aio.ServicerContext[Any, Any]
    request: Any = None
    deadline: CallDeadline = field(default_factory=CallDeadline)
    unbounded: bool = False
    """Whether it may last as long as its client waits."""
    notes: dict[str, object] = field(default_factory=dict)

    @cached_property
    def peer(self) -> Peer:
        """The connection it came over."""
        return Peer(self.context.auth_context(), tuple(self.context.invocation_metadata() or ()))

    @cached_property
    def caller(self) -> Caller:
        """Who asks, and why; of the request that is not a stream."""
        return self.peer.caller(self.request)


Step = Callable[[Call], AbstractContextManager[None]]

_current: ContextVar[Call] = ContextVar("likeness_call")


def current() -> Call:
    """The RPC that this task answers."""
    return _current.get()


@asynccontextmanager
async def observed(call: Call) -> AsyncIterator[None]:
    """Measure and log the RPC, and turn errors into statuses."""
    started = time.monotonic()
    code, reason = grpc.StatusCode.OK.name, ""
    in_flight = metrics.rpc_in_flight(call.service, call.method)
    in_flight.inc()
    try:
        yield
    except asyncio.CancelledError:
        code = grpc.StatusCode.CANCELLED.name
        raise
    except Exception as error:
        said = errors.told(error)
        code, reason = said.code.name, said.reason
        metrics.rpc_errors(call.service, call.method, reason).inc()
        await errors.abort(call.context, said)
    finally:
        seconds = time.monotonic() - started
        in_flight.dec()
        metrics.rpc_seconds(call.service, call.method, code).observe(seconds)
        if reason:
            call.notes["reason"] = reason
        logs.bind(**call.notes)
        logs.event(_logger, logging.INFO, "rpc", code=code, seconds=round(seconds, 6))


def gated(gate: Gate) -> Step:
    """Let the RPC in if there is room; see `Gate`."""

    @contextmanager
    def step(call: Call) -> Iterator[None]:
        size = call.request.ByteSize() if isinstance(call.request, Message) else 0
        if size:
            call.notes["request_bytes"] = size
        with gate.entered(stream=call.request is None, size=size):
            yield

    return step


def timed(default: float, maximum: float) -> Step:
    """Give the RPC its deadline, in seconds.

    A longer deadline than `maximum` is cut to it and not refused: it says how long the client is willing to
    wait, not how long the work must take. Streams last as long as their client likes; their items do not, and
    neither does the work on a single request that tells nothing on its way.
    """

    @contextmanager
    def step(call: Call) -> Iterator[None]:
        left: float | None = call.context.time_remaining()
        if left is not None and left <= 0:
            raise DeadlineExceeded("The deadline had passed when the request arrived; allow more time.")
        if call.request is None or call.unbounded:
            seconds = math.inf if left is None else left
        else:
            seconds = min(default if left is None else left, maximum)
        call.deadline = CallDeadline(time.monotonic() + seconds)
        try:
            yield
        finally:
            call.deadline.abandoned.set()

    return step


@contextmanager
def identified(call: Call) -> Iterator[None]:
    """Refuse a request that does not say who asks and why. Items of a stream are identified one by one."""
    if call.request is not None:
        logs.bind(**asked(call.request))
        logs.bind(entity=call.caller.entity)
    yield


class Interceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Leads every RPC of our services through the steps."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = tuple(steps)
        self._led: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any]]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """The handler with the steps around it."""
        known = self._led.get(handler_call_details.method)
        if known is not None:
            return known
        handler = await continuation(handler_call_details)
        service, _, method = handler_call_details.method.lstrip("/").partition("/")
        if handler is None or not service.startswith(PACKAGE):
            return handler
        led = self._lead(service, method, handler)
        self._led[handler_call_details.method] = led
        return led

    def _lead(
        self, service: str, method: str, handler: grpc.RpcMethodHandler[Any, Any]
    ) -> grpc.RpcMethodHandler[Any, Any]:
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(
                self._unary(service, method, handler.unary_unary),
                handler.request_deserializer,
                handler.response_serializer,
            )
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(
                self._stream(service, method, handler.stream_stream),
                handler.request_deserializer,
                handler.response_serializer,
            )
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(
                self._answers(service, method, handler.unary_stream),
                handler.request_deserializer,
                handler.response_serializer,
            )
        raise TypeError(f"{service}/{method} is neither unary, nor streams answers, nor both ways.")

    def _unary(self, service: str, method: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        async def unary(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            async with self._around(Call(service, method, context, request)):
                return await inner(request, context)

        return unary

    def _answers(self, service: str, method: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        async def answers(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            async with (
                self._around(Call(service, method, context, request, unbounded=True)),
                aclosing(inner(request, context)) as stream,
            ):
                async for answer in stream:
                    yield answer

        return answers

    def _stream(self, service: str, method: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        async def stream(
            requests: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, Any]
        ) -> AsyncIterator[Any]:
            async with (
                self._around(Call(service, method, context)),
                aclosing(inner(requests, context)) as answers,
            ):
                async for answer in answers:
                    yield answer

        return stream

    @asynccontextmanager
    async def _around(self, call: Call) -> AsyncIterator[None]:
        _current.set(call)  # each RPC is answered by a task of its own, so nothing needs to be reset
        logs.bind(service=call.service, method=call.method)
        async with observed(call):
            with ExitStack() as stack:
                for step in self._steps:
                    stack.enter_context(step(call))
                yield

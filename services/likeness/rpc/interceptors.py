"""What every RPC passes on its way in: observe, gate, deadline, peer, caller. Written once, for all kinds of RPC.

Each step is a context manager around the call; the first is the outermost. Errors raised anywhere inside are
turned into statuses by `observed`, around them all, and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import grpc
from google.protobuf.message import Message

from likeness.domain.access import Access
from likeness.domain.deadline import CallDeadline
from likeness.domain.errors import DeadlineExceeded, LikenessError
from likeness.domain.references import Caller
from likeness.rpc import errors
from likeness.rpc.convert.required import check_required
from likeness.rpc.first_messages import Arrivals, readable
from likeness.rpc.gate import Gate
from likeness.rpc.identity import Peer, Prove
from likeness.rpc.log_fields import asked
from likeness.rpc.messages import reader
from likeness.rpc.open_calls import OpenCalls
from likeness.rpc.recording import UNREAD, Act, Recorder
from likeness.rpc.standard_services import Others
from likeness.rpc.stream_writes import AnswerNotRead, write_all
from likeness.telemetry import logs, metrics

PACKAGE = "likeness."
"""Services whose names begin so are ours; health and reflection pass untouched."""

_logger = logging.getLogger(__name__)


@dataclass
class Call:
    """One RPC under way. `request` is None for a stream of requests. `notes` are fields for its log line."""

    service: str
    method: str
    context: grpc.aio.ServicerContext[Any, Any]
    request: Any = None
    deadline: CallDeadline = field(default_factory=CallDeadline)
    unbounded: bool = False
    """Whether it may last as long as its client waits."""
    notes: dict[str, object] = field(default_factory=dict)

    @property
    def is_stream(self) -> bool:
        """Whether its requests are a stream."""
        return self.request is None

    peer: Peer = field(init=False)
    """Who sends it, once that is proven."""

    @cached_property
    def act(self) -> Act:
        """What goes on record of the request that is not a stream."""
        return Act(self.peer, self.request)

    @cached_property
    def caller(self) -> Caller:
        """Who asks, and why; of the request that is not a stream."""
        return self.act.judge()


Step = Callable[[Call], AbstractContextManager[None]]

ANSWER_MARGIN = 0.1
"""Seconds before the client's own deadline at which a call is given up here, so that the client learns why; a
tenth of the time that is left, if that is less."""


@dataclass(frozen=True, slots=True)
class ArrivalLimits:
    """`calls` whose first message is waited for at once, `message_seconds` for it, and for an answer to be read;
    `stream_seconds` for that of a stream of requests; `metadata_bytes` of a request apart from its samples."""

    calls: int
    message_seconds: float
    stream_seconds: float
    metadata_bytes: int


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
        report = errors.report_of(error)
        code, reason = report.code.name, report.reason
        metrics.rpc_errors(call.service, call.method, code, reason).inc()
        if isinstance(error, AnswerNotRead):
            raise asyncio.CancelledError from None  # behind an answer that is not read gRPC sends no status
        await errors.abort(call.context, report)
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
        with gate.entered(stream=call.is_stream, size=size):
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
        if left is not None:
            left -= min(ANSWER_MARGIN, left / 10)
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


def proven(access: Access, prove: Prove, modalities: Mapping[str, str]) -> Step:
    """Refuse a call whose peer is not proven.

    Args:
        access: what judges.
        prove: who the peer is.
        modalities: by the names of services.
    """

    @contextmanager
    def step(call: Call) -> Iterator[None]:
        metadata = tuple(call.context.invocation_metadata() or ())
        principal = prove(call.context.auth_context(), metadata)
        call.peer = Peer(principal, access, modalities.get(call.service, ""))
        yield

    return step


def judge(call: Call) -> None:
    """Refuse a request that says not who asks and why, or that may not be done; items of a stream are judged one by
    one."""
    logs.bind(**asked(call.request))
    logs.bind(entity=call.caller.entity)
    check_required(call.request)


class Interceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Leads every RPC of our services through the steps, once its first message is there.

    A call exists from its headers on, and whoever sends no more than those must not hold what others wait for. So
    the methods that take one request are registered as if they took a stream: on the wire that is the same, and
    here the wait for the message can be refused, and ended. See `standard_services` for health and reflection.

    Args:
        gate: asked before a message is waited for.
        steps: what a call passes when it has.
        prove: the last of them, which says who the peer is. From then on what is refused is put on record.
        recorder: puts it there.
        open_calls: holds calls while they are open, for what ends them when the rules change.
        limits: what may be waited for.
    """

    def __init__(
        self,
        gate: Gate,
        steps: Sequence[Step],
        prove: Step,
        recorder: Recorder,
        open_calls: OpenCalls,
        limits: ArrivalLimits,
    ) -> None:
        self._gate = gate
        self._steps = tuple(steps)
        self._prove = prove
        self._recorder = recorder
        self._open_calls = open_calls
        self._limits = limits
        self._arrivals = Arrivals(limits.calls, limits.message_seconds)
        self._others = Others(Arrivals(limits.calls, limits.message_seconds))
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
        if handler is None:
            return handler
        service, _, method = handler_call_details.method.lstrip("/").partition("/")
        ours = service.startswith(PACKAGE)
        led = self._lead(service, method, handler) if ours else self._others.lead(handler)
        self._led[handler_call_details.method] = led
        return led

    def _lead(
        self, service: str, method: str, handler: grpc.RpcMethodHandler[Any, Any]
    ) -> grpc.RpcMethodHandler[Any, Any]:
        parse = handler.request_deserializer
        kind = parse.__self__.DESCRIPTOR  # type: ignore[union-attr]  # FromString of a message class
        read = reader(parse, kind, self._limits.metadata_bytes)  # type: ignore[arg-type]
        if handler.unary_unary is not None:
            return grpc.stream_unary_rpc_method_handler(
                self._unary(service, method, handler.unary_unary), read, handler.response_serializer
            )
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(
                self._stream(service, method, handler.stream_stream), read, handler.response_serializer
            )
        if handler.unary_stream is not None:
            return grpc.stream_stream_rpc_method_handler(
                self._answers(service, method, handler.unary_stream), read, handler.response_serializer
            )
        raise TypeError(f"{service}/{method} is neither unary, nor streams answers, nor both ways.")

    def _unary(self, service: str, method: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        async def unary(requests: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            call = Call(service, method, context)
            async with self._begun(call):
                call.request = await self._arrived(requests, call, stream=False)
                async with self._entered(call):
                    return await inner(call.request, context)

        return unary

    def _answers(self, service: str, method: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        async def answers(requests: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, Any]) -> None:
            call = Call(service, method, context, unbounded=True)
            async with self._begun(call):
                call.request = await self._arrived(requests, call, stream=False)
                async with self._entered(call):
                    await write_all(inner(call.request, context), context, self._limits.message_seconds)

        return answers

    def _stream(self, service: str, method: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        async def stream(requests: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, Any]) -> None:
            call = Call(service, method, context)
            async with self._begun(call):
                first = await self._arrived(requests, call, stream=True)
                async with self._entered(call):
                    answers = inner(_items(first, requests), context)
                    await write_all(answers, context, self._limits.stream_seconds)

        return stream

    async def _arrived(self, requests: AsyncIterator[Any], call: Call, *, stream: bool) -> Any:
        """The first message of a call; of a stream without any, None.

        Raises:
            TooBusy, Unavailable: the gate refuses the call.
            DeadlineExceeded: it did not come in time.
            InvalidInput: there is none, or it cannot be read.
        """
        self._gate.check(stream=stream)
        awaited = self._arrivals.first if stream else self._arrivals.only
        try:
            return await awaited(requests, call.context.peer())
        except LikenessError as error:
            if error.reason in UNREAD:
                await self._record_unread(call, error)
            raise

    @asynccontextmanager
    async def _begun(self, call: Call) -> AsyncIterator[None]:
        _current.set(call)  # each RPC is answered by a task of its own, so nothing needs to be reset
        logs.bind(service=call.service, method=call.method)
        async with observed(call):
            yield

    @asynccontextmanager
    async def _entered(self, call: Call) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for step in (*self._steps, self._prove):
                stack.enter_context(step(call))
            if call.request is not None:
                await stack.enter_async_context(self._recorder.judging(call.act, call.deadline))
                judge(call)
            stack.enter_context(self._open_calls.held(call.peer))
            yield

    async def _record_unread(self, call: Call, error: LikenessError) -> None:
        """Record a request that could not be read, where it is known whose it is; within the gate, as others."""
        with ExitStack() as stack:
            for step in (*self._steps, self._prove):
                stack.enter_context(step(call))
            await self._recorder.unread(call.peer, call.method, error, call.deadline)


async def _items(first: Any, others: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The messages of a stream of which the first was taken; None where there was none."""
    if first is None:
        return
    yield first
    async for item in others:
        yield readable(item)

"""The asynchronous client. Use it from one event loop."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from likeness.client import connection
from likeness.client.errors import CallFailed, Unavailable, from_rpc
from likeness.client.modalities import ByModality
from likeness.client.oversight import AsyncOversight
from likeness.client.requests import (
    ComparandLike,
    EnrollOptions,
    ListOptions,
    Progress,
    Requests,
    SampleLike,
    SearchOptions,
)
from likeness.client.retry import Attempts, tried_async
from likeness.client.stream import WINDOW, Enrolment, Outcome, Pending, ended_early
from likeness.client.tls import Tls, Token, channel_credentials
from likeness.client.transport import AsyncTransport
from likeness.protocol import OVERSIGHT, SERVICES, AsyncStub, Service
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching

_Request = TypeVar("_Request")
_Answer = TypeVar("_Answer")

_EOF: object = grpc.aio.EOF  # type: ignore[attr-defined]  # missing from the stubs


class AsyncLikenessClient(ByModality["AsyncModality"]):
    """A connection to a service, on behalf of one caller; arguments as for `LikenessClient`."""

    def __init__(
        self,
        address: str = "",
        *,
        entity: str,
        purpose: str = "unspecified",
        case_reference: str = "",
        operator: str = "",
        timeout: float = connection.TIMEOUT,
        retries: int = connection.RETRIES,
        tls: Tls | None = None,
        token: Token = "",
        credentials: grpc.ChannelCredentials | None = None,
        channel: AsyncTransport | None = None,
        services: tuple[Service, ...] = SERVICES,
    ) -> None:
        if channel is None:
            channel = _channel(address, channel_credentials(tls, credentials, token))
        self._channel: AsyncTransport = channel
        self._services = services
        self._caller = connection.caller(entity, purpose, case_reference, operator)
        self._timeout, self._retries = timeout, retries
        self._bind()

    def _bind(self) -> None:
        made = Requests(self._caller)
        self.oversight = AsyncOversight(
            OVERSIGHT.stub(self._channel), self._caller, self._timeout, self._retries
        )
        """What a bureau oversees: its entities, and who received its references."""
        self._bind_modalities(
            {
                service.modality: AsyncModality(
                    service.stub(self._channel), made, self._timeout, self._retries
                )
                for service in self._services
            }
        )

    def asking(
        self, *, purpose: str | None = None, case_reference: str | None = None, operator: str | None = None
    ) -> AsyncLikenessClient:
        """A client over the same connection for another purpose, case or operator; close only the first."""
        other = object.__new__(type(self))
        other._channel, other._services = self._channel, self._services
        other._timeout, other._retries = self._timeout, self._retries
        other._caller = connection.changed(self._caller, purpose, case_reference, operator)
        other._bind()
        return other

    async def wait_ready(self, timeout: float = 60.0, *, modality: str = "") -> None:
        """Wait until the service reports SERVING: all that it offers, or one modality.

        Raises:
            Unavailable: it did not within `timeout` seconds.
        """
        request = health_pb2.HealthCheckRequest(service=connection.health_name(modality, self._services))
        check = health_pb2_grpc.HealthStub(self._channel).Check
        until = time.monotonic() + timeout
        failure = connection.not_ready(timeout)
        while (left := until - time.monotonic()) > 0:
            try:
                if connection.is_serving(await check(request, timeout=left, wait_for_ready=True)):
                    return
            except grpc.aio.AioRpcError as error:
                failure = connection.not_ready(timeout, from_rpc(error))
            await asyncio.sleep(min(connection.READY_PAUSE, max(0.0, until - time.monotonic())))
        raise failure

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _channel(address: str, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    if not address:
        raise ValueError("a client needs an address, host:port, or a channel")
    if credentials is None:
        return grpc.aio.insecure_channel(address, connection.OPTIONS)
    return grpc.aio.secure_channel(address, credentials, connection.OPTIONS)


class AsyncModality:
    """The methods of one modality, as `Modality` has them."""

    def __init__(self, stub: AsyncStub, requests: Requests, timeout: float, retries: int) -> None:
        self._stub = stub
        self._requests = requests
        self._timeout = timeout
        self._retries = retries

    async def enroll(
        self, sample: SampleLike, *, timeout: float | None = None, **options: Unpack[EnrollOptions]
    ) -> matching.EnrollResponse:
        """Enrol one sample; durable on return. Sent again after a failure, it enrols once."""
        return await self._send(self._stub.Enroll, self._requests.enroll(sample, **options), timeout)

    async def get(self, reference_id: str, *, timeout: float | None = None) -> common.Reference:
        """One reference."""
        return (await self._send(self._stub.Get, self._requests.get(reference_id), timeout)).reference

    async def list(
        self, *, timeout: float | None = None, **options: Unpack[ListOptions]
    ) -> AsyncIterator[common.Reference]:
        """References, oldest first; pages are fetched as they are needed, each within `timeout`."""
        request = self._requests.list(**options)
        while True:
            page = await self._send(self._stub.List, request, timeout)
            for found in page.references:
                yield found
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def update(
        self,
        reference_id: str,
        metadata: common.ReferenceMetadata,
        *,
        fields: Iterable[str] = ("*",),
        expected_log_position: int = 0,
        request_id: str = "",
        timeout: float | None = None,
    ) -> matching.UpdateResponse:
        """Change the metadata of a reference, whole unless `fields` names what changes, for example `["category"]`.

        An unset status stays what it is.
        """
        request = self._requests.update(
            reference_id,
            metadata,
            fields=fields,
            expected_log_position=expected_log_position,
            request_id=request_id,
        )
        return await self._send(self._stub.Update, request, timeout)

    async def expunge(
        self, reference_id: str, reason: str, *, request_id: str = "", timeout: float | None = None
    ) -> matching.ExpungeResponse:
        """Erase a reference for good."""
        request = self._requests.expunge(reference_id, reason, request_id=request_id)
        return await self._send(self._stub.Expunge, request, timeout)

    async def search(
        self,
        probe: SampleLike,
        *,
        timeout: float | None = None,
        progress: Progress | None = None,
        **options: Unpack[SearchOptions],
    ) -> matching.SearchResponse:
        """The references that resemble the probe, for each presentation in it.

        `progress` is called now and then with how many references were compared and how many there are to
        compare, which is of use for a search of every reference (`exhaustive`); such a search has no time limit
        but `timeout`.
        """
        request = self._requests.search(probe, **options)
        if progress is None:
            return await self._send(self._stub.Search, request, timeout)

        def searched(left: float) -> Awaitable[matching.SearchResponse]:
            limit = None if math.isinf(left) else left
            return _last(self._stub.SearchWithProgress(request, timeout=limit), progress)

        return await self._tried(searched, math.inf if timeout is None else timeout)

    async def compare(
        self,
        probe: ComparandLike,
        candidate: ComparandLike,
        *,
        explain: bool = False,
        timeout: float | None = None,
    ) -> matching.CompareResponse:
        """Compare two samples or references, 1:1."""
        request = self._requests.compare(probe, candidate, explain=explain)
        return await self._send(self._stub.Compare, request, timeout)

    async def analyze(self, sample: SampleLike, *, timeout: float | None = None) -> matching.AnalyzeResponse:
        """Detect presentations and measure their quality."""
        return await self._send(self._stub.Analyze, self._requests.analyze(sample), timeout)

    async def enroll_many(
        self, enrolments: Iterable[Enrolment] | AsyncIterable[Enrolment], *, window: int = WINDOW
    ) -> AsyncIterator[Outcome]:
        """Enrol many samples over one stream; as `Modality.enroll_many`."""
        pending = Pending(self._requests, window, self._retries)
        attempts = Attempts(float("inf"), self._retries)
        source = _iterated(enrolments)
        while True:
            link = _Link(self._stub.EnrollMany)
            try:
                async for outcome in _pump(source, pending, link):
                    attempts.succeeded()
                    yield outcome
                return
            except CallFailed as error:
                await asyncio.sleep(attempts.pause(error))
            finally:
                await link.close()

    async def _send(
        self,
        call: grpc.aio.UnaryUnaryMultiCallable[_Request, _Answer],
        request: _Request,
        timeout: float | None,
    ) -> _Answer:
        seconds = self._timeout if timeout is None else timeout
        return await self._tried(lambda left: call(request, timeout=left), seconds)

    async def _tried(self, attempt: Callable[[float], Awaitable[_Answer]], seconds: float) -> _Answer:
        return await tried_async(attempt, Attempts(seconds, self._retries))


async def _iterated(items: Iterable[Enrolment] | AsyncIterable[Enrolment]) -> AsyncIterator[Enrolment]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


async def _last(updates: AsyncIterable[matching.SearchUpdate], progress: Progress) -> matching.SearchResponse:
    """The answer at the end of the updates."""
    async for update in updates:
        if update.HasField("answer"):
            return update.answer
        progress(update.progress.compared, update.progress.total)
    raise ended_early()


async def _pump(source: AsyncIterator[Enrolment], pending: Pending, link: _Link) -> AsyncIterator[Outcome]:
    """Send what fits in the window, yield what came, until the source is at its end and all is answered."""
    for request in pending.unanswered():
        await link.send(request)
    exhausted = False
    while pending or not exhausted:
        while not exhausted and not pending.is_full:
            item = await anext(source, None)
            if item is None:
                exhausted = True
                break
            admitted = pending.admit(item)
            if isinstance(admitted, Outcome):
                yield admitted
            else:
                await link.send(admitted)
            if link.has_answer:
                break
        if pending:
            settled = pending.settle(await link.receive())
            if isinstance(settled, Outcome):
                yield settled
            elif settled is not None:
                await link.send(settled)
    await link.finish()


class _Link:
    """One stream, with a task that takes its answers in so that sending never waits for reading.

    Args:
        start: the stub's method; the stubs do not know that it can be called without an iterator.
    """

    def __init__(self, start: Callable[..., Any]) -> None:
        self._start = start
        self._call = start()
        self._is_broken = False
        self._in: asyncio.Queue[matching.EnrollManyResponse | CallFailed | None] = asyncio.Queue()
        self._reader = asyncio.create_task(self._read())

    @property
    def has_answer(self) -> bool:
        """Whether `receive` would not wait."""
        return not self._in.empty()

    async def send(self, request: matching.EnrollManyRequest) -> None:
        """Send one request; of a broken stream, `receive` tells."""
        try:
            await self._call.write(request)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            self._is_broken = True

    async def receive(self) -> matching.EnrollManyResponse:
        """The next answer.

        Raises:
            CallFailed: the stream broke or ended.
        """
        answer = await self._in.get()
        if answer is None:
            raise ended_early()
        if isinstance(answer, CallFailed):
            raise answer
        return answer

    async def finish(self) -> None:
        """Say that nothing more comes, and wait for the service to end the stream."""
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await self._call.done_writing()
        await self._reader

    async def close(self) -> None:
        """End the stream, if it has not ended."""
        self._call.cancel()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self) -> None:
        try:
            while (answer := await self._call.read()) is not _EOF:
                self._in.put_nowait(answer)
            self._in.put_nowait(None)
        except grpc.aio.AioRpcError as error:
            self._in.put_nowait(await self._cause(error))

    async def _cause(self, error: grpc.aio.AioRpcError) -> CallFailed:
        """Why the stream broke.

        When a write meets a stream that has just ended, grpc.aio reports INTERNAL and may lose the status that
        the service had sent. A service that refuses streams refuses an empty one too, and of that one nothing
        is written; if it accepts it, the connection broke.
        """
        if not self._is_broken or error.code() is not grpc.StatusCode.INTERNAL:
            return from_rpc(error)
        try:
            async for _ in self._start(iter(())):
                pass
        except grpc.aio.AioRpcError as refused:
            return from_rpc(refused)
        return Unavailable(
            "The connection broke while items were being sent.", code=grpc.StatusCode.UNAVAILABLE
        )

"""What a bureau oversees, for the synchronous and the asynchronous client."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

import grpc

from likeness.client.errors import from_rpc
from likeness.client.retry import Attempts, tried, tried_async
from likeness.client.stream import ended_early
from likeness.v1 import common_pb2 as common
from likeness.v1 import oversight_pb2 as oversight

if TYPE_CHECKING:
    from likeness.v1.oversight_pb2_grpc import OversightServiceAsyncStub, OversightServiceStub

_Answer = TypeVar("_Answer")


class _Requests:
    """The requests of every method."""

    def __init__(self, caller: common.CallerContext) -> None:
        self._caller = caller

    def suspend(self, entity: str, reason: str) -> oversight.SuspendEntityRequest:
        return oversight.SuspendEntityRequest(caller=self._caller, entity=entity, reason=reason)

    def resume(self, entity: str) -> oversight.ResumeEntityRequest:
        return oversight.ResumeEntityRequest(caller=self._caller, entity=entity)

    def suspensions(self) -> oversight.ListSuspensionsRequest:
        return oversight.ListSuspensionsRequest(caller=self._caller)

    def record(
        self, reference_id: str, subject_id: str, since: datetime | None, until: datetime | None, after: int
    ) -> oversight.ReadRecordRequest:
        """What is read of the record.

        Raises:
            ValueError: both a reference and a subject are given, or a time has no zone.
        """
        if reference_id and subject_id:
            raise ValueError("give a reference or a subject, not both")
        request = oversight.ReadRecordRequest(caller=self._caller, after_position=after)
        if reference_id:
            request.reference_id = reference_id
        if subject_id:
            request.subject_id = subject_id
        for stamp, moment in (("since_time", since), ("until_time", until)):
            if moment is not None:
                if moment.tzinfo is None:
                    raise ValueError(f"{moment} has no time zone")
                getattr(request, stamp).FromDatetime(moment)
        return request


class _Pending:
    """Entries of a record until the service says that it has read so far: what is read again is given once.

    Attributes:
        position: up to which everything was read and given.
        complete: whether that is all.
    """

    def __init__(self, after: int) -> None:
        self.position = after
        self.complete = False
        self._entries: list[oversight.ReceivedReference] = []

    def restart(self) -> None:
        """Forget what will be sent again."""
        self._entries.clear()

    def take(self, message: oversight.ReadRecordResponse) -> list[oversight.ReceivedReference]:
        """What can be given once this message has come."""
        self._entries += message.entries
        self.complete = message.complete
        if message.read_position <= self.position:
            return []
        self.position = message.read_position
        ready, self._entries = self._entries, []
        return ready


class Oversight:
    """The methods of oversight. Every one raises `CallFailed`, by the class of its status code."""

    def __init__(
        self, stub: OversightServiceStub, caller: common.CallerContext, timeout: float, retries: int
    ) -> None:
        self._stub = stub
        self._requests = _Requests(caller)
        self._timeout = timeout
        self._retries = retries

    def suspend(
        self, entity: str, reason: str, *, timeout: float | None = None
    ) -> oversight.SuspendEntityResponse:
        """Cut an entity of the caller's bureau off: its calls are denied, and those that are open end."""
        return self._sent(self._stub.SuspendEntity, self._requests.suspend(entity, reason), timeout)

    def resume(self, entity: str, *, timeout: float | None = None) -> oversight.ResumeEntityResponse:
        """Let an entity of the caller's bureau call again."""
        return self._sent(self._stub.ResumeEntity, self._requests.resume(entity), timeout)

    def suspensions(self, *, timeout: float | None = None) -> Iterator[oversight.Suspension]:
        """What is cut off in the caller's bureau, by name; pages are fetched as they are needed."""
        request = self._requests.suspensions()
        while True:
            page = self._sent(self._stub.ListSuspensions, request, timeout)
            yield from page.suspensions
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def record(
        self,
        *,
        reference_id: str = "",
        subject_id: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        after: int = 0,
        timeout: float | None = None,
    ) -> Iterator[oversight.ReceivedReference]:
        """Who received which references of the caller's entity, oldest first, up to now.

        Args:
            reference_id: of this reference alone.
            subject_id: of the references of this subject alone.
            since: not before this time, aware.
            until: before this time, aware.
            after: of the audit after this position.
            timeout: seconds for all of it; None waits for as long as it takes.

        What breaks is taken up again where it broke.
        """
        pending = _Pending(after)
        attempts = Attempts(math.inf if timeout is None else timeout, self._retries)
        while not pending.complete:
            request = self._requests.record(reference_id, subject_id, since, until, pending.position)
            pending.restart()
            before = pending.position
            try:
                for message in self._stub.ReadRecord(request, timeout=_limit(attempts)):
                    yield from pending.take(message)
                    attempts.succeeded()
            except grpc.RpcError as error:
                time.sleep(attempts.pause(from_rpc(error)))
                continue
            _check_went_on(before, pending)

    def _sent(self, call: Callable[..., _Answer], request: object, timeout: float | None) -> _Answer:
        attempts = Attempts(self._timeout if timeout is None else timeout, self._retries)
        return tried(lambda left: call(request, timeout=left), attempts)


class AsyncOversight:
    """The methods of oversight, as `Oversight` has them."""

    def __init__(
        self, stub: OversightServiceAsyncStub, caller: common.CallerContext, timeout: float, retries: int
    ) -> None:
        self._stub = stub
        self._requests = _Requests(caller)
        self._timeout = timeout
        self._retries = retries

    async def suspend(
        self, entity: str, reason: str, *, timeout: float | None = None
    ) -> oversight.SuspendEntityResponse:
        """Cut an entity of the caller's bureau off: its calls are denied, and those that are open end."""
        return await self._sent(self._stub.SuspendEntity, self._requests.suspend(entity, reason), timeout)

    async def resume(self, entity: str, *, timeout: float | None = None) -> oversight.ResumeEntityResponse:
        """Let an entity of the caller's bureau call again."""
        return await self._sent(self._stub.ResumeEntity, self._requests.resume(entity), timeout)

    async def suspensions(self, *, timeout: float | None = None) -> AsyncIterator[oversight.Suspension]:
        """What is cut off in the caller's bureau, by name; pages are fetched as they are needed."""
        request = self._requests.suspensions()
        while True:
            page = await self._sent(self._stub.ListSuspensions, request, timeout)
            for row in page.suspensions:
                yield row
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def record(
        self,
        *,
        reference_id: str = "",
        subject_id: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        after: int = 0,
        timeout: float | None = None,
    ) -> AsyncIterator[oversight.ReceivedReference]:
        """Who received which references of the caller's entity; arguments as of `Oversight.record`."""
        pending = _Pending(after)
        attempts = Attempts(math.inf if timeout is None else timeout, self._retries)
        while not pending.complete:
            request = self._requests.record(reference_id, subject_id, since, until, pending.position)
            pending.restart()
            before = pending.position
            try:
                async for message in self._stub.ReadRecord(request, timeout=_limit(attempts)):
                    for entry in pending.take(message):
                        yield entry
                    attempts.succeeded()
            except grpc.aio.AioRpcError as error:
                await asyncio.sleep(attempts.pause(from_rpc(error)))
                continue
            _check_went_on(before, pending)

    async def _sent(
        self, call: Callable[..., Awaitable[_Answer]], request: object, timeout: float | None
    ) -> _Answer:
        attempts = Attempts(self._timeout if timeout is None else timeout, self._retries)
        return await tried_async(lambda left: call(request, timeout=left), attempts)


def _limit(attempts: Attempts) -> float | None:
    return None if math.isinf(attempts.left) else attempts.left


def _check_went_on(before: int, pending: _Pending) -> None:
    """A stream that ended without an error must have come further, or it would be asked for without end.

    Raises:
        Unavailable: it did not.
    """
    if not pending.complete and pending.position <= before:
        raise ended_early()

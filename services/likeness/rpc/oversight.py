"""The RPCs of oversight: check, call, convert. What each does is recorded by the engine."""
# ruff: noqa: N802 - methods are named as the protocol names them

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from functools import partial
from typing import Any, TypeVar

import grpc

from likeness.domain.access import Access
from likeness.domain.deadline import Deadline
from likeness.domain.errors import Precondition, TooBusy
from likeness.domain.oversight import Received, Record, Suspending
from likeness.domain.references import Caller
from likeness.engine.oversight import Oversight, Reading
from likeness.rpc.convert import oversight as convert
from likeness.rpc.gate import starting
from likeness.rpc.interceptors import current
from likeness.rpc.log_fields import noted
from likeness.rpc.recording import Recorder
from likeness.rpc.workers import Workers
from likeness.v1 import common_pb2 as common
from likeness.v1 import oversight_pb2 as oversight

_Context = grpc.aio.ServicerContext[Any, Any]
_Answer = TypeVar("_Answer")
_Step = Callable[[Oversight, Caller, Deadline], _Answer]

READINGS, READINGS_OF_ENTITY = 8, 2
"""Records that are read at once, by all and by one entity: each may take minutes of what searches are done with."""

RETRY_AFTER_READING = 5.0
"""Seconds after which a client may try again whose entity reads as much as it may."""

PROGRESS_SECONDS = 0.5
"""After which a message says how far a record was read, where nothing was found in it."""


class OversightHandlers:
    """The servicer of oversight.

    Args:
        workers: where blocking calls run.
        recorder: puts on record what is refused.
        access: what judges the calls, and cuts entities off if it can.
        enforce: judges the calls that are open again.
        seconds: that one step may take once it has a worker.
    """

    def __init__(
        self,
        workers: Workers,
        recorder: Recorder,
        access: Access,
        enforce: Callable[[], object],
        seconds: float,
    ) -> None:
        self._workers = workers
        self._recorder = recorder
        self._access = access
        self._enforce = enforce
        self._seconds = seconds
        self._record: Record | None = None
        self._readings: Counter[str] = Counter()

    def attach(self, record: Record) -> None:
        """Give the handlers what they read and write; until then every call is answered UNAVAILABLE."""
        self._record = record

    @property
    def _oversight(self) -> Oversight:
        if not isinstance(self._access, Suspending):
            raise Precondition(
                "This service judges no calls by policies, so nobody is proven to oversee anything; set [tls] and "
                "access.directory.",
                reason="OVERSIGHT_WITHOUT_POLICY",
            )
        if self._record is None:
            raise starting()
        return Oversight(self._record, self._access)

    async def SuspendEntity(
        self, request: oversight.SuspendEntityRequest, _: _Context
    ) -> oversight.SuspendEntityResponse:
        """Cuts an entity off."""

        def step(bureau: Oversight, caller: Caller, _: Deadline) -> oversight.SuspendEntityResponse:
            done, receipt = bureau.suspend(caller, request.entity, convert.reason(request))
            header, suspension = convert.header(caller, receipt), convert.suspension(done)
            return oversight.SuspendEntityResponse(header=header, suspension=suspension)

        return await self._changed(step)

    async def ResumeEntity(
        self, request: oversight.ResumeEntityRequest, _: _Context
    ) -> oversight.ResumeEntityResponse:
        """Lets an entity call again."""

        def step(bureau: Oversight, caller: Caller, _: Deadline) -> oversight.ResumeEntityResponse:
            resumed, receipt = bureau.resume(caller, request.entity)
            return oversight.ResumeEntityResponse(header=convert.header(caller, receipt), resumed=resumed)

        return await self._changed(step)

    async def ListSuspensions(
        self, request: oversight.ListSuspensionsRequest, _: _Context
    ) -> oversight.ListSuspensionsResponse:
        """Lists what is cut off in the bureau of the caller."""

        def step(bureau: Oversight, caller: Caller, _: Deadline) -> oversight.ListSuspensionsResponse:
            rows, more, receipt = bureau.suspensions(caller, *convert.page(request))
            return oversight.ListSuspensionsResponse(
                header=convert.header(caller, receipt),
                suspensions=map(convert.suspension, rows),
                next_page_token=convert.next_token(rows, more=more),
            )

        return await self._answer(step)

    async def ReadRecord(
        self, request: oversight.ReadRecordRequest, _: _Context
    ) -> AsyncIterator[oversight.ReadRecordResponse]:
        """Reads who received references of the caller, stretch by stretch."""
        with self._reading(current().act.judged.entity):
            async with aclosing(self._read(request)) as messages:
                async for message in messages:
                    yield message

    @contextmanager
    def _reading(self, entity: str) -> Iterator[None]:
        """Count a record that is read.

        Raises:
            TooBusy: as many are as may be.
        """
        if self._readings[entity] >= READINGS_OF_ENTITY or self._readings.total() >= READINGS:
            raise TooBusy(
                f"As many records are read as may be, {READINGS_OF_ENTITY} for one entity and {READINGS} in all; "
                "try again a little later.",
                retry_after=RETRY_AFTER_READING,
            )
        self._readings[entity] += 1
        try:
            yield
        finally:
            self._readings[entity] -= 1
            self._readings += Counter()  # without those that are 0

    async def _read(
        self, request: oversight.ReadRecordRequest
    ) -> AsyncGenerator[oversight.ReadRecordResponse, None]:
        call = current()

        def begin(
            bureau: Oversight, caller: Caller, left: Deadline
        ) -> tuple[Reading, int, common.AnswerHeader]:
            query, most = convert.query(request)
            reading = bureau.begin(caller, query, left)
            return reading, most, convert.header(caller, reading.receipt)

        reading, left, header = await self._worked(begin)
        first = convert.progress(reading)
        call.notes |= {"audit_position": header.audit_position}
        yield oversight.ReadRecordResponse(
            header=header, read_position=first.read_position, complete=first.complete
        )
        sent = time.monotonic()
        while left > 0 and not reading.is_complete:
            before = reading
            async with self._workers.bulk:
                step = partial(_stretch, self._oversight, before, left)
                rows, reading = await self._workers.run(step, call.deadline, seconds=self._seconds)
            left -= len(rows)
            is_last = left <= 0 or reading.is_complete
            if rows or is_last or time.monotonic() - sent > PROGRESS_SECONDS:
                for message in convert.parts(rows, before, reading):
                    yield message
                sent = time.monotonic()

    async def _changed(self, step: _Step[_Answer]) -> _Answer:
        try:
            return await self._answer(step)
        finally:
            self._enforce()

    async def _answer(self, step: _Step[_Answer]) -> _Answer:
        answer = await self._worked(step)
        current().notes.update(noted(answer))
        return answer

    async def _worked(self, step: _Step[_Answer]) -> _Answer:
        """Have a worker do what was judged, and put what became of it on record."""
        call = current()
        act = call.act
        caller, act.begun = act.judged, True

        def work(left: Deadline) -> _Answer:
            return self._recorder.done(act, lambda: step(self._oversight, caller, left))

        return await self._workers.run(work, call.deadline, seconds=self._seconds)


def _stretch(
    bureau: Oversight, reading: Reading, most: int, deadline: Deadline
) -> tuple[Sequence[Received], Reading]:
    deadline.check("the record was read")
    return bureau.read(reading, most)

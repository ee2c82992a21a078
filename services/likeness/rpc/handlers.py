"""The RPCs of a modality, written once for any: check, call, convert.

Requests are converted on the worker threads as well, since a digest over a large photograph would hold up the
event loop.
"""
# ruff: noqa: N802 - methods are named as the protocol names them

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import grpc

from likeness.domain.deadline import CallDeadline, Deadline
from likeness.domain.errors import InvalidInput, Precondition
from likeness.domain.references import Caller
from likeness.engine.engine import Engine
from likeness.engine.metadata_rules import MAX_TEXT
from likeness.engine.shard import Progress, no_progress
from likeness.rpc import errors
from likeness.rpc.convert import answers, requests
from likeness.rpc.convert.required import check_required
from likeness.rpc.convert.tokens import PageTokens
from likeness.rpc.enrol_stream import WINDOW_BYTES, Window, outcomes
from likeness.rpc.gate import starting
from likeness.rpc.identity import Peer, Request
from likeness.rpc.interceptors import current
from likeness.rpc.log_fields import noted
from likeness.rpc.newest_value import NewestValue
from likeness.rpc.recording import Act, Recorder
from likeness.rpc.workers import Workers
from likeness.telemetry import metrics
from likeness.transparency.note import Signer
from likeness.v1 import matching_pb2 as matching

_Context = grpc.aio.ServicerContext[Any, Any]
PROGRESS_SECONDS = 0.5
"""Between two messages of how far a search has come."""

_Request = TypeVar("_Request", bound=Request)
_Headed = TypeVar("_Headed", matching.SearchResponse, matching.CompareResponse)
_Answer = TypeVar("_Answer")
_Step = Callable[[_Request, Caller, Deadline], Callable[[], _Answer]]
"""Does what a request asks for, which is then on record, and returns what makes the answer of it."""
_Enrolled = Callable[[], matching.EnrollResponse]
_Found = Callable[[], matching.SearchResponse]


@dataclass(frozen=True, slots=True)
class CallLimits:
    """What one request may ask for. `item_seconds`: time for one item of a stream, once it has a worker."""

    max_sample_bytes: int
    max_answer_bytes: int
    max_k: int
    max_page_size: int
    stream_window: int
    stream_idle: float
    item_seconds: float


class Handlers:
    """The servicer of one modality.

    Args:
        workers: where the engine's blocking calls run.
        recorder: puts on record what the engine does not answer.
        limits: what one request may ask for.
        drain: set when the service is being stopped.
    """

    def __init__(
        self, workers: Workers, recorder: Recorder, limits: CallLimits, drain: asyncio.Event
    ) -> None:
        self._workers = workers
        self._recorder = recorder
        self._limits = limits
        self._drain = drain
        self._attached: Engine | None = None
        self._signer: Signer | None = None
        self._declined = ""

    def attach(self, engine: Engine, signer: Signer | None) -> None:
        """Give the handlers their engine; until then every call is answered UNAVAILABLE.

        `signer` makes the receipts of expungements; without it there are none.
        """
        self._attached, self._signer = engine, signer

    def decline(self, modality: str) -> None:
        """Answer every call with FAILED_PRECONDITION: this service does not serve the modality."""
        self._declined = modality

    @property
    def _engine(self) -> Engine:
        if self._declined:
            raise Precondition(
                f"This service does not serve {self._declined} search; ask one that does, or add it to the setting "
                "modalities.",
                reason="MODALITY_NOT_SERVED",
            )
        if self._attached is None:
            raise starting()
        return self._attached

    async def Enroll(self, request: matching.EnrollRequest, _: _Context) -> matching.EnrollResponse:
        """Enrols one sample."""
        return await self._answer(self._enroll, request)

    async def EnrollMany(
        self, items: AsyncIterator[matching.EnrollManyRequest], _: _Context
    ) -> AsyncIterator[matching.EnrollManyResponse]:
        """Enrols a stream of samples; a bad item is rejected and the stream goes on."""
        call = current()
        peer = call.peer
        counts = dict.fromkeys(("enrolled", "replayed", "rejected"), 0)

        async def enrol(item: matching.EnrollManyRequest) -> matching.EnrollManyResponse:
            response = await self._item(item, peer, call.deadline)
            outcome = _outcome(response)
            counts[outcome] += 1
            metrics.stream_items(call.service, call.method, outcome).inc()
            return response

        try:
            window = Window(self._limits.stream_window, WINDOW_BYTES)
            async with aclosing(
                outcomes(items, enrol, window, self._drain, self._limits.stream_idle)
            ) as responses:
                async for response in responses:
                    yield response
        finally:
            call.notes |= {"items": sum(counts.values()), "rejected": counts["rejected"]}

    async def Get(self, request: matching.GetRequest, _: _Context) -> matching.GetResponse:
        """Reads one reference."""
        return await self._answer(self._get, request)

    async def List(self, request: matching.ListRequest, _: _Context) -> matching.ListResponse:
        """Lists references page by page."""
        return await self._answer(self._list, request)

    async def Update(self, request: matching.UpdateRequest, _: _Context) -> matching.UpdateResponse:
        """Changes the metadata of a reference."""
        return await self._answer(self._update, request)

    async def Expunge(self, request: matching.ExpungeRequest, _: _Context) -> matching.ExpungeResponse:
        """Erases a reference."""
        return await self._answer(self._expunge, request)

    async def Search(self, request: matching.SearchRequest, _: _Context) -> matching.SearchResponse:
        """Finds the references that resemble a probe."""
        return await self._answer(self._search, request)

    async def SearchWithProgress(
        self, request: matching.SearchRequest, _: _Context
    ) -> AsyncIterator[matching.SearchUpdate]:
        """Finds the references that resemble a probe, and tells how far it has come."""
        call = current()
        newest: NewestValue[tuple[int, int]] = NewestValue(asyncio.get_running_loop())

        def search(request: matching.SearchRequest, caller: Caller, deadline: Deadline) -> _Found:
            return self._search(request, caller, deadline, lambda *done: newest.put(done))

        work = asyncio.create_task(self._worked(search, request, call.act, call.deadline))
        work.add_done_callback(lambda _: newest.close())
        try:
            async for compared, total in newest.every(PROGRESS_SECONDS):
                progress = matching.SearchProgress(compared=compared, total=total)
                yield matching.SearchUpdate(progress=progress)
            answer = await work
            call.notes |= noted(answer)
            yield matching.SearchUpdate(answer=answer)
        finally:
            work.cancel()

    async def Compare(self, request: matching.CompareRequest, _: _Context) -> matching.CompareResponse:
        """Compares two samples or references."""
        return await self._answer(self._compare, request)

    async def Analyze(self, request: matching.AnalyzeRequest, _: _Context) -> matching.AnalyzeResponse:
        """Detects presentations and measures their quality."""
        return await self._answer(self._analyze, request)

    async def _answer(self, step: _Step[_Request, _Answer], request: _Request) -> _Answer:
        call = current()
        answer = await self._worked(step, request, call.act, call.deadline)
        call.notes |= noted(answer)
        return answer

    async def _worked(
        self,
        step: _Step[_Request, _Answer],
        request: _Request,
        act: Act,
        deadline: CallDeadline,
        seconds: float = math.inf,
    ) -> _Answer:
        """Have a worker do an act that was judged, put what became of it on record, and make the answer."""
        caller, act.begun = act.judged, True

        def work(left: CallDeadline) -> _Answer:
            answer = self._recorder.done(act, lambda: step(request, caller, left))
            return answer()

        return await self._workers.run(work, deadline, seconds=seconds)

    async def _item(
        self, item: matching.EnrollManyRequest, peer: Peer, deadline: CallDeadline
    ) -> matching.EnrollManyResponse:
        request, name = item.enrolment, f"item {item.sequence}"
        act = Act(peer, request)

        def enroll(request: matching.EnrollRequest, caller: Caller, left: Deadline) -> _Enrolled:
            return self._enroll(request, caller, left, name)

        try:
            async with self._workers.bulk, self._recorder.judging(act, deadline):
                if not item.HasField("enrolment"):
                    check_required(item)
                act.judge()
                check_required(request)
                enrolled = await self._worked(enroll, request, act, deadline, self._limits.item_seconds)
        except Exception as error:
            status = errors.to_status(errors.report_of(error))
            return matching.EnrollManyResponse(sequence=item.sequence, rejected=status)
        return matching.EnrollManyResponse(sequence=item.sequence, enrolled=enrolled)

    def _enroll(
        self, request: matching.EnrollRequest, caller: Caller, deadline: Deadline, name: str = ""
    ) -> _Enrolled:
        sample = requests.sample(
            request.sample, "sample", max_bytes=self._limits.max_sample_bytes, fallback=name
        )
        described = requests.described(request.metadata, caller, self._engine.modality_name)
        override = _override(request)
        key = requests.request_key(request, caller)
        enrolled = self._engine.enrol(caller, key, described, sample, override=override, deadline=deadline)
        return partial(answers.enrolled, enrolled)

    def _get(
        self, request: matching.GetRequest, caller: Caller, _: Deadline
    ) -> Callable[[], matching.GetResponse]:
        reference_id = requests.identifier(request.reference_id, "reference_id")
        found = self._engine.get(caller, reference_id)
        return lambda: matching.GetResponse(reference=answers.reference(found))

    def _list(
        self, request: matching.ListRequest, caller: Caller, deadline: Deadline
    ) -> Callable[[], matching.ListResponse]:
        tokens = PageTokens(request, caller, self._engine.modality_name)
        query = requests.list_query(request, tokens, max_page=self._limits.max_page_size)
        size = self._limits.max_answer_bytes
        page = self._engine.list(
            caller, query, deadline=deadline, fit=lambda page: answers.fitting(page, size)
        )
        return partial(answers.page, page, tokens)

    def _update(
        self, request: matching.UpdateRequest, caller: Caller, _: Deadline
    ) -> Callable[[], matching.UpdateResponse]:
        reference_id = requests.identifier(request.reference_id, "reference_id")
        fields = requests.updated_fields(request)
        described = requests.described(
            requests.masked(request.metadata, fields),
            caller,
            self._engine.modality_name,
            reference_id=reference_id,
        )
        key = requests.request_key(request, caller)
        updated = self._engine.update(
            caller,
            key,
            described,
            expected_position=request.expected_log_position,
            fields=fields,
        )
        return partial(answers.updated, updated)

    def _expunge(
        self, request: matching.ExpungeRequest, caller: Caller, _: Deadline
    ) -> Callable[[], matching.ExpungeResponse]:
        reference_id = requests.identifier(request.reference_id, "reference_id")
        key = requests.request_key(request, caller)
        receipt = self._engine.expunge(caller, key, reference_id, reason=request.reason)
        return partial(answers.expunged, receipt, self._signer)

    def _search(
        self,
        request: matching.SearchRequest,
        caller: Caller,
        deadline: Deadline,
        progress: Progress = no_progress,
    ) -> _Found:
        probe = requests.sample(request.probe, "probe", max_bytes=self._limits.max_sample_bytes)
        options = requests.search_options(request.options, max_k=self._limits.max_k)
        answer = self._engine.search(caller, probe, options, deadline=deadline, progress=progress)
        return partial(_marked, caller, partial(answers.found, answer, self._limits.max_answer_bytes))

    def _compare(
        self, request: matching.CompareRequest, caller: Caller, deadline: Deadline
    ) -> Callable[[], matching.CompareResponse]:
        size = self._limits.max_sample_bytes
        probe = requests.comparand(request.probe, "probe", max_bytes=size)
        candidate = requests.comparand(request.candidate, "candidate", max_bytes=size)
        compared = self._engine.compare(caller, probe, candidate, explain=request.explain, deadline=deadline)
        return partial(_marked, caller, partial(answers.compared, compared, self._limits.max_answer_bytes))

    def _analyze(
        self, request: matching.AnalyzeRequest, caller: Caller, deadline: Deadline
    ) -> Callable[[], matching.AnalyzeResponse]:
        sample = requests.sample(request.sample, "sample", max_bytes=self._limits.max_sample_bytes)
        found = self._engine.analyse(caller, sample, deadline=deadline)
        model, now = self._engine.modality.model, datetime.now(UTC)
        return partial(answers.analysed, found, model, now, self._limits.max_answer_bytes)


def _marked(caller: Caller, make: Callable[[], _Headed]) -> _Headed:
    """The answer, whose header says so where nobody was proven to ask."""
    answer = make()
    answer.header.insecure = not caller.grant.principal.name
    return answer


def _override(request: matching.EnrollRequest) -> str:
    if request.HasField("quality_override") and not request.quality_override.reason.strip():
        raise InvalidInput(
            "quality_override.reason is empty; say why the sample is enrolled in spite of its quality, or leave "
            "the override out.",
            field="quality_override.reason",
        )
    if len(request.quality_override.reason) > MAX_TEXT:
        raise InvalidInput(
            f"quality_override.reason is longer than {MAX_TEXT} characters; shorten it.",
            field="quality_override.reason",
        )
    return request.quality_override.reason


def _outcome(response: matching.EnrollManyResponse) -> str:
    if response.HasField("rejected"):
        return "rejected"
    return "replayed" if response.enrolled.replayed else "enrolled"

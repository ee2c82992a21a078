"""The synchronous client. Safe to share between threads."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from likeness.client import connection
from likeness.client.errors import CallFailed, from_rpc
from likeness.client.modalities import ByModality
from likeness.client.oversight import Oversight
from likeness.client.requests import (
    ComparandLike,
    EnrollOptions,
    ListOptions,
    Progress,
    Requests,
    SampleLike,
    SearchOptions,
)
from likeness.client.retry import Attempts, tried
from likeness.client.stream import WINDOW, Enrolment, Outcome, Pending, ended_early
from likeness.client.tls import Tls, Token, channel_credentials
from likeness.client.transport import Transport
from likeness.protocol import OVERSIGHT, SERVICES, Service, Stub
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching

_Request = TypeVar("_Request")
_Answer = TypeVar("_Answer")


class LikenessClient(ByModality["Modality"]):
    """A connection to a service, on behalf of one caller.

    Args:
        address: `host:port`; of no use with a channel.
        entity: the requesting authority, for example `NCB-FR`.
        purpose: why requests are made, by name, for example `missing_person`; needed to search and compare.
        case_reference: the case that they belong to.
        operator: the person or system that makes them.
        timeout: seconds that one request may take with all its retries.
        retries: attempts after the first, where another may help.
        tls: certificates, for a service that is reached over TLS, mutual or not; None connects without encryption.
        token: a bearer token of the person behind the calls, or what gives one for each; sent over TLS alone.
        credentials: gRPC's own, in place of `tls`.
        channel: what calls go through in place of a connection to the address, for example a double in
            a test; the client closes it.
        services: what the server may offer, by modality.
    """

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
        channel: Transport | None = None,
        services: tuple[Service, ...] = SERVICES,
    ) -> None:
        if channel is None:
            channel = _channel(address, channel_credentials(tls, credentials, token))
        self._channel: Transport = channel
        self._services = services
        self._caller = connection.caller(entity, purpose, case_reference, operator)
        self._timeout, self._retries = timeout, retries
        self._bind()

    def _bind(self) -> None:
        made = Requests(self._caller)
        self.oversight = Oversight(OVERSIGHT.stub(self._channel), self._caller, self._timeout, self._retries)
        """What a bureau oversees: its entities, and who received its references."""
        self._bind_modalities(
            {
                service.modality: Modality(service.stub(self._channel), made, self._timeout, self._retries)
                for service in self._services
            }
        )

    def asking(
        self, *, purpose: str | None = None, case_reference: str | None = None, operator: str | None = None
    ) -> LikenessClient:
        """A client over the same connection for another purpose, case or operator; close only the first."""
        other = object.__new__(type(self))
        other._channel, other._services = self._channel, self._services
        other._timeout, other._retries = self._timeout, self._retries
        other._caller = connection.changed(self._caller, purpose, case_reference, operator)
        other._bind()
        return other

    def wait_ready(self, timeout: float = 60.0, *, modality: str = "") -> None:
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
                if connection.is_serving(check(request, timeout=left, wait_for_ready=True)):
                    return
            except grpc.RpcError as error:
                failure = connection.not_ready(timeout, from_rpc(error))
            time.sleep(min(connection.READY_PAUSE, max(0.0, until - time.monotonic())))
        raise failure

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _channel(address: str, credentials: grpc.ChannelCredentials | None) -> grpc.Channel:
    if not address:
        raise ValueError("a client needs an address, host:port, or a channel")
    if credentials is None:
        return grpc.insecure_channel(address, connection.OPTIONS)
    return grpc.secure_channel(address, credentials, connection.OPTIONS)


class Modality:
    """The methods of one modality. Every one raises `CallFailed`, by the class of its status code."""

    def __init__(self, stub: Stub, requests: Requests, timeout: float, retries: int) -> None:
        self._stub = stub
        self._requests = requests
        self._timeout = timeout
        self._retries = retries

    def enroll(
        self, sample: SampleLike, *, timeout: float | None = None, **options: Unpack[EnrollOptions]
    ) -> matching.EnrollResponse:
        """Enrol one sample; durable on return. Sent again after a failure, it enrols once."""
        return self._send(self._stub.Enroll, self._requests.enroll(sample, **options), timeout)

    def get(self, reference_id: str, *, timeout: float | None = None) -> common.Reference:
        """One reference."""
        return self._send(self._stub.Get, self._requests.get(reference_id), timeout).reference

    def list(
        self, *, timeout: float | None = None, **options: Unpack[ListOptions]
    ) -> Iterator[common.Reference]:
        """References, oldest first; pages are fetched as they are needed, each within `timeout`."""
        request = self._requests.list(**options)
        while True:
            page = self._send(self._stub.List, request, timeout)
            yield from page.references
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def update(
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
        return self._send(self._stub.Update, request, timeout)

    def expunge(
        self, reference_id: str, reason: str, *, request_id: str = "", timeout: float | None = None
    ) -> matching.ExpungeResponse:
        """Erase a reference for good."""
        request = self._requests.expunge(reference_id, reason, request_id=request_id)
        return self._send(self._stub.Expunge, request, timeout)

    def search(
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
            return self._send(self._stub.Search, request, timeout)

        def searched(left: float) -> matching.SearchResponse:
            limit = None if math.isinf(left) else left
            return _last(self._stub.SearchWithProgress(request, timeout=limit), progress)

        return self._tried(searched, math.inf if timeout is None else timeout)

    def compare(
        self,
        probe: ComparandLike,
        candidate: ComparandLike,
        *,
        explain: bool = False,
        timeout: float | None = None,
    ) -> matching.CompareResponse:
        """Compare two samples or references, 1:1."""
        request = self._requests.compare(probe, candidate, explain=explain)
        return self._send(self._stub.Compare, request, timeout)

    def analyze(self, sample: SampleLike, *, timeout: float | None = None) -> matching.AnalyzeResponse:
        """Detect presentations and measure their quality."""
        return self._send(self._stub.Analyze, self._requests.analyze(sample), timeout)

    def enroll_many(self, enrolments: Iterable[Enrolment], *, window: int = WINDOW) -> Iterator[Outcome]:
        """Enrol many samples over one stream; yields each outcome as it comes, in any order.

        Items are taken from `enrolments` as places in the window fall free. A stream that breaks is opened
        again, and what had no outcome is sent again with the same request ids. An outcome that came while
        `enrolments` is slow to give its next item is yielded after that item was taken.
        """
        pending = Pending(self._requests, window, self._retries)
        attempts = Attempts(float("inf"), self._retries)
        source = iter(enrolments)
        while True:
            link = _Link(self._stub.EnrollMany, pending.unanswered())
            try:
                for outcome in _pump(source, pending, link):
                    attempts.succeeded()
                    yield outcome
                return
            except CallFailed as error:
                time.sleep(attempts.pause(error))
            finally:
                link.close()

    def _send(
        self, call: grpc.UnaryUnaryMultiCallable[_Request, _Answer], request: _Request, timeout: float | None
    ) -> _Answer:
        seconds = self._timeout if timeout is None else timeout
        return self._tried(lambda left: call(request, timeout=left), seconds)

    def _tried(self, attempt: Callable[[float], _Answer], seconds: float) -> _Answer:
        return tried(attempt, Attempts(seconds, self._retries))


def _last(updates: Iterable[matching.SearchUpdate], progress: Progress) -> matching.SearchResponse:
    """The answer at the end of the updates."""
    for update in updates:
        if update.HasField("answer"):
            return update.answer
        progress(update.progress.compared, update.progress.total)
    raise ended_early()


def _pump(source: Iterator[Enrolment], pending: Pending, link: _Link) -> Iterator[Outcome]:
    """Send what fits in the window, yield what came, until the source is at its end and all is answered."""
    exhausted = False
    while pending or not exhausted:
        while not exhausted and not pending.is_full:
            item = next(source, None)
            if item is None:
                exhausted = True
                break
            admitted = pending.admit(item)
            if isinstance(admitted, Outcome):
                yield admitted
            else:
                link.send(admitted)
            if link.has_answer:
                break
        if pending:
            settled = pending.settle(link.receive())
            if isinstance(settled, Outcome):
                yield settled
            elif settled is not None:
                link.send(settled)
    link.finish()


class _Link:
    """One stream: requests go out through a queue that grpc's thread empties, answers come in through another."""

    def __init__(
        self,
        call: grpc.StreamStreamMultiCallable[matching.EnrollManyRequest, matching.EnrollManyResponse],
        first: Iterable[matching.EnrollManyRequest],
    ) -> None:
        self._out: queue.SimpleQueue[matching.EnrollManyRequest | None] = queue.SimpleQueue()
        self._in: queue.SimpleQueue[matching.EnrollManyResponse | Exception | None] = queue.SimpleQueue()
        for request in first:
            self._out.put(request)
        self._call: Any = call(iter(self._out.get, None))
        self._reader = threading.Thread(target=self._read, name="likeness-answers", daemon=True)
        self._reader.start()

    @property
    def has_answer(self) -> bool:
        """Whether `receive` would not wait."""
        return not self._in.empty()

    def send(self, request: matching.EnrollManyRequest) -> None:
        """Send one request."""
        self._out.put(request)

    def receive(self) -> matching.EnrollManyResponse:
        """The next answer.

        Raises:
            CallFailed: the stream broke or ended.
        """
        answer = self._in.get()
        if answer is None:
            raise ended_early()
        if isinstance(answer, grpc.RpcError):
            raise from_rpc(answer)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def finish(self) -> None:
        """Say that nothing more comes, and wait for the service to end the stream."""
        self._out.put(None)
        self._reader.join()

    def close(self) -> None:
        """End the stream, if it has not ended."""
        self._out.put(None)
        self._call.cancel()
        self._reader.join()

    def _read(self) -> None:
        try:
            for answer in self._call:
                self._in.put(answer)
        except Exception as error:
            self._in.put(error)
        else:
            self._in.put(None)

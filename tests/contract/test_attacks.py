"""Who sends half of what a call needs, or what is no request, shuts nobody else out."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from likeness.client import Enrolment, InvalidArgument, Outcome, ResourceExhausted
from likeness.client.errors import from_rpc
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching
from tests.contract.conftest import Served
from tests.contract.http2 import Deaf
from tests.contract.test_limits import log
from tests.waiting import PATIENCE, eventually

__all__ = ["log"]

SERVICE = "/likeness.v1.FaceService/"
CHECK = "/grpc.health.v1.Health/Check"


class HalfOpen:
    """Calls of which the server gets the headers and no message, over as many connections."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._over = threading.Event()
        self._begun: list[Any] = []
        self._stack = ExitStack()

    def __enter__(self) -> HalfOpen:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._stack.close()

    def begin(self, method: str, count: int) -> list[Any]:
        options = [("grpc.use_local_subchannel_pool", 1)]
        channel = self._stack.enter_context(grpc.insecure_channel(self._address, options=options))
        call = channel.stream_unary(method, request_serializer=None, response_deserializer=None)
        begun = [call.future(self._silence(), timeout=PATIENCE) for _ in range(count)]
        self._begun += begun  # a call that nobody holds is cancelled
        return begun

    def _silence(self) -> Iterator[bytes]:
        self._over.wait(PATIENCE)
        yield from ()


def is_serving(address: str) -> bool:
    with grpc.insecure_channel(address) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(service="live"), timeout=PATIENCE
        )
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@pytest.mark.parametrize("method", [SERVICE + "Search", SERVICE + "EnrollMany", CHECK])
def test_calls_without_a_message_shut_nobody_out_and_end(prepare: Callable[..., Served], method: str) -> None:
    served = prepare(workers=2, queue=2, max_streams=2, message_seconds=3.0).start()
    with HalfOpen(served.address) as attack:
        calls = [call for _ in range(5) for call in attack.begin(method, 20)]
        client = served.client()
        assert is_serving(served.address)
        assert client.face.enroll(b"1,0,0").log_position == 1
        assert [o.enrolled is not None for o in client.face.enroll_many([Enrolment(b"0,1,0")])] == [True]
        errors = [call.exception(PATIENCE) for call in calls]
    assert {error.code() for error in errors} == {grpc.StatusCode.DEADLINE_EXCEEDED}
    assert {from_rpc(error).reason for error in errors} == {"REQUEST_NOT_RECEIVED"}


@pytest.mark.parametrize("method", [SERVICE + "Search", CHECK])
def test_whoever_begins_too_many_calls_loses_its_own(prepare: Callable[..., Served], method: str) -> None:
    served = prepare(max_arriving=5, message_seconds=PATIENCE).start()
    with HalfOpen(served.address) as attack:
        calls = [call for _ in range(3) for call in attack.begin(method, 4)]
        eventually(lambda: sum(call.done() for call in calls) >= 7)
        client = served.client(retries=0)
        for _ in range(3):
            client.face.analyze(b"1,0,0")
            assert is_serving(served.address)
        errors = [from_rpc(call.exception()) for call in calls if call.done()]
    assert {error.reason for error in errors} == {"TOO_BUSY"}
    assert all(error.retry_after is not None for error in errors)


def test_a_stream_that_falls_silent_gives_its_place_back(prepare: Callable[..., Served]) -> None:
    served = prepare(max_streams=1, stream_idle=0.5).start()
    others: list[Outcome] = []

    def one_and_silence() -> Iterator[Enrolment]:
        yield Enrolment(b"1,0,0")
        others.extend(served.client(retries=50).face.enroll_many([Enrolment(b"0,1,0")]))

    for outcome in served.client(retries=0).face.enroll_many(one_and_silence()):
        assert outcome.enrolled is not None
    assert [other.enrolled is not None for other in others] == [True]


def test_whoever_reads_no_answers_shuts_nobody_out(
    prepare: Callable[..., Served], log: Callable[[], list[dict[str, object]]]
) -> None:
    served = prepare(workers=2, queue=0, max_streams=1, message_seconds=3.0, stream_idle=3.0).start()
    client = served.client(retries=0)
    caller = common.CallerContext(entity="NCB-AA", purpose=common.PURPOSE_WANTED_PERSON)
    search = matching.SearchRequest(caller=caller, probe=common.Sample(data=b"1,0,0"))
    with Deaf(served.address, PATIENCE) as peer:
        peer.call(SERVICE + "EnrollMany", matching.EnrollManyRequest().SerializeToString())
        for _ in range(2):
            peer.call(SERVICE + "SearchWithProgress", search.SerializeToString())
        eventually(lambda: [line.get("reason") for line in log()].count("ANSWER_NOT_READ") == 3)
        client.face.analyze(b"1,0,0")
        assert [o.enrolled is not None for o in client.face.enroll_many([Enrolment(b"0,1,0")])] == [True]


def test_what_is_no_message_is_an_invalid_argument_and_no_fault_in_the_log(
    served: Served, log: Callable[[], list[dict[str, object]]]
) -> None:
    with grpc.insecure_channel(served.address) as channel:
        for method in ("Search", "SearchWithProgress"):
            call = channel.unary_stream(SERVICE + method, request_serializer=None, response_deserializer=None)
            with pytest.raises(grpc.RpcError) as caught:
                list(call(b"\xff\xff not a message", timeout=PATIENCE))
            error = from_rpc(caught.value)
            assert isinstance(error, InvalidArgument)
            assert error.reason == "MALFORMED_MESSAGE"
    eventually(lambda: len([line for line in log() if line["event"] == "rpc"]) == 2)
    assert "stack" not in json.dumps(log())


def test_a_call_without_a_request_is_an_invalid_argument(served: Served) -> None:
    with grpc.insecure_channel(served.address) as channel:
        call = channel.stream_unary(SERVICE + "Get", request_serializer=None, response_deserializer=None)
        with pytest.raises(grpc.RpcError) as caught:
            call(iter(()), timeout=PATIENCE)
        assert from_rpc(caught.value).reason == "NO_REQUEST"


def test_a_message_of_tiny_fields_is_refused_before_it_is_read(served: Served) -> None:
    data = b"\x0a\x00" * 10_000_000  # ListRequest.caller, over and over
    with grpc.insecure_channel(served.address, options=[("grpc.max_send_message_length", -1)]) as channel:
        call = channel.unary_unary(SERVICE + "List", request_serializer=None, response_deserializer=None)
        with pytest.raises(grpc.RpcError) as caught:
            call(data, timeout=PATIENCE)
        assert from_rpc(caught.value).reason == "REQUEST_TOO_LARGE"
    with pytest.raises(ResourceExhausted) as large:
        served.client().face.enroll(b"1,0,0", metadata=_large())
    assert large.value.reason == "REQUEST_TOO_LARGE"


def _large() -> Any:
    request = matching.EnrollRequest()
    request.metadata.notices.extend(["x" * 1000] * 1000)
    return request.metadata


def test_reflection_and_the_watch_of_health_still_answer(served: Served) -> None:
    with grpc.insecure_channel(served.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(service=""), timeout=PATIENCE
        )
        assert next(iter(watch)).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()

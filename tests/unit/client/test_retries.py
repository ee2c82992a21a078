"""Both clients repeat what may help, with the same request id, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import grpc
import pytest

from likeness.client import (
    AsyncLikenessClient,
    CallFailed,
    DeadlineExceeded,
    Enrolment,
    Internal,
    LikenessClient,
    Outcome,
    ResourceExhausted,
    Unavailable,
)
from likeness.client import retry as policy
from tests.unit.client.conftest import Script, failure
from tests.waiting import PATIENCE


class Enroller(Protocol):
    """Either client, called the same way."""

    def one(self, **arguments: Any) -> object: ...
    def many(self, enrolments: Iterable[Enrolment], **arguments: Any) -> list[Outcome]: ...


class Sync:
    def __init__(self, address: str) -> None:
        self.address = address

    def client(self, **arguments: Any) -> LikenessClient:
        return LikenessClient(self.address, entity="NCB-AA", timeout=PATIENCE, **arguments)

    def one(self, **arguments: Any) -> object:
        with self.client(**arguments) as client:
            return client.face.enroll(b"x")

    def many(self, enrolments: Iterable[Enrolment], **arguments: Any) -> list[Outcome]:
        with self.client(**arguments) as client:
            return list(client.face.enroll_many(enrolments, window=4))


class Async:
    def __init__(self, address: str) -> None:
        self.address = address

    def client(self, **arguments: Any) -> AsyncLikenessClient:
        return AsyncLikenessClient(self.address, entity="NCB-AA", timeout=PATIENCE, **arguments)

    def one(self, **arguments: Any) -> object:
        async def run() -> object:
            async with self.client(**arguments) as client:
                return await client.face.enroll(b"x")

        return asyncio.run(run())

    def many(self, enrolments: Iterable[Enrolment], **arguments: Any) -> list[Outcome]:
        async def run() -> list[Outcome]:
            async with self.client(**arguments) as client:
                return [outcome async for outcome in client.face.enroll_many(enrolments, window=4)]

        return asyncio.run(run())


@pytest.fixture(params=[Sync, Async])
def enroller(request: pytest.FixtureRequest, address: str) -> Enroller:
    make: Callable[[str], Enroller] = request.param
    return make(address)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "FIRST_PAUSE", 0.001)


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED], ids=lambda code: code.name
)
def test_a_failure_that_may_pass_is_repeated_with_the_same_request_id(
    enroller: Enroller, script: Script, code: grpc.StatusCode
) -> None:
    script.failures = [failure(code), failure(code)]
    enroller.one()
    assert len(script.request_ids) == 3
    assert len(set(script.request_ids)) == 1


def test_the_retries_come_to_an_end(enroller: Enroller, script: Script) -> None:
    script.failures = [failure(grpc.StatusCode.UNAVAILABLE)] * 9
    with pytest.raises(Unavailable, match="as instructed"):
        enroller.one(retries=2)
    assert len(script.request_ids) == 3


def test_a_failure_that_will_not_pass_is_not_repeated(enroller: Enroller, script: Script) -> None:
    script.failures = [failure(grpc.StatusCode.INTERNAL)]
    with pytest.raises(Internal):
        enroller.one()
    assert len(script.request_ids) == 1


def test_exhaustion_is_repeated_only_where_the_service_says_when(enroller: Enroller, script: Script) -> None:
    script.failures = [failure(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after=0.01)]
    enroller.one()
    assert len(script.request_ids) == 2
    script.failures = [failure(grpc.StatusCode.RESOURCE_EXHAUSTED)]
    with pytest.raises(ResourceExhausted):
        enroller.one()
    assert len(script.request_ids) == 3


def test_no_pause_is_begun_that_outlasts_the_time_left(enroller: Enroller, script: Script) -> None:
    script.failures = [failure(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after=3600)]
    with pytest.raises(ResourceExhausted):
        enroller.one()
    assert len(script.request_ids) == 1


def test_a_service_that_is_not_there_is_unavailable(enroller: Enroller) -> None:
    enroller.address = "127.0.0.1:1"  # type: ignore[attr-defined]
    with pytest.raises((Unavailable, DeadlineExceeded)):
        enroller.one(retries=1)


def items(count: int) -> Iterator[Enrolment]:
    for n in range(count):
        yield Enrolment(b"x", request_id=f"item-{n}", tag=n)


def test_a_stream_that_breaks_goes_on_and_every_item_has_one_outcome(
    enroller: Enroller, script: Script
) -> None:
    script.break_after = [3, 0, 5]
    outcomes = enroller.many(items(20))
    assert sorted(outcome.enrolment.tag for outcome in outcomes) == list(range(20))  # type: ignore[type-var]
    assert all(outcome.enrolled is not None for outcome in outcomes)
    assert set(script.request_ids) == {f"item-{n}" for n in range(20)}
    assert script.streams == 4


def test_a_stream_that_only_breaks_ends_in_an_error(enroller: Enroller, script: Script) -> None:
    script.break_after = [0] * 99
    with pytest.raises(Unavailable):
        enroller.many(items(3), retries=3)
    assert script.streams == 4


def test_a_stream_is_not_opened_again_after_a_failure_that_will_not_pass(
    enroller: Enroller, script: Script
) -> None:
    script.refusal = failure(grpc.StatusCode.UNIMPLEMENTED)
    with pytest.raises(CallFailed) as caught:
        enroller.many(items(3))
    assert caught.value.code is grpc.StatusCode.UNIMPLEMENTED
    assert script.refused <= 2  # the asynchronous client may have to ask twice for the reason


def test_an_item_that_was_refused_for_a_reason_that_may_pass_is_sent_again(
    enroller: Enroller, script: Script
) -> None:
    script.refuse_once = {1, 7}
    outcomes = enroller.many(items(10))
    assert all(outcome.enrolled is not None for outcome in outcomes)
    assert len(outcomes) == 10
    assert script.request_ids.count("item-0") == script.request_ids.count("item-6") == 2
    assert script.streams == 1


def test_an_empty_list_is_enrolled_without_complaint(enroller: Enroller) -> None:
    assert enroller.many([]) == []

"""Clients over what is no connection: the channels of `likeness.testing` answer them as a service does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from likeness.client import (
    AsyncLikenessClient,
    Enrolment,
    LikenessClient,
    NotFound,
    Unavailable,
    Unimplemented,
)
from likeness.client.modalities import ByModality
from likeness.protocol import by_modality
from likeness.testing.channel import AnsweringChannel, AsyncAnsweringChannel, refusal
from likeness.v1 import matching_pb2 as matching


def searched(request: matching.SearchRequest) -> matching.SearchResponse:
    response = matching.SearchResponse()
    candidate = response.answers.add().candidates.add()
    candidate.reference.reference_id = request.probe.data.decode()
    return response


def progressed(request: matching.SearchRequest) -> Iterator[matching.SearchUpdate]:
    for compared in (1, 2):
        update = matching.SearchUpdate()
        update.progress.compared, update.progress.total = compared, 2
        yield update
    yield matching.SearchUpdate(answer=searched(request))


def missing(_: matching.GetRequest) -> matching.GetResponse:
    raise refusal(
        grpc.StatusCode.NOT_FOUND, "There is none.", reason="REFERENCE_NOT_FOUND", metadata={"field": "id"}
    )


def enrolled(item: matching.EnrollManyRequest) -> matching.EnrollManyResponse:
    response = matching.EnrollManyResponse(sequence=item.sequence)
    if item.enrolment.sample.data == b"bad":
        response.rejected.code = grpc.StatusCode.INVALID_ARGUMENT.value[0]
    else:
        response.enrolled.log_position = 1
    return response


class Busy:
    """Refuses once, and says when to come back."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, _: matching.EnrollRequest) -> matching.EnrollResponse:
        self.asked += 1
        if self.asked == 1:
            raise refusal(grpc.StatusCode.UNAVAILABLE, "It starts.", retry_after=0.001)
        return matching.EnrollResponse(log_position=7)


def answers() -> dict[str, Any]:
    return {
        "face.Search": searched,
        "face.SearchWithProgress": progressed,
        "face.Get": missing,
        "face.Enroll": Busy(),
        "object.EnrollMany": enrolled,
    }


def test_a_client_is_answered_without_a_server() -> None:
    channel = AnsweringChannel(answers())
    with LikenessClient(channel=channel, entity="NCB-FR", purpose="missing_person") as client:
        client.wait_ready()
        found = client.face.search(b"r1", galleries=["missing"])
        assert found.answers[0].candidates[0].reference.reference_id == "r1"
        assert client.face.enroll(b"x").log_position == 7  # the second time
        steps: list[tuple[int, int]] = []
        again = client.face.search(b"r2", progress=lambda *step: steps.append(step))
        assert again.answers[0].candidates[0].reference.reference_id == "r2"
        assert steps == [(1, 2), (2, 2)]
        with pytest.raises(NotFound, match="There is none") as caught:
            client.face.get("r3")
        assert (caught.value.reason, caught.value.metadata) == ("REFERENCE_NOT_FOUND", {"field": "id"})
        outcomes = client.object.enroll_many([Enrolment(b"good"), Enrolment(b"bad")])
        assert [outcome.rejected is None for outcome in outcomes] == [True, False]
        with pytest.raises(Unimplemented, match="Analyze"):
            client.face.analyze(b"x")
    first = channel.requests[0]
    assert isinstance(first, matching.SearchRequest)
    assert (first.caller.entity, list(first.options.galleries)) == ("NCB-FR", ["missing"])


async def test_so_is_an_asynchronous_one() -> None:
    channel = AsyncAnsweringChannel(answers())
    async with AsyncLikenessClient(channel=channel, entity="NCB-FR", purpose="missing_person") as client:
        await client.wait_ready()
        found = await client.face.search(b"r1")
        assert found.answers[0].candidates[0].reference.reference_id == "r1"
        assert (await client.face.enroll(b"x")).log_position == 7
        steps: list[tuple[int, int]] = []
        await client.face.search(b"r2", progress=lambda *step: steps.append(step))
        assert steps == [(1, 2), (2, 2)]
        with pytest.raises(NotFound):
            await client.face.get("r3")
        outcomes = client.object.enroll_many([Enrolment(b"good"), Enrolment(b"bad")])
        assert [outcome.rejected is None async for outcome in outcomes] == [True, False]
    assert len(channel.requests) == 7


def test_a_stream_that_is_refused_breaks() -> None:
    def refused(_: object) -> matching.EnrollManyResponse:
        raise refusal(grpc.StatusCode.UNAVAILABLE, "It stops.")

    channel = AnsweringChannel({"face.EnrollMany": refused})
    client = LikenessClient(channel=channel, entity="NCB-FR", retries=0)
    with pytest.raises(Unavailable, match="It stops"):
        list(client.face.enroll_many([Enrolment(b"x")]))


async def test_so_does_an_asynchronous_one() -> None:
    def refused(_: object) -> matching.EnrollManyResponse:
        raise refusal(grpc.StatusCode.UNAVAILABLE, "It stops.")

    channel = AsyncAnsweringChannel({"face.EnrollMany": refused})
    client = AsyncLikenessClient(channel=channel, entity="NCB-FR", retries=0)
    with pytest.raises(Unavailable, match="It stops"):
        [outcome async for outcome in client.face.enroll_many([Enrolment(b"x")])]


def test_an_answer_to_no_method_is_noticed() -> None:
    with pytest.raises(ValueError, match=r"'face\.Serach' is no method"):
        AnsweringChannel({"face.Serach": searched})


@pytest.mark.parametrize("client", [LikenessClient, AsyncLikenessClient])
def test_an_address_or_a_channel_is_needed(client: type[LikenessClient | AsyncLikenessClient]) -> None:
    with pytest.raises(ValueError, match="address"):
        client(entity="NCB-FR")


def test_the_attributes_that_are_declared_are_the_modalities_of_the_protocol() -> None:
    declared = {name for name in ByModality.__annotations__ if not name.startswith("_")}
    assert declared == set(by_modality())
    client = LikenessClient(channel=AnsweringChannel({}), entity="NCB-FR")
    assert all(getattr(client, name) is client.of(name) for name in declared)

"""The clients of oversight, against answers without a server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import grpc
import pytest

from likeness.client import AsyncLikenessClient, LikenessClient, Unavailable
from likeness.testing.channel import AnsweringChannel, AsyncAnsweringChannel, refusal
from likeness.v1 import oversight_pb2 as oversight

Answer = oversight.ReadRecordResponse


def entry(position: int) -> oversight.ReceivedReference:
    return oversight.ReceivedReference(audit_position=position)


class Breaking:
    """Sends a part of what it has read, breaks, and goes on from where it is asked to."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, request: oversight.ReadRecordRequest) -> Iterator[Answer]:
        self.asked.append(request.after_position)
        if request.after_position == 0:
            yield Answer(entries=[entry(1)], read_position=2)
            yield Answer(entries=[entry(3), entry(4)], read_position=2)
            raise refusal(grpc.StatusCode.UNAVAILABLE, "It stops.")
        yield Answer(entries=[entry(3), entry(4)], read_position=2)
        yield Answer(entries=[entry(5)], read_position=6, complete=True)


def test_a_record_that_breaks_is_taken_up_where_it_broke_and_nothing_comes_twice() -> None:
    service = Breaking()
    client = LikenessClient(channel=AnsweringChannel({"oversight.ReadRecord": service}), entity="NCB-FR")
    assert [row.audit_position for row in client.oversight.record()] == [1, 3, 4, 5]
    assert service.asked == [0, 2]


async def test_so_does_the_asynchronous_one() -> None:
    service = Breaking()
    client = AsyncLikenessClient(
        channel=AsyncAnsweringChannel({"oversight.ReadRecord": service}), entity="NCB-FR"
    )
    assert [row.audit_position async for row in client.oversight.record()] == [1, 3, 4, 5]
    assert service.asked == [0, 2]


def test_a_record_that_does_not_go_on_is_not_asked_for_without_end() -> None:
    channel = AnsweringChannel({"oversight.ReadRecord": lambda _: iter([Answer(read_position=0)])})
    client = LikenessClient(channel=channel, entity="NCB-FR", retries=0)
    with pytest.raises(Unavailable):
        list(client.oversight.record())


def test_a_record_is_asked_for_as_it_is_wanted() -> None:
    channel = AnsweringChannel({"oversight.ReadRecord": lambda _: iter([Answer(complete=True)])})
    client = LikenessClient(channel=channel, entity="NCB-FR")
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    list(client.oversight.record(subject_id="S-1", since=moment, after=7))
    (request,) = channel.requests
    assert isinstance(request, oversight.ReadRecordRequest)
    assert (request.subject_id, request.after_position) == ("S-1", 7)
    assert request.since_time.ToDatetime(tzinfo=UTC) == moment
    assert request.caller.entity == "NCB-FR"
    with pytest.raises(ValueError, match="not both"):
        list(client.oversight.record(subject_id="S-1", reference_id="R"))
    with pytest.raises(ValueError, match="time zone"):
        list(client.oversight.record(since=moment.replace(tzinfo=None)))

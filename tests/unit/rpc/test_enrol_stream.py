"""A stream takes in no more than its window, answers everything it took in, and stops cleanly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from likeness.domain.errors import DeadlineExceeded, Unavailable
from likeness.rpc.enrol_stream import Window, outcomes
from likeness.v1 import matching_pb2 as matching

IDLE = 60.0


class Source:
    """Items without end, or up to a count; remembers how many were taken."""

    def __init__(self, count: int = 10_000, size: int = 0) -> None:
        self.count, self.size = count, size
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[matching.EnrollManyRequest]:
        for n in range(self.count):
            self.taken += 1
            item = matching.EnrollManyRequest(sequence=n)
            item.enrolment.sample.data = b"x" * self.size
            yield item
            await asyncio.sleep(0)


async def echo(item: matching.EnrollManyRequest) -> matching.EnrollManyResponse:
    return matching.EnrollManyResponse(sequence=item.sequence)


async def settle() -> None:
    """Let every task run until all of them wait."""
    for _ in range(200):
        await asyncio.sleep(0)


async def test_all_items_are_answered_and_the_stream_ends() -> None:
    answers = [
        answer
        async for answer in outcomes(aiter(Source(50)), echo, Window(4, 1 << 20), asyncio.Event(), IDLE)
    ]
    assert sorted(answer.sequence for answer in answers) == list(range(50))


async def test_an_empty_stream_ends() -> None:
    assert [
        a async for a in outcomes(aiter(Source(0)), echo, Window(4, 1 << 20), asyncio.Event(), IDLE)
    ] == []


async def test_a_client_that_does_not_take_its_outcomes_is_not_read_from() -> None:
    source = Source()
    stream = outcomes(aiter(source), echo, Window(4, 1 << 20), asyncio.Event(), IDLE)
    await anext(stream)
    await settle()
    assert source.taken == 5  # four in the window, of which one is being delivered, and one waiting for room
    await anext(stream)
    await settle()
    assert source.taken == 6
    await stream.aclose()


async def test_the_bytes_in_the_window_are_limited_and_one_large_item_alone_passes() -> None:
    source = Source(3, size=1000)
    stream = outcomes(aiter(source), echo, Window(4, 500), asyncio.Event(), IDLE)
    assert (await anext(stream)).sequence == 0
    await settle()
    assert source.taken == 2
    assert [answer.sequence async for answer in stream] == [1, 2]


async def test_outcomes_come_as_they_are_ready() -> None:
    slow = asyncio.Event()

    async def enrol(item: matching.EnrollManyRequest) -> matching.EnrollManyResponse:
        if item.sequence == 0:
            await slow.wait()
        return await echo(item)

    stream = outcomes(aiter(Source(3)), enrol, Window(3, 1 << 20), asyncio.Event(), IDLE)
    assert [(await anext(stream)).sequence, (await anext(stream)).sequence] == [1, 2]
    slow.set()
    assert [answer.sequence async for answer in stream] == [0]


async def test_draining_answers_what_had_begun_and_then_says_so() -> None:
    drain, work = asyncio.Event(), asyncio.Event()

    async def enrol(item: matching.EnrollManyRequest) -> matching.EnrollManyResponse:
        await work.wait()
        return await echo(item)

    source = Source()
    stream = outcomes(aiter(source), enrol, Window(3, 1 << 20), drain, IDLE)
    first = asyncio.ensure_future(anext(stream))
    await settle()
    drain.set()
    await settle()
    work.set()
    answers = [await first]
    with pytest.raises(Unavailable) as caught:
        async for answer in stream:
            answers.append(answer)  # noqa: PERF401 - what came before the error counts
    assert caught.value.reason == "DRAINING"
    assert sorted(answer.sequence for answer in answers) == [0, 1, 2]


async def test_a_stream_that_is_closed_cancels_its_work() -> None:
    cancelled = asyncio.Event()

    async def enrol(item: matching.EnrollManyRequest) -> matching.EnrollManyResponse:
        if item.sequence == 0:
            return await echo(item)
        try:
            return await asyncio.Future()
        finally:
            cancelled.set()

    stream = outcomes(aiter(Source()), enrol, Window(3, 1 << 20), asyncio.Event(), IDLE)
    await anext(stream)
    await settle()
    await stream.aclose()
    assert cancelled.is_set()


async def test_an_error_of_the_connection_is_raised_after_what_had_begun() -> None:
    async def broken() -> AsyncIterator[matching.EnrollManyRequest]:
        yield matching.EnrollManyRequest(sequence=7)
        raise ConnectionError("gone")

    stream = outcomes(broken(), echo, Window(3, 1 << 20), asyncio.Event(), IDLE)
    assert (await anext(stream)).sequence == 7
    with pytest.raises(ConnectionError):
        await anext(stream)


async def test_a_stream_that_sends_nothing_is_ended_unless_something_of_it_is_worked_on() -> None:
    release, begun = asyncio.Event(), asyncio.Event()

    async def slow(item: matching.EnrollManyRequest) -> matching.EnrollManyResponse:
        begun.set()
        await release.wait()
        return matching.EnrollManyResponse(sequence=item.sequence)

    async def one_and_silence() -> AsyncIterator[matching.EnrollManyRequest]:
        yield matching.EnrollManyRequest(sequence=7)
        await asyncio.Event().wait()

    stream = outcomes(one_and_silence(), slow, Window(3, 1 << 20), asyncio.Event(), 0.05)
    first = asyncio.ensure_future(anext(stream))
    await begun.wait()
    await asyncio.sleep(0.2)
    assert not first.done()
    release.set()
    assert (await first).sequence == 7
    with pytest.raises(DeadlineExceeded) as caught:
        await anext(stream)
    assert caught.value.reason == "STREAM_IDLE"

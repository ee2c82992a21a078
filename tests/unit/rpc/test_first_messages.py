"""Calls whose first message does not come end, and whoever begins many of them loses its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from likeness.domain.errors import DeadlineExceeded, LikenessError, TooBusy
from likeness.rpc.first_messages import Arrivals
from tests.waiting import PATIENCE


async def message(text: str) -> AsyncIterator[str]:
    yield text


async def silence() -> AsyncIterator[str]:
    await asyncio.Event().wait()
    yield ""


async def begun(arrivals: Arrivals, peer: str) -> asyncio.Task[str]:
    task = asyncio.create_task(arrivals.first(silence(), peer))
    await asyncio.sleep(0)
    return task


async def ended(task: asyncio.Task[str]) -> LikenessError:
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(LikenessError) as caught:
            await task
    return caught.value


async def test_a_message_is_handed_on_and_the_end_of_a_stream_is_none() -> None:
    arrivals = Arrivals(1, PATIENCE)
    for _ in range(3):
        assert await arrivals.first(message("hello"), "a") == "hello"
        stream = message("hello")
        assert await anext(stream) == "hello"
        assert await arrivals.first(stream, "a") is None


async def test_a_call_that_stays_silent_ends() -> None:
    error = await ended(await begun(Arrivals(1, 0.05), "a"))
    assert isinstance(error, DeadlineExceeded)
    assert error.reason == "REQUEST_NOT_RECEIVED"


async def test_whoever_comes_by_another_way_takes_a_place_of_the_connection_with_most() -> None:
    arrivals = Arrivals(4, PATIENCE)
    slow = await begun(arrivals, "slow")
    flood = [await begun(arrivals, "flood") for _ in range(3)]
    others = [await begun(arrivals, "second"), await begun(arrivals, "third")]
    for task in flood[:2]:
        assert isinstance(await ended(task), TooBusy)
    assert not any(task.done() for task in (slow, flood[2], *others))
    assert (
        await arrivals.first(message("hello"), "fourth") == "hello"
    )  # takes the place of one that has as many
    for task in (slow, flood[2], *others):
        task.cancel()


async def test_a_connection_that_has_the_most_is_refused_more_and_loses_none() -> None:
    arrivals = Arrivals(3, PATIENCE)
    other = await begun(arrivals, "other")
    many = [await begun(arrivals, "many") for _ in range(3)]
    error = await ended(many[2])
    assert isinstance(error, TooBusy)
    assert error.retry_after is not None
    assert not any(task.done() for task in (other, *many[:2]))
    for task in (other, *many[:2]):
        task.cancel()


async def test_places_come_back_however_a_call_ends() -> None:
    arrivals = Arrivals(2, PATIENCE)
    for _ in range(5):
        task = await begun(arrivals, "a")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    tasks = [await begun(arrivals, "a") for _ in range(2)]
    assert not any(task.done() for task in tasks)
    for task in tasks:
        task.cancel()

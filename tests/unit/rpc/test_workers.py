"""Blocking work has its turn, its deadline, and stops when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import AsyncIterator

import pytest

from likeness.domain.deadline import CallDeadline
from likeness.domain.errors import DeadlineExceeded
from likeness.rpc.workers import Workers
from tests.waiting import PATIENCE

STARTED_SECONDS = 2.0
"""Within which a thread that is free has begun a step, also on a busy machine."""


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    made = Workers(1, 1)
    yield made
    await asyncio.to_thread(made.close)


async def test_a_step_runs_on_a_thread_with_the_variables_of_its_caller(workers: Workers) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("mine")
    thread, value = await workers.run(
        lambda _: (threading.current_thread().name, variable.get()), CallDeadline()
    )
    assert thread.startswith("likeness-worker")
    assert value == "mine"


async def test_an_error_of_the_step_is_raised_and_a_timeout_of_its_own_is_not_taken_for_ours(
    workers: Workers,
) -> None:
    def fails(_: CallDeadline) -> None:
        raise TimeoutError("the disk did not answer")

    with pytest.raises(TimeoutError, match="the disk"):
        await workers.run(fails, CallDeadline(time.monotonic() + PATIENCE))


async def test_a_thread_is_free_for_the_next_only_when_its_step_has_ended(workers: Workers) -> None:
    go_on, ended = threading.Event(), threading.Event()

    def slow(deadline: CallDeadline) -> None:
        go_on.wait(PATIENCE)
        ended.set()

    with pytest.raises(DeadlineExceeded, match="worked on"):
        await workers.run(slow, CallDeadline(time.monotonic() + STARTED_SECONDS))
    with pytest.raises(DeadlineExceeded, match="waited for its turn"):
        await workers.run(lambda _: None, CallDeadline(time.monotonic() + 0.05))
    go_on.set()
    assert await workers.run(lambda _: ended.is_set(), CallDeadline(time.monotonic() + PATIENCE))


async def test_a_cancelled_wait_takes_no_thread(workers: Workers) -> None:
    go_on = threading.Event()
    first = asyncio.create_task(workers.run(lambda _: go_on.wait(PATIENCE), CallDeadline()))
    await asyncio.sleep(0)
    ran = threading.Event()
    waiting = asyncio.create_task(workers.run(lambda _: ran.set(), CallDeadline()))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    go_on.set()
    assert await first
    assert await workers.run(lambda _: not ran.is_set(), CallDeadline())


async def test_the_time_of_a_step_counts_from_its_thread_and_not_from_its_wait(workers: Workers) -> None:
    left = await workers.run(lambda deadline: deadline.remaining, CallDeadline(), seconds=100.0)
    assert 90 < left <= 100
    cut = await workers.run(
        lambda deadline: deadline.remaining, CallDeadline(time.monotonic() + 50), seconds=100.0
    )
    assert 40 < cut <= 50


def test_an_abandoned_deadline_is_over_in_every_copy() -> None:
    deadline = CallDeadline(time.monotonic() + PATIENCE)
    copy = deadline.within(PATIENCE)
    copy.check("waiting")
    assert copy.remaining > 0
    deadline.abandoned.set()
    assert copy.remaining == 0
    with pytest.raises(DeadlineExceeded) as caught:
        copy.check("waiting")
    assert caught.value.reason == "CALLER_GONE"


def test_a_deadline_that_has_passed_is_over() -> None:
    with pytest.raises(DeadlineExceeded) as caught:
        CallDeadline(time.monotonic() - 1).check("waiting")
    assert caught.value.reason == "DEADLINE_EXCEEDED"

"""Batcher: everyone gets their own answer, limits hold, nobody waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.domain.deadline import CallDeadline, Deadline
from likeness.domain.errors import DeadlineExceeded, Exhausted, LikenessError, Unavailable
from likeness.inference.concurrency.batcher import Batcher, BatchReport
from likeness.inference.concurrency.turns import SURPLUS, Turns
from tests.waiting import PATIENCE, eventually


class _Gate:
    """Work that stops at the first batch until it is opened, so that a test decides what queues up behind it."""

    def __init__(self, work: Callable[[list[Any]], list[Any]] = lambda items: items) -> None:
        self.entered, self.open = threading.Event(), threading.Event()
        self.batches: list[list[Any]] = []
        self._work = work

    def __call__(self, items: list[Any]) -> list[Any]:
        self.batches.append(items)
        self.entered.set()
        assert self.open.wait(PATIENCE)
        return self._work(items)


def _queued(batcher: Batcher[Any, Any], count: int) -> None:
    """Waits until that many items are waiting."""
    eventually(lambda: batcher.depth == count)


@settings(max_examples=60, deadline=None)
@given(
    calls=st.lists(st.lists(st.integers(-5, 50), max_size=6), min_size=1, max_size=12),
    slots=st.integers(1, 3),
    max_batch=st.integers(1, 5),
)
def test_everyone_gets_the_answers_to_their_own_items(
    calls: list[list[int]], slots: int, max_batch: int
) -> None:
    """Negative items are at fault: their callers, and nobody else, get the error."""
    busy, most_busy, lock = 0, 0, threading.Lock()
    sizes: list[int] = []

    def work(items: list[int]) -> list[int]:
        nonlocal busy, most_busy
        with lock:
            busy += 1
            most_busy = max(most_busy, busy)
            sizes.append(len(items))
        try:
            if any(item < 0 for item in items):
                raise ValueError("negative")
            return [item * 2 for item in items]
        finally:
            with lock:
                busy -= 1

    batcher = Batcher(work, slots=slots, max_batch=max_batch, max_queue=1000)
    with ThreadPoolExecutor(len(calls)) as pool:
        futures = [pool.submit(batcher.run, items) for items in calls]
        for items, future in zip(calls, futures, strict=True):
            if any(item < 0 for item in items):
                with pytest.raises(ValueError, match="negative"):
                    future.result(PATIENCE)
            else:
                assert future.result(PATIENCE) == [item * 2 for item in items]
    assert most_busy <= slots
    assert max(sizes, default=0) <= max_batch
    assert batcher.depth == 0
    assert batcher.close(Deadline.after(PATIENCE))


def test_a_lone_caller_works_in_its_own_thread() -> None:
    batcher: Batcher[str, int] = Batcher(
        lambda items: [threading.get_ident()] * len(items), slots=1, max_batch=8, max_queue=8
    )
    assert batcher.run(["x"]) == [threading.get_ident()]


def test_what_waits_becomes_one_batch_and_is_reported() -> None:
    gate, reports = _Gate(), list[BatchReport]()
    batcher = Batcher(gate, slots=1, max_batch=3, max_queue=8, observe=reports.append)
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(batcher.run, [0])
        assert gate.entered.wait(PATIENCE)
        others = []
        for item in range(1, 6):
            others.append(pool.submit(batcher.run, [item]))
            _queued(batcher, item)
        gate.open.set()
        assert [future.result(PATIENCE) for future in (first, *others)] == [[n] for n in range(6)]
    assert gate.batches == [[0], [1, 2, 3], [4, 5]]
    assert [(report.size, report.depth) for report in reports] == [(1, 5), (3, 2), (2, 0)]


def test_the_guilty_item_is_tried_alone() -> None:
    def work(items: list[int]) -> list[int]:
        if 13 in items:
            raise LikenessError("thirteen")
        return items

    gate = _Gate(work)
    batcher = Batcher(gate, slots=1, max_batch=8, max_queue=8)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(batcher.run, [0])
        assert gate.entered.wait(PATIENCE)
        good, bad, fine = (pool.submit(batcher.run, [item]) for item in (1, 13, 2))
        _queued(batcher, 3)
        gate.open.set()
        assert (first.result(PATIENCE), good.result(PATIENCE), fine.result(PATIENCE)) == ([0], [1], [2])
        with pytest.raises(LikenessError, match="thirteen"):
            bad.result(PATIENCE)


def test_a_caller_whose_time_is_up_is_dropped_without_being_run() -> None:
    gate = _Gate()
    batcher = Batcher(gate, slots=1, max_batch=8, max_queue=8)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(batcher.run, ["slow"])
        assert gate.entered.wait(PATIENCE)
        late = pool.submit(batcher.run, ["late"], Deadline.after(0.02))
        with pytest.raises(DeadlineExceeded, match="waiting for work"):
            late.result(PATIENCE)
        assert batcher.depth == 0
        gate.open.set()
        assert first.result(PATIENCE) == ["slow"]
    assert gate.batches == [["slow"]]


def test_a_deadline_already_passed_runs_nothing() -> None:
    gate = _Gate()
    batcher = Batcher(gate, slots=1, max_batch=8, max_queue=8)
    with pytest.raises(DeadlineExceeded):
        batcher.run(["x"], Deadline(0.0))
    assert gate.batches == []
    gate.open.set()
    assert batcher.run(["y"]) == ["y"]  # the slot was given back


def test_a_full_queue_refuses_and_recovers() -> None:
    gate = _Gate()
    batcher = Batcher(gate, slots=1, max_batch=8, max_queue=2, name="embedding")
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(batcher.run, [0])
        assert gate.entered.wait(PATIENCE)
        waiting = pool.submit(batcher.run, [1, 2])
        _queued(batcher, 2)
        with pytest.raises(Exhausted, match="2 items wait for embedding") as caught:
            batcher.run([3])
        assert caught.value.reason == "QUEUE_FULL"
        gate.open.set()
        assert (first.result(PATIENCE), waiting.result(PATIENCE)) == ([0], [1, 2])
    assert batcher.run([4]) == [4]


def test_closing_lets_what_waits_finish_and_refuses_the_rest() -> None:
    gate = _Gate()
    batcher = Batcher(gate, slots=1, max_batch=1, max_queue=8)
    with ThreadPoolExecutor(3) as pool:
        running: list[Future[list[int]]] = [pool.submit(batcher.run, [0])]
        assert gate.entered.wait(PATIENCE)
        running.append(pool.submit(batcher.run, [1]))
        _queued(batcher, 1)
        assert batcher.close(Deadline.after(0.01)) is False
        with pytest.raises(Unavailable, match="shutting down"):
            batcher.run([2])
        gate.open.set()
        assert batcher.close(Deadline.after(PATIENCE)) is True
        assert [future.result(PATIENCE) for future in running] == [[0], [1]]


def test_an_interrupted_worker_leaves_nobody_waiting() -> None:
    def work(items: list[str]) -> list[str]:
        if "interrupt" in items:
            raise KeyboardInterrupt
        return items

    gate = _Gate(work)
    batcher = Batcher(gate, slots=1, max_batch=8, max_queue=8)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(batcher.run, ["first"])
        assert gate.entered.wait(PATIENCE)
        stopped = pool.submit(batcher.run, ["interrupt"])
        _queued(batcher, 1)
        other = pool.submit(batcher.run, ["other"])
        _queued(batcher, 2)
        gate.open.set()
        assert first.result(PATIENCE) == ["first"]
        outcomes = [type(future.exception(PATIENCE)) for future in (stopped, other)]
    assert outcomes == [KeyboardInterrupt, Unavailable]
    assert batcher.run(["after"]) == ["after"]


def test_too_few_results_are_an_error_of_the_work() -> None:
    batcher: Batcher[int, int] = Batcher(
        lambda _items: [], slots=1, max_batch=8, max_queue=8, name="embedding"
    )
    with pytest.raises(LikenessError, match="embedding gave 0 results for 1 items"):
        batcher.run([1])


@pytest.mark.parametrize("limits", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_limits_are_at_least_one(limits: tuple[int, int, int]) -> None:
    slots, max_batch, max_queue = limits
    with pytest.raises(ValueError, match="at least 1"):
        Batcher(list, slots=slots, max_batch=max_batch, max_queue=max_queue)


class _Switch(Deadline):
    """A deadline that passes on command, long before its waiter would wake by itself."""

    passed = threading.Event()

    @property
    def remaining(self) -> float:
        return 0.0 if self.passed.is_set() else PATIENCE


def test_a_worker_drops_what_has_expired_in_the_queue() -> None:
    gate = _Gate()
    batcher = Batcher(gate, slots=1, max_batch=8, max_queue=8)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(batcher.run, ["first"])
        assert gate.entered.wait(PATIENCE)
        late = pool.submit(batcher.run, ["late"], _Switch())
        _queued(batcher, 1)
        fine = pool.submit(batcher.run, ["fine"])
        _queued(batcher, 2)
        _Switch.passed.set()
        gate.open.set()
        assert (first.result(PATIENCE), fine.result(PATIENCE)) == (["first"], ["fine"])
        with pytest.raises(DeadlineExceeded):
            late.result(PATIENCE)
    assert gate.batches == [["first"], ["fine"]]


def test_a_caller_that_goes_away_is_dropped_without_being_run() -> None:
    gate, gone = _Gate(), CallDeadline()
    batcher = Batcher(gate, slots=1, max_batch=8, max_queue=8)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(batcher.run, ["first"])
        assert gate.entered.wait(PATIENCE)
        left = pool.submit(batcher.run, ["left"], gone)
        _queued(batcher, 1)
        gone.abandoned.set()
        with pytest.raises(DeadlineExceeded, match="caller went away"):
            left.result(PATIENCE)
        gate.open.set()
        assert first.result(PATIENCE) == ["first"]
    assert gate.batches == [["first"]]


def test_what_expires_while_its_batch_waits_for_a_turn_is_not_run() -> None:
    turns, gone, too = Turns(1), CallDeadline(), CallDeadline()
    batches: list[list[str]] = []

    def work(items: list[str]) -> list[str]:
        batches.append(items)
        return items

    batcher = Batcher(work, slots=1, max_batch=8, max_queue=8, turn=turns.one)
    with ThreadPoolExecutor(4) as pool:
        with ExitStack() as held:
            for _ in range(1 + SURPLUS):
                held.enter_context(turns.one())
            leader = pool.submit(batcher.run, ["leader"], gone)
            eventually(lambda: turns.waiting == 1)
            follower, second, other = (
                pool.submit(batcher.run, [name], deadline)
                for name, deadline in (("next", Deadline()), ("second", too), ("other", Deadline()))
            )
            _queued(batcher, 3)
            gone.abandoned.set()  # its batch goes to who waits, and so does the slot
            with pytest.raises(DeadlineExceeded, match="caller went away"):
                leader.result(PATIENCE)
            eventually(lambda: turns.waiting == 1 and batcher.depth == 0)
            too.abandoned.set()  # when the turn comes, it is no longer in the batch
            with pytest.raises(DeadlineExceeded):
                second.result(PATIENCE)
        assert (follower.result(PATIENCE), other.result(PATIENCE)) == (["next"], ["other"])
    assert sorted(item for batch in batches for item in batch) == ["next", "other"]
    assert batcher.run(["after"]) == ["after"]

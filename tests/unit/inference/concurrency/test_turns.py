from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import copy_context

import pytest

from likeness.domain.deadline import CallDeadline, Deadline, hold
from likeness.domain.errors import DeadlineExceeded
from likeness.inference.concurrency.turns import SURPLUS, Turns
from tests.waiting import PATIENCE, eventually


def test_no_more_work_at_once_than_cores_and_the_surplus() -> None:
    turns = Turns(2)
    inside, go_on = threading.Semaphore(0), threading.Event()

    def work() -> None:
        with turns.one():
            inside.release()
            assert go_on.wait(PATIENCE)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(2 + SURPLUS):
        assert inside.acquire(timeout=PATIENCE)
    eventually(lambda: turns.waiting == len(threads) - 2 - SURPLUS)
    assert not inside.acquire(blocking=False)
    go_on.set()
    for thread in threads:
        thread.join()


def test_who_waits_is_counted_until_the_turn_comes() -> None:
    turns = Turns(1)
    through = threading.Semaphore(0)

    def work() -> None:
        with turns.one():
            through.release()

    threads = [threading.Thread(target=work) for _ in range(3)]
    with ExitStack() as held:
        for _ in range(1 + SURPLUS):
            held.enter_context(turns.one())
        assert turns.waiting == 0
        for thread in threads:
            thread.start()
        eventually(lambda: turns.waiting == len(threads))
        assert not through.acquire(blocking=False)
    for thread in threads:
        thread.join()
    assert turns.waiting == 0


def test_only_idle_turns_are_spare_and_they_are_given_back() -> None:
    turns = Turns(3)
    with turns.one():
        with turns.spare(5) as held:
            assert held == 2
            with turns.spare(1) as more:
                assert more == 0
        with turns.one(), turns.spare(5) as held:
            assert held == 1
        with turns.one(), turns.one(), turns.spare(5) as held:
            assert held == 0
        with turns.one(), turns.one(), turns.one(), turns.spare(5) as held:
            assert held == 0
        with turns.spare(0) as held:
            assert held == 0
        with turns.spare(-1) as held:
            assert held == 0


def test_parts_are_done_in_parallel_and_come_back_in_order() -> None:
    turns = Turns(3)
    meeting = threading.Barrier(3, timeout=PATIENCE)

    def work(part: int) -> tuple[int, int]:
        meeting.wait()
        return part * part, threading.get_ident()

    found = turns.map(work, [1, 2, 3])
    assert [square for square, _ in found] == [1, 4, 9]
    assert len({thread for _, thread in found}) == 3
    assert found[0][1] == threading.get_ident()


def test_a_failure_in_any_part_is_raised() -> None:
    for bad in (0, 1):
        with pytest.raises(ZeroDivisionError):
            Turns(2).map(lambda part: 1 // part, [1 - bad, bad])


@contextmanager
def all_held(turns: Turns, cores: int) -> Iterator[None]:
    with ExitStack() as held:
        for _ in range(cores + SURPLUS):
            held.enter_context(turns.one())
        yield


def test_who_waits_gives_up_when_time_is_up_or_the_caller_goes_away() -> None:
    turns, gone = Turns(1), CallDeadline()
    entered: list[str] = []

    def work(deadline: Deadline | None) -> None:
        with turns.one(deadline):
            entered.append("worked for nobody")

    with ThreadPoolExecutor(3) as pool:
        with all_held(turns, 1):
            of_the_call = pool.submit(copy_context().run, hold, lambda _: work(None), gone)
            waiting = pool.submit(work, gone)
            late = pool.submit(work, Deadline.after(0.01))
            with pytest.raises(DeadlineExceeded, match="waiting for a turn"):
                late.result(PATIENCE)
            eventually(lambda: turns.waiting == 2)
            gone.abandoned.set()
            for one in (waiting, of_the_call):
                with pytest.raises(DeadlineExceeded) as caught:
                    one.result(PATIENCE)
                assert caught.value.reason == "CALLER_GONE"
            assert turns.waiting == 0
        for over in (gone, Deadline(0.0)):
            with pytest.raises(DeadlineExceeded):
                work(over)  # turns are free now
    with all_held(turns, 1):
        assert entered == []  # and every turn was given back

"""The budget of memory: fair, without deadlock, and given back when the pixels are gone."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from likeness.domain.deadline import Deadline
from likeness.domain.errors import DeadlineExceeded, SampleRejected, TooBusy
from likeness.domain.samples import Sample
from likeness.imaging import cost, parameters
from likeness.imaging.decode import DecodeLimits, decode, opened
from likeness.imaging.headers import Reason, inspect
from likeness.imaging.memory import MemoryBudget, Share
from tests.unit.imaging.files import colours, encoded
from tests.waiting import PATIENCE, eventually

PHOTOGRAPH = encoded(Image.fromarray(colours()), "PNG")
COST = cost.of(inspect(PHOTOGRAPH), len(PHOTOGRAPH))


def soon() -> Deadline:
    return Deadline.after(PATIENCE)


def waiting(memory: MemoryBudget) -> int:
    return len(memory._queue)


def test_pixels_hold_their_bytes_until_the_last_part_of_them_is_gone() -> None:
    memory = MemoryBudget(COST)
    pixels = decode(Sample(PHOTOGRAPH), DecodeLimits(memory=memory))
    assert memory.used == pixels.nbytes
    part = pixels[10:20, 10:20]
    del pixels
    gc.collect()
    assert memory.used > 0
    del part
    gc.collect()
    assert memory.used == 0


def test_what_is_refused_or_not_decoded_holds_nothing() -> None:
    memory = MemoryBudget(COST)
    damaged = PHOTOGRAPH.replace(b"IDAT", b"IDAX")
    for data in (b"", b"text", damaged, PHOTOGRAPH[:50]):
        with pytest.raises(SampleRejected):
            decode(Sample(data), DecodeLimits(memory=memory))
    with opened(Sample(PHOTOGRAPH), DecodeLimits(memory=memory), working=0):
        assert memory.used == COST
    assert memory.used == 0


def test_what_the_work_takes_is_held_as_long_as_the_work() -> None:
    memory = MemoryBudget(COST * 3)
    with opened(Sample(PHOTOGRAPH), DecodeLimits(memory=memory), working=10) as picture:
        pixels = picture.pixels()
        assert memory.used == pixels.size // 3 * (3 + 10)
    assert memory.used == pixels.nbytes


def test_a_picture_that_can_never_fit_is_refused_with_both_numbers_and_a_remedy() -> None:
    with pytest.raises(SampleRejected, match=r"MiB.*MiB.*; scale it down") as caught:
        decode(Sample(PHOTOGRAPH), DecodeLimits(memory=MemoryBudget(COST - 1)))
    assert caught.value.reason == Reason.IMAGE_TOO_LARGE


def test_memory_is_taken_before_a_decoder_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    def codec(*arguments: object) -> None:
        raise AssertionError("the codec was called")

    monkeypatch.setattr("likeness.imaging.codec.read", codec)
    with pytest.raises(SampleRejected):
        decode(Sample(PHOTOGRAPH), DecodeLimits(memory=MemoryBudget(COST - 1)))


def test_a_wait_ends_with_the_deadline_or_as_too_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = MemoryBudget(100)
    with ThreadPoolExecutor(1) as other:
        held = other.submit(memory.take, 60, "a").result()
        with pytest.raises(DeadlineExceeded, match="b waited for memory"):
            memory.take(50, "b", Deadline.after(0.01))
        monkeypatch.setattr(parameters, "LONGEST_WAIT", 0.01)
        with pytest.raises(TooBusy, match="c waited for memory"):
            memory.take(50, "c")
        held.shrink(0)
    assert (memory.used, waiting(memory)) == (0, 0)
    memory.take(100, "d").shrink(0)


def taker(pool: ThreadPoolExecutor, memory: MemoryBudget) -> Callable[[int, str], Future[Share]]:
    """Asks in a thread of its own, and returns when the request stands in the queue or is served."""

    def take(size: int, name: str) -> Future[Share]:
        before = waiting(memory)
        asked = pool.submit(memory.take, size, name, soon())
        eventually(lambda: asked.done() or waiting(memory) > before)
        return asked

    return take


def test_small_pictures_overtake_large_ones_and_none_is_passed_over_for_ever() -> None:
    memory = MemoryBudget(100)
    with ThreadPoolExecutor(4) as pool:
        take = taker(pool, memory)
        first = take(60, "first").result(PATIENCE)
        large = take(50, "large")
        for _ in range(5):
            take(10, "small").result(PATIENCE).shrink(0)  # there is room, and the large one has none yet
        assert not large.done()
        small = take(10, "one too many")  # the large one has let pass as much as it wants
        assert not small.done()
        first.shrink(0)
        large.result(PATIENCE).shrink(0)
        small.result(PATIENCE).shrink(0)
    assert memory.used == 0


def test_whoever_has_a_picture_goes_before_those_who_wait_for_it() -> None:
    """An explanation holds one photograph while it decodes the other."""
    memory = MemoryBudget(100)
    with ThreadPoolExecutor(2) as pool, memory.pair():
        mine = memory.take(60, "one", soon())
        behind = taker(pool, memory)(50, "another")
        other = memory.take(70, "two", soon())  # more than is free; nobody else has anything to give back
        assert not behind.done()
        mine.shrink(0)
        other.shrink(0)
        behind.result(PATIENCE).shrink(0)
    assert memory.used == 0


def test_pairs_come_one_after_the_other() -> None:
    memory = MemoryBudget(100)
    entered = threading.Event()

    def pair() -> None:
        with memory.pair(soon()):
            entered.set()

    with ThreadPoolExecutor(1) as pool:
        with memory.pair():
            second = pool.submit(pair)
            assert not entered.wait(0.05)
        second.result(PATIENCE)


def test_many_at_once_never_have_more_than_there_is() -> None:
    memory = MemoryBudget(2 * COST)
    most = 0

    def work(_: int) -> None:
        nonlocal most
        for _ in range(20):
            pixels = decode(Sample(PHOTOGRAPH), DecodeLimits(memory=memory))
            most = max(most, memory.used)
            assert np.array_equal(pixels[0, 0], colours()[0, 0])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert 0 < most <= memory.size
    gc.collect()
    assert memory.used == 0

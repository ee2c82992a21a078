"""Turns at computing: hardly more at once than there are cores, and none of them idle while one could help.

A process makes its turns once and hands them to every modality. Every heavy stage takes one. A stage that can be
split may ask for turns that nobody needs at the moment: a lone request then uses the idle cores, and under load
every request keeps to one. `benchmarks/serving.py` shows both.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TypeVar

from likeness.domain.deadline import Deadline, current

T = TypeVar("T")
R = TypeVar("R")


SURPLUS = 1
"""Turns beyond one for each core. Who holds a turn waits a tenth of the time, mostly for the interpreter's lock;
one turn more fills that, and a second one gains nothing further."""

_WAITED = "waiting for a turn to compute"


class Turns:
    """Turns for `count` cores: one budget, shared by the stages of all modalities of a process. Thread-safe."""

    def __init__(self, count: int) -> None:
        self.count = count
        # A queue in C: a semaphore of the standard library is Python, and takes several locks of its own.
        self._free: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._give_back(count + SURPLUS)
        self._counting = threading.Lock()
        self._waiting = 0
        self._helpers = ThreadPoolExecutor(max(1, count - 1), thread_name_prefix="likeness-helper")

    @contextmanager
    def one(self, deadline: Deadline | None = None) -> Iterator[None]:
        """Wait for a turn and hold it for the length of the block.

        Args:
            deadline: of the work; None means that of the call under way in this thread.

        Raises:
            DeadlineExceeded: the deadline passed, or the caller went away, before the turn came; the block is not
                entered.
        """
        deadline = deadline or current()
        if not self._take():
            self._wait(deadline)
        try:
            deadline.check(_WAITED)
            yield
        finally:
            self._give_back(1)

    def _wait(self, deadline: Deadline) -> None:
        """Wait for a turn and take it."""
        self._count(1)
        try:
            while True:
                deadline.check(_WAITED)
                with suppress(queue.Empty):
                    self._free.get(timeout=deadline.patience)
                    return
        finally:
            self._count(-1)

    @property
    def waiting(self) -> int:
        """Threads that wait for a turn at this moment."""
        return self._waiting

    def _take(self) -> bool:
        """A turn, if one is free."""
        try:
            self._free.get_nowait()
        except queue.Empty:
            return False
        return True

    def _give_back(self, turns: int) -> None:
        for _ in range(turns):
            self._free.put(None)

    def _count(self, change: int) -> None:
        with self._counting:
            self._waiting += change

    @contextmanager
    def spare(self, most: int) -> Iterator[int]:
        """Hold up to `most` turns of cores that idle right now, apart from one's own; yields how many."""
        held = 0
        try:
            # What is left of the turns then is the surplus, which is no core.
            while most > 0 and held < most + SURPLUS and self._take():
                held += 1
            surplus = min(held, SURPLUS)
            self._give_back(surplus)
            held -= surplus
            yield held
        finally:
            self._give_back(held)

    def spread(self, work: Callable[[Sequence[T]], list[R]], items: Sequence[T], least: int) -> list[R]:
        """What `work` gives for the items, in order, on the cores that are idle right now, apart from one's own.

        The caller holds a turn. `least`: fewest items that are worth a core.
        """
        if not items:
            return []
        with self.spare(len(items) // least - 1) as others:
            size = -(-len(items) // (others + 1))
            parts = [items[start : start + size] for start in range(0, len(items), size)]
            return [one for part in self.map(work, parts) for one in part]

    def map(self, work: Callable[[T], R], parts: Sequence[T]) -> list[R]:
        """Do the first part in this thread and the others in threads of the pool; the caller holds a turn for
        each."""
        others = [self._helpers.submit(work, part) for part in parts[1:]]
        mine = work(parts[0])
        return [mine, *(other.result() for other in others)]

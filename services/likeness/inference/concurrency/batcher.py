"""Joins the work of concurrent callers into batches, without making a lone caller wait.

Flat combining: a fixed number of *slots* may run at once. A caller that finds a free slot runs at once, in its
own thread; one that does not waits, and when a slot comes free its holder's successor takes everything that is
waiting, up to the largest batch. So an idle system adds no latency and no thread switch, and a loaded one forms
batches as large as its queue. See Hendler et al., "Flat Combining and the Synchronization-Parallelism
Tradeoff", SPAA 2010.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from likeness.domain.deadline import NO_DEADLINE, Deadline, current
from likeness.domain.errors import DeadlineExceeded, Exhausted, LikenessError, Unavailable

T = TypeVar("T")
R = TypeVar("R")

Turn = Callable[[Deadline], AbstractContextManager[None]]
"""Waits for a turn at computing, or raises DeadlineExceeded; the turn is held for the block."""


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What one batch was like: items in it, and items still waiting."""

    size: int
    depth: int


@dataclass(frozen=True, slots=True)
class _Failure:
    error: Exception


class _Group(Generic[T, R]):
    """The items of one call, and what became of them."""

    def __init__(self, items: Sequence[T], deadline: Deadline, lock: threading.Lock) -> None:
        self.items = items
        self.deadline = deadline
        self.results: list[R | None] = [None] * len(items)
        self.missing = len(items)
        self.error: Exception | None = None
        self.leads = False
        self.condition = threading.Condition(lock)

    @property
    def done(self) -> bool:
        return self.missing == 0 or self.error is not None


_Item = tuple[_Group[T, R], int]
"""An item that waits: the call it belongs to, and its place there."""

_Batch = list[_Item[T, R]]


class Batcher(Generic[T, R]):
    """Runs `work` on items from any number of threads.

    Args:
        work: takes 1..max_batch items and returns one result for each, in order; called from at most `slots`
            threads at once. If it fails on a batch, each item is tried alone, so that only the caller whose item
            is at fault sees the error.
        slots: batches worked on at once.
        max_batch: most items in one batch.
        max_queue: most items that may wait.
        turn: held while `work` runs. What expires while a batch waits for its turn is not run.
        observe: called with every batch after it ran; must not raise.
        name: what the queue is for, in errors.
    """

    def __init__(
        self,
        work: Callable[[list[T]], Sequence[R]],
        *,
        slots: int,
        max_batch: int,
        max_queue: int,
        turn: Turn = lambda _: nullcontext(),
        observe: Callable[[BatchReport], None] | None = None,
        name: str = "work",
    ) -> None:
        if min(slots, max_batch, max_queue) < 1:
            raise ValueError("slots, max_batch and max_queue must be at least 1")
        self._work = work
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._turn = turn
        self._observe = observe
        self._name = name
        self._slots = slots
        self._free = slots
        self._closed = False
        self._queue: deque[_Item[T, R]] = deque()
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)

    @property
    def depth(self) -> int:
        """Items that wait now."""
        return len(self._queue)

    def run(self, items: Sequence[T], deadline: Deadline | None = None) -> list[R]:
        """Has the items worked on, perhaps together with those of other callers, and returns their results.

        Args:
            items: what is worked on.
            deadline: of the work; None means that of the call under way in this thread.

        Raises:
            Exhausted: too many items wait already.
            Unavailable: the batcher is closed.
            DeadlineExceeded: the deadline passed, or the caller went away, first; items not yet begun are dropped
                without being run.
            Exception: whatever `work` raised on one of these items.
        """
        if not items:
            return []
        deadline = deadline or current()
        group = _Group[T, R](items, deadline, self._lock)
        with self._lock:
            self._admit(group)
            try:
                while not group.done:
                    if deadline.remaining <= 0:
                        self._expire(group)
                    elif group.leads:
                        self._lead(group)
                    else:
                        group.condition.wait(deadline.patience)
            finally:
                if not group.done:  # the thread was interrupted
                    group.error = Unavailable(f"The {self._name} was interrupted")
                self._withdraw(group)
                if group.leads:
                    self._pass_on()
        if group.error is not None:
            raise group.error
        return cast("list[R]", group.results)

    def close(self, deadline: Deadline = NO_DEADLINE) -> bool:
        """Refuses new work and waits for the rest; True if everything was finished by the deadline."""
        with self._lock:
            self._closed = True
            return self._idle.wait_for(
                lambda: not self._queue and self._free == self._slots, deadline.patience
            )

    # Everything below holds the lock, except where it says that it lets go.

    def _admit(self, group: _Group[T, R]) -> None:
        if self._closed:
            raise Unavailable(f"The {self._name} is shutting down; send the request elsewhere or later")
        if len(self._queue) + len(group.items) > self._max_queue:
            raise Exhausted(
                f"{len(self._queue)} items wait for {self._name} and {len(group.items)} more would exceed the "
                f"limit of {self._max_queue}; send fewer at once, or later",
                reason="QUEUE_FULL",
                metadata={"limit": str(self._max_queue)},
            )
        self._queue.extend((group, index) for index in range(len(group.items)))
        if self._free:
            self._free -= 1
            group.leads = True

    def _lead(self, group: _Group[T, R]) -> None:
        """Works on one batch, or gives the slot up if nothing waits (another slot has this group's items)."""
        batch = self._take()
        if not batch:
            if not group.done:
                group.leads = False
                self._pass_on()
            return
        report = self._work_on(batch, group.deadline)
        if report is not None and self._observe is not None:
            self._lock.release()
            try:
                self._observe(report)
            finally:
                self._lock.acquire()

    def _work_on(self, batch: _Batch[T, R], deadline: Deadline) -> BatchReport | None:
        """Works on a batch once it has its turn, or puts it back if the deadline of its leader passes before."""
        outcomes: list[R | _Failure] = []
        self._lock.release()
        try:
            with self._turn(deadline):
                with self._lock:
                    batch = self._wanted(batch)
                outcomes = self._attempt([owner.items[index] for owner, index in batch])
        except DeadlineExceeded:
            with self._lock:
                self._queue.extendleft(reversed(batch))
                batch = []
        finally:
            self._lock.acquire()
            self._deliver(batch, outcomes)
        if not batch:
            return None
        return BatchReport(len(batch), len(self._queue))

    def _take(self) -> _Batch[T, R]:
        """The next batch of the queue."""
        batch: _Batch[T, R] = []
        while self._queue and len(batch) < self._max_batch:
            batch += self._wanted([self._queue.popleft()])
        return batch

    def _wanted(self, batch: _Batch[T, R]) -> _Batch[T, R]:
        """The items that somebody still waits for."""
        wanted: _Batch[T, R] = []
        for group, index in batch:
            if group.error is None and group.deadline.remaining <= 0:
                self._expire(group)
            if group.error is None:
                wanted.append((group, index))
        return wanted

    def _attempt(self, items: list[T]) -> list[R | _Failure]:
        """Runs without the lock. One outcome per item."""
        if not items:
            return []
        try:
            results = list(self._work(items))
            if len(results) != len(items):
                raise LikenessError(f"The {self._name} gave {len(results)} results for {len(items)} items")
        except Exception as error:
            if len(items) == 1:
                return [_Failure(error)]
            return [outcome for item in items for outcome in self._attempt([item])]
        return list(results)

    def _deliver(self, batch: _Batch[T, R], outcomes: list[R | _Failure]) -> None:
        if not outcomes:  # the working thread was interrupted; nobody may wait for ever
            failure = _Failure(Unavailable(f"The {self._name} was interrupted; send the request again"))
            outcomes = [failure] * len(batch)
        for (group, index), outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, _Failure):
                group.error = group.error or outcome.error
            else:
                group.results[index] = outcome
                group.missing -= 1
            if group.done:
                group.condition.notify()

    def _expire(self, group: _Group[T, R]) -> None:
        if group.done:
            return
        try:
            group.deadline.check(f"waiting for {self._name}")
        except DeadlineExceeded as error:
            group.error = error
            group.condition.notify()

    def _withdraw(self, group: _Group[T, R]) -> None:
        if group.error is not None and self._queue:
            self._queue = deque(entry for entry in self._queue if entry[0] is not group)

    def _pass_on(self) -> None:
        """Hands a slot to the first that waits, or frees it."""
        for group, _ in self._queue:
            if not group.done and not group.leads:
                group.leads = True
                group.condition.notify()
                return
        self._free += 1
        self._idle.notify_all()

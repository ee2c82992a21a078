"""One budget for the memory of pictures, taken before a decoder is called."""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from likeness.domain.deadline import Deadline, current
from likeness.domain.errors import TooBusy
from likeness.imaging import parameters

RETRY_AFTER = 1.0
"""Seconds after which a picture that found no memory may be sent again."""


@dataclass(eq=False, slots=True)
class _Pair:
    """Two pictures held at once: by which thread, and their bytes."""

    thread: int
    held: int = 0


class Share:
    """Bytes taken out of a budget. Give back what is not needed; all of it in the end."""

    def __init__(self, memory: MemoryBudget, size: int, pair: _Pair | None) -> None:
        self._memory = memory
        self._size = size
        self._pair = pair
        self._lock = threading.Lock()

    def shrink(self, size: int) -> None:
        """Give back all but `size` bytes."""
        with self._lock:
            freed, self._size = max(self._size - size, 0), min(self._size, size)
        if freed:
            self._memory._give_back(freed, self._pair)

    def last_as_long_as(self, pixels: NDArray[np.uint8]) -> None:
        """Give the rest back when nobody refers to the pixels any more, nor to a part of them."""
        owner = pixels
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        weakref.finalize(owner, self.shrink, 0).atexit = False


@dataclass(eq=False, slots=True)
class _Ticket:
    """A place in the queue for memory: bytes wanted, and bytes that went to whoever came later."""

    size: int
    overtaken: int = 0


class MemoryBudget:
    """A budget of bytes. Thread-safe.

    Who asks waits behind whoever asked before, but what fits may overtake, until others got as many bytes as the
    one that waits wants. So small pictures do not stand behind a few huge ones, and none is passed over for ever.
    The second picture of a pair is let in once nobody else holds anything, even if both exceed the budget.

    Args:
        size: bytes.
    """

    def __init__(self, size: int = parameters.BYTES_DECODING) -> None:
        self.size = size
        self._free = size
        self._queue: deque[_Ticket] = deque()
        self._changed = threading.Condition()
        self._pairs = threading.Lock()
        self._pair: _Pair | None = None

    @property
    def used(self) -> int:
        """Bytes that are taken now."""
        return self.size - self._free

    def take(self, size: int, name: str, deadline: Deadline | None = None) -> Share:
        """Wait for bytes, at most `self.size` of them, and take them.

        Args:
            size: bytes.
            name: the sample they are for, in errors.
            deadline: of the request; None means that of the call under way in this thread.

        Raises:
            DeadlineExceeded: the deadline passed first.
            TooBusy: nothing became free for `parameters.LONGEST_WAIT`.
        """
        wait = _Wait(f"{name} waited for memory to be decoded", deadline or current())
        ticket, pair = _Ticket(size), self._pair
        if pair is not None and pair.thread != threading.get_ident():
            pair = None
        with self._changed:
            # Who has a picture already goes first: those who wait may be waiting for it.
            (self._queue.appendleft if pair and pair.held else self._queue.append)(ticket)
            try:
                while not (self._fits(size, pair) and self._may_overtake(ticket)):
                    self._changed.wait(wait.step())
                for one in self._ahead_of(ticket):
                    one.overtaken += size
                self._free -= size
                if pair is not None:
                    pair.held += size
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()
        return Share(self, size, pair)

    @contextmanager
    def pair(self, deadline: Deadline | None = None) -> Iterator[None]:
        """Hold two pictures at once, as nobody else does at the same time: two that did could wait for each other.

        Raises:
            DeadlineExceeded, TooBusy: as `take`.
        """
        wait = _Wait("two photographs waited to be decoded together", deadline or current())
        while not self._pairs.acquire(timeout=wait.step()):
            pass
        self._pair = _Pair(threading.get_ident())
        try:
            yield
        finally:
            self._pair = None
            self._pairs.release()

    def _fits(self, size: int, pair: _Pair | None) -> bool:
        return size <= self._free or (pair is not None and self.used == pair.held)

    def _may_overtake(self, ticket: _Ticket) -> bool:
        return all(one.overtaken + ticket.size <= one.size for one in self._ahead_of(ticket))

    def _ahead_of(self, ticket: _Ticket) -> Iterator[_Ticket]:
        return takewhile(lambda one: one is not ticket, self._queue)

    def _give_back(self, size: int, pair: _Pair | None) -> None:
        with self._changed:
            self._free += size
            if pair is not None:
                pair.held -= size
            self._changed.notify_all()


class _Wait:
    """A wait that ends with the request's deadline, and after `parameters.LONGEST_WAIT` seconds in any case."""

    def __init__(self, doing: str, deadline: Deadline) -> None:
        self._doing = doing
        self._deadline = deadline
        self._until = time.monotonic() + parameters.LONGEST_WAIT

    def step(self) -> float:
        """Seconds to wait before looking again.

        Raises:
            DeadlineExceeded, TooBusy: the wait is over.
        """
        self._deadline.check(self._doing)
        left = self._until - time.monotonic()
        if left <= 0:
            raise TooBusy(
                f"For {parameters.LONGEST_WAIT:g} s {self._doing}; send it again a little later.",
                retry_after=RETRY_AFTER,
            )
        return min(left, self._deadline.patience)

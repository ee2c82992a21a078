"""A point in time by which work must be done."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

from likeness.domain.errors import DeadlineExceeded

T = TypeVar("T")

LOOK_SECONDS = 0.25
"""Between two looks, of who waits, whether the caller is still there: nothing wakes them when it goes away."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """`at` is in seconds of the monotonic clock; infinity means none."""

    at: float = math.inf

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline that many seconds from now."""
        return cls(time.monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self.at - time.monotonic())

    @property
    def patience(self) -> float:
        """Seconds that a wait may last before it looks at the deadline again; what every lock and queue takes."""
        return min(self.remaining, threading.TIMEOUT_MAX)

    def within(self, seconds: float) -> Deadline:
        """The same, and at most that many seconds from now."""
        return Deadline(min(self.at, time.monotonic() + seconds))

    def check(self, doing: str) -> None:
        """Raise DeadlineExceeded, naming what was being done, if the time is up."""
        if self.remaining <= 0:
            raise DeadlineExceeded(f"The deadline passed while {doing}; allow more time or send less work.")


@dataclass(frozen=True, slots=True)
class CallDeadline(Deadline):
    """A deadline that is also over once `abandoned` is set, so that work for nobody stops at its next check."""

    abandoned: threading.Event = field(default_factory=threading.Event, compare=False)

    @property
    def remaining(self) -> float:
        """Seconds left, at least 0."""
        return 0.0 if self.abandoned.is_set() else max(0.0, self.at - time.monotonic())

    @property
    def patience(self) -> float:
        """See `Deadline.patience`."""
        return min(self.remaining, LOOK_SECONDS)

    def check(self, doing: str) -> None:
        """Raise DeadlineExceeded, naming what was being done, if time is up or nobody waits any more."""
        if self.abandoned.is_set():
            raise DeadlineExceeded(f"The caller went away while {doing}.", reason="CALLER_GONE")
        Deadline.check(self, doing)

    def within(self, seconds: float) -> CallDeadline:
        """The same, and at most that many seconds from now."""
        return CallDeadline(min(self.at, time.monotonic() + seconds), self.abandoned)


NO_DEADLINE = Deadline()

D = TypeVar("D", bound=Deadline)
_CURRENT: ContextVar[Deadline] = ContextVar("deadline", default=NO_DEADLINE)


def current() -> Deadline:
    """The deadline of the call that this thread works on, for waits deep within it; none outside of calls."""
    return _CURRENT.get()


@contextmanager
def holding(deadline: Deadline) -> Iterator[None]:
    """Have a deadline as the current one within the block."""
    held = _CURRENT.set(deadline)
    try:
        yield
    finally:
        _CURRENT.reset(held)


def hold(step: Callable[[D], T], deadline: D) -> T:
    """Run a step of a call, with its deadline as the current one. Run it in a context of its own."""
    _CURRENT.set(deadline)
    return step(deadline)

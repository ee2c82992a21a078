"""A point in time by which work must be done."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from likeness.domain.errors import DeadlineExceeded

T = TypeVar("T")


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

    def check(self, doing: str) -> None:
        """Raise DeadlineExceeded, naming what was being done, if the time is up."""
        if time.monotonic() >= self.at:
            raise DeadlineExceeded(f"The deadline passed while {doing}; allow more time or send less work.")


D = TypeVar("D", bound=Deadline)
_NONE = Deadline()
_CURRENT: ContextVar[Deadline] = ContextVar("deadline", default=_NONE)


def current() -> Deadline:
    """The deadline of the call that this thread works on, for waits deep within it; none outside of calls."""
    return _CURRENT.get()


def hold(step: Callable[[D], T], deadline: D) -> T:
    """Run a step of a call, with its deadline as the current one. Run it in a context of its own."""
    _CURRENT.set(deadline)
    return step(deadline)

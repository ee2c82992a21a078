"""Messages cached for as long as the values that they were made of.

A reference that is found again and again is held in memory by the engine until it changes or is expunged; what was
made of it for an answer is dropped in the same moment, so nothing outlives an expungement here.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")
M = TypeVar("M")


class MessageCache(Generic[V, M]):
    """What `make` makes of values that never change. Thread-safe.

    Args:
        make: is asked once for each object, not for each of several equal ones. What it makes must not be changed.
    """

    def __init__(self, make: Callable[[V], M]) -> None:
        self._make = make
        self._made: dict[int, tuple[weakref.ref[V], M]] = {}

    def __len__(self) -> int:
        return len(self._made)

    def of(self, value: V) -> M:
        """What was made of this very object."""
        key = id(value)
        entry = self._made.get(key)
        if entry is not None and entry[0]() is value:
            return entry[1]
        made = self._make(value)
        self._made[key] = (weakref.ref(value, lambda _: self._made.pop(key, None)), made)
        return made

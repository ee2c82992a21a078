"""Work on a list, on the cores that are idle right now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from likeness.inference.turns import Turns

T = TypeVar("T")
R = TypeVar("R")


def beside(turns: Turns, work: Callable[[Sequence[T]], list[R]], items: Sequence[T], least: int) -> list[R]:
    """What `work` gives for the items, in order, in parts of at least `least` beside each other."""
    with turns.one(), turns.spare(max(0, len(items) // least - 1)) as others:
        size = -(-len(items) // (others + 1))
        parts = [items[start : start + size] for start in range(0, len(items), max(1, size))]
        return [one for part in turns.map(work, parts) for one in part] if parts else []

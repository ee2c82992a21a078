"""Which limits on false matches the policies tell from each other.

A caller chooses the limit of its searches freely, and each one about which the policies must be asked takes
milliseconds of the service. They compare it with a few numbers; between two of these, every limit is judged as
every other.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

FMR_ONE_IN = "fmr_one_in"
"""The attribute of a request that a policy may look at: one false match in so many comparisons with strangers."""

_CONTEXT = {"Var": "context"}
_LIMIT = {".": {"left": _CONTEXT, "attr": FMR_ONE_IN}}
_COMPARISONS = frozenset({"<", "<=", ">", ">=", "==", "!="})


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers that limits are compared with, ascending; None where policies use limits in another way."""

    numbers: tuple[int, ...] | None

    @classmethod
    def of(cls, policies: object) -> Limits:
        """Those of policies in Cedar's JSON form, validated, and no deeper than Python can walk."""
        found = set(_compared(policies))
        return cls(None if None in found else tuple(sorted(number for number in found if number is not None)))

    def like(self, one_in: int) -> int:
        """The limit that stands for all that are judged as this one."""
        if self.numbers is None:
            return one_in
        place = bisect_left(self.numbers, one_in)
        if one_in in self.numbers[place : place + 1]:
            return one_in
        if place:
            return self.numbers[place - 1] + 1
        return self.numbers[0] - 1 if self.numbers else 1


def _compared(expression: object) -> Iterator[int | None]:
    """The literals that the limit is compared with; None for each other use of it, or of the whole context."""
    if isinstance(expression, list):
        for part in expression:
            yield from _compared(part)
    if not isinstance(expression, dict):
        return
    if expression in (_CONTEXT, _LIMIT):
        yield None
        return
    for operator, body in expression.items():
        sides = [body.get("left"), body.get("right")] if isinstance(body, dict) else []
        if operator in {".", "has"} and sides[:1] == [_CONTEXT]:
            continue
        if operator in _COMPARISONS and _LIMIT in sides:
            sides.remove(_LIMIT)
            literal = sides[0].get("Value") if isinstance(sides[0], dict) else None
            yield literal if isinstance(literal, int) else None
        else:
            yield from _compared(body)

"""Conditions of policies as Cedar evaluates them: from left to right, and no further than needed.

A part that cannot be evaluated (`context.fmr_one_in` of a call that sets no limit, or a sum beyond 64 bits) matters
only for references for which it is reached. In `resource.category == Category::"victim" && context has fmr_one_in
&& context.fmr_one_in < 1000` the last part never is, without a limit.

Source: https://docs.cedarpolicy.com/policies/syntax-operators.html
"""

from __future__ import annotations

from dataclasses import dataclass

from likeness.access.conditions import ALWAYS, NEVER, Condition, every, negated, some


@dataclass(frozen=True, slots=True)
class Compiled:
    """A condition over the facets of a reference.

    Args:
        holds: of which references it is true; means nothing of those of which it fails.
        fails: of which it cannot be evaluated.
    """

    holds: Condition
    fails: Condition = NEVER


FAILING = Compiled(NEVER, ALWAYS)
"""What can be evaluated of no reference."""


def opposite(one: Compiled) -> Compiled:
    """`!one`."""
    return Compiled(negated(one.holds), one.fails)


def both(left: Compiled, right: Compiled) -> Compiled:
    """`left && right`: the right is not reached where the left is false."""
    return Compiled(
        every(left.holds, right.holds),
        some(left.fails, every(left.holds, right.fails)),
    )


def either(left: Compiled, right: Compiled) -> Compiled:
    """`left || right`: the right is not reached where the left is true."""
    return Compiled(
        some(left.holds, right.holds),
        some(left.fails, every(negated(left.holds), right.fails)),
    )


def choice(asked: Compiled, then: Compiled, other: Compiled) -> Compiled:
    """`if asked then then else other`: one of the two is reached."""
    first, second = both(asked, then), both(opposite(asked), other)
    return Compiled(some(first.holds, second.holds), some(first.fails, second.fails))

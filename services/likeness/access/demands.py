"""What policies demand: comparisons of which one holds on every way on which the conditions of a policy do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}

Compared = Callable[[str, object], bool]
"""Whether a comparison of the attribute, by an operator and with a literal, is what is demanded.

The operators are those of Cedar between two values, and `in`, whose literal is then a list of what is meant.
"""


def demands(conditions: Iterable[Mapping[str, Any]], attribute: str, compared: Compared) -> bool:
    """Whether no call meets all conditions of a policy without such a comparison of an attribute of the context.

    Args:
        conditions: in Cedar's JSON form, validated, and no deeper than Python can walk.
        attribute: its name.
        compared: tells what comparison is meant.

    Returns:
        Whether it is proven; not so of comparisons with anything but literals, and of sums.
    """
    return any(_proven(one["body"], one["kind"] == "when", attribute, compared) for one in conditions)


def _proven(expression: Mapping[str, Any], truth: bool, attribute: str, compared: Compared) -> bool:
    """Whether such a comparison holds wherever the expression has this truth; every part is visited once."""

    def proven(part: Mapping[str, Any], truth: bool) -> bool:
        return _proven(part, truth, attribute, compared)

    operator, body = next(iter(expression.items()))
    if operator == "Value":
        return isinstance(body, bool) and body is not truth
    if operator == "!":
        return proven(body["arg"], not truth)
    if operator in {"&&", "||"}:
        one_is_enough = truth is (operator == "&&")
        return (any if one_is_enough else all)(proven(body[side], truth) for side in ("left", "right"))
    if operator == "if-then-else":
        return (proven(body["if"], True) or proven(body["then"], truth)) and proven(body["else"], truth)
    return _compares(operator, body, truth, attribute, compared)


def _compares(operator: str, body: Any, truth: bool, attribute: str, compared: Compared) -> bool:
    asked = {".": {"left": {"Var": "context"}, "attr": attribute}}
    if operator in _OPPOSITE:
        left, right = body["left"], body["right"]
        sign = operator if truth else _OPPOSITE[operator]
        if right == asked:
            left, right, sign = right, left, _MIRRORED[sign]
        return left == asked and "Value" in right and compared(sign, right["Value"])
    if operator == "in" and truth and body["left"] == asked:
        return _one_of(body["right"], compared)
    return operator == "contains" and truth and body["right"] == asked and _one_of(body["left"], compared)


def _one_of(written: Mapping[str, Any], compared: Compared) -> bool:
    """Of a set of literals, or of a single one."""
    parts = written.get("Set", [written])
    return all("Value" in part for part in parts) and compared("in", [part["Value"] for part in parts])

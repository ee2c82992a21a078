"""Bounds on the text of policies before it is parsed.

Cedar's parser calls itself once for each bracket and each link of a chain, on the stack of the process: some
hundred brackets within each other, or hundred thousands of operators in a row, end the process without an error.
It also reads `context has a.b.c` in a time that grows much faster than the text: 100 attributes take milliseconds,
800 take seconds, and 8,000 do not end; no other thread runs meanwhile.

Tried up to `MAX_POLICY` characters, and taking less than a second each: brackets, attributes and indices in a row,
methods, every operator in a row, `if` in every place, sets and records of many or differing parts, namespaces,
annotations, actions, conditions, escapes, patterns, long names and numbers, comments, and unknown names and signs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from likeness.domain.errors import InvalidInput

MAX_POLICY = 16_384
"""Characters of one policy, which may name about 600 entities; a chain of twice as many links is still parsed."""

MAX_DEPTH = 50
"""Brackets within each other; 300 are still parsed."""

MAX_CHAIN = 8
"""Attributes in a row, as `.b.c` of `a.b.c` are two; the schema has at most two."""

MAX_LEVELS = 300
"""Of a policy in Cedar's JSON form: a chain of about 140 operators. Python walks 1,000 calls deep."""

_COMMENT = r"//[^\n\r]*+"
_LINK = rf"\.(?:\s|{_COMMENT})*+\w++(?:\s|{_COMMENT})*+"
_TOKENS = re.compile(
    rf'"(?:[^"\\]|\\.)*"?|{_COMMENT}|[;()\[\]{{}}]|(?:{_LINK}){{{MAX_CHAIN + 1}}}', re.DOTALL
)


def check_bounds(name: str, text: str) -> None:
    """Refuse text that could end the process that parses it.

    Args:
        name: of the file.
        text: of its policies.

    Raises:
        InvalidInput: a policy is too long, nested too deeply, or has too many attributes in a row.
    """
    begin = depth = 0
    for token in _TOKENS.finditer(text):
        sign = token.group()
        if sign in ("(", "[", "{"):
            depth += 1
            if depth > MAX_DEPTH:
                raise _beyond(name, text, token.start(), f"more than {MAX_DEPTH} brackets within each other")
        elif sign in (")", "]", "}"):
            depth = max(0, depth - 1)
        elif sign.startswith("."):
            raise _beyond(name, text, token.start(), f"more than {MAX_CHAIN} attributes in a row")
        elif sign == ";":
            _check_length(name, text, begin, token.start())
            begin, depth = token.end(), 0
    _check_length(name, text, begin, len(text))


def _check_length(name: str, text: str, begin: int, end: int) -> None:
    if end - begin > MAX_POLICY:
        raise _beyond(name, text, begin, f"more than {MAX_POLICY:,} characters in one policy")


def _beyond(name: str, text: str, at: int, what: str) -> InvalidInput:
    line = text.count("\n", 0, at) + 1
    return InvalidInput(
        f"The policies of {name} have {what} (line {line}); write several policies, or group the entities.",
        reason="POLICY_INVALID",
    )


def check_depth(policy: str, document: object) -> None:
    """Refuse a policy that is nested too deeply once it is parsed, as a long chain of operators is.

    Args:
        policy: its name.
        document: it, in Cedar's JSON form.

    Raises:
        InvalidInput: it has more than `MAX_LEVELS` levels.
    """
    level = [document]
    for _ in range(MAX_LEVELS):
        level = [part for each in level for part in _parts(each)]
        if not level:
            return
    raise too_deep(policy)


def too_deep(policy: str) -> InvalidInput:
    """The refusal of a policy that is nested too deeply."""
    return InvalidInput(
        f"{policy} has too many operators in a row; write several policies, or use `in` and a set.",
        reason="POLICY_INVALID",
    )


def _parts(document: object) -> Iterable[object]:
    if isinstance(document, dict):
        return document.values()
    return document if isinstance(document, list) else ()

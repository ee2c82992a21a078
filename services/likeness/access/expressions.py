"""Conditions of policies in Cedar's JSON form, compiled to conditions over the facets of a reference.

What may be written about references is a part of Cedar: every comparison looks at one facet, and there is no
arithmetic, no pattern and no other use of the reference itself. `check` refuses the rest before a policy is taken.

Source: https://docs.cedarpolicy.com/policies/json-format.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from likeness.access.compiled import FAILING, Compiled, both, choice, either, opposite
from likeness.access.conditions import (
    NEVER,
    CategoryIn,
    Condition,
    Constant,
    InEveryGallery,
    InNoGallery,
    InSomeGallery,
    OwnerIn,
    StatusIn,
    negated,
)
from likeness.access.directory import Directory
from likeness.domain.references import Category, Status

FACETS = ("owner", "category", "status", "galleries")

_STRANGER = ("Entity", "")
"""Any owner that the directory does not have; no name is empty."""

_FREE = {"Value": True}
"""Stands for whatever a condition has that is known before the reference is."""

Value = Any
"""A truth, a text, a number, an entity as (type, id), or a frozen set of these."""


class NotInSubset(Exception):
    """A condition says of references what cannot be compiled; the message says what, to follow "it"."""


def check(expression: Mapping[str, Any]) -> None:
    """That a condition over principal, action, context and resource can be compiled whatever the first three are.

    Raises:
        NotInSubset: it cannot.
    """
    if not _mentions_reference(expression):
        return
    operator, body = _node(expression)
    if operator in _LOGICAL:
        for part in _operands(operator, body):
            check(part)
    elif operator == "is" and _is_reference(body["left"]):
        if "in" in body:
            raise NotInSubset("asks what the reference is in; ask for its owner or its galleries")
    elif operator != "has" or not _is_reference(body["left"]):
        _check_atom(expression)


class Compiler:
    """Compiles what is left of conditions once all but the reference is known.

    Args:
        directory: of owners.
    """

    def __init__(self, directory: Directory) -> None:
        self._owners = tuple(directory.entities)
        self._attributes: dict[Value, dict[str, Value]] = {
            _STRANGER: {"country": ("Country", ""), "bureau": ("Bureau", ""), "listed": False}
        }
        self._above: dict[Value, frozenset[Value]] = {}
        for bureau, country in directory.bureaus.items():
            self._above["Bureau", bureau] = frozenset({("Bureau", bureau), ("Country", country)})
        for name, entity in directory.entities.items():
            self._attributes["Entity", name] = {
                "country": ("Country", entity.country),
                "bureau": ("Bureau", entity.bureau),
                "listed": True,
            }
            groups = {("Group", group) for group in entity.groups}
            self._above["Entity", name] = frozenset(
                {("Entity", name), ("Bureau", entity.bureau), ("Country", entity.country), *groups}
            )
        self._atoms: dict[str, Compiled] = {}

    def compiled(self, expression: Mapping[str, Any]) -> Compiled:
        """The condition over facets.

        A part that Cedar could not evaluate is left as it was written; like what `check` refuses, it fails.

        Raises:
            NotInSubset: it is no expression.
        """
        operator, body = _node(expression)
        if operator == "Value" and isinstance(body, bool):
            return Compiled(Constant(body))
        if operator in _LOGICAL:
            parts = [self.compiled(part) for part in _operands(operator, body)]
            return _LOGICAL[operator](*parts)
        if operator == "is" and _is_reference(body["left"]):
            return Compiled(Constant(body["entity_type"] == "Reference" and "in" not in body))
        if operator == "has" and _is_reference(body["left"]):
            return Compiled(Constant(body["attr"] in FACETS))
        return self._atom(expression)

    def _atom(self, expression: Mapping[str, Any]) -> Compiled:
        written = json.dumps(expression, sort_keys=True)
        if written not in self._atoms:
            try:
                self._atoms[written] = Compiled(self._compiled_atom(expression))
            except NotInSubset:
                self._atoms[written] = FAILING
        return self._atoms[written]

    def _compiled_atom(self, expression: Mapping[str, Any]) -> Condition:
        facet = _check_atom(expression)
        if facet == "galleries":
            return self._about_galleries(expression)

        def holds(value: Value) -> bool:
            found = self._value(expression, value)
            if not isinstance(found, bool):
                raise NotInSubset("has a condition that is no truth")
            return found

        if facet == "category":
            return CategoryIn(frozenset(one for one in Category if holds(("Category", one.value))))
        if facet == "status":
            return StatusIn(frozenset(one for one in Status if holds(("Status", one.value))))
        owners = frozenset(owner for owner in self._owners if holds(("Entity", owner)))
        if holds(_STRANGER):
            return negated(OwnerIn(frozenset(self._owners) - owners))
        return OwnerIn(owners) if owners else NEVER

    def _about_galleries(self, expression: Mapping[str, Any]) -> Condition:
        operator, body = _node(expression)
        if operator == "isEmpty":
            return InNoGallery()
        right = self._value(body["right"], None)
        if operator == "contains":
            return InSomeGallery(frozenset({right}))
        return InEveryGallery(right) if operator == "containsAll" else InSomeGallery(right)

    def _value(self, expression: Mapping[str, Any], facet: Value) -> Value:
        """What an expression is where the one facet that it looks at has this value."""
        operator, body = _node(expression)
        if operator == "Value":
            return _literal(body)
        if operator == "Set":
            return frozenset(self._value(part, facet) for part in body)
        if operator == ".":
            subject = None if _is_reference(body["left"]) else self._value(body["left"], facet)
            return facet if subject is None else self._attributes[subject][body["attr"]]
        if operator not in _IN_ATOMS:
            raise NotInSubset(f"uses {operator!r} on a reference")
        left = self._value(body.get("left", body.get("arg")), facet)
        right = self._value(body["right"], facet) if "right" in body else None
        if operator == "in":
            wanted = right if isinstance(right, frozenset) else {right}
            return not wanted.isdisjoint(self._above.get(left, {left}))
        return _COMPARISONS[operator](left, right)


_LOGICAL: Mapping[str, Callable[..., Compiled]] = {
    "!": opposite,
    "&&": both,
    "||": either,
    "if-then-else": choice,
}

_COMPARISONS: Mapping[str, Callable[[Value, Value], bool]] = {
    "==": lambda left, right: bool(left == right),
    "!=": lambda left, right: bool(left != right),
    "contains": lambda left, right: right in left,
    "containsAll": lambda left, right: bool(right <= left),
    "containsAny": lambda left, right: not right.isdisjoint(left),
    "isEmpty": lambda left, _: not left,
}

_IN_ATOMS = frozenset({"Value", "Set", ".", "in", *_COMPARISONS})


def _check_atom(expression: Mapping[str, Any]) -> str:
    """The one facet that a comparison looks at.

    Raises:
        NotInSubset: it looks at several, or uses the reference in another way.
    """
    facets = set(_facets(expression))
    if len(facets) != 1:
        names = " and ".join(sorted(facets)) or "no facet"
        raise NotInSubset(
            f"compares {names} of a reference in one comparison; a comparison looks at one facet"
        )
    facet = facets.pop()
    if facet == "galleries":
        _check_galleries(expression)
    return facet


def _check_galleries(expression: Mapping[str, Any]) -> None:
    operator, body = _node(expression)
    subject = body.get("left", body.get("arg")) if isinstance(body, Mapping) else None
    known = operator in {"contains", "containsAll", "containsAny", "isEmpty"}
    if not known or not _is_galleries(subject) or _mentions_reference(body.get("right", _FREE)):
        raise NotInSubset(
            "uses resource.galleries in another way than contains, containsAll, containsAny or isEmpty of it"
        )


def _facets(expression: Mapping[str, Any]) -> Iterator[str]:
    """The facets that an expression looks at, for each place.

    Raises:
        NotInSubset: it uses the reference in another way than by a facet, or an operator that cannot be compiled.
    """
    operator, body = _node(expression)
    if not _mentions_reference(expression):
        return
    if operator not in _IN_ATOMS:
        raise NotInSubset(f"uses {operator!r} on a reference")
    if operator == "Set":
        parts = list(body)
    elif operator == ".":
        if _is_reference(body["left"]):
            yield body["attr"]
            return
        parts = [body["left"]]
    else:
        parts = [body[name] for name in ("left", "right", "arg") if name in body]
    for part in parts:
        if _is_reference(part):
            raise NotInSubset("uses the reference itself; name a facet of it, such as resource.owner")
        yield from _facets(part)


def _node(expression: Mapping[str, Any]) -> tuple[str, Any]:
    if len(expression) != 1:
        raise NotInSubset("has an expression that is not understood")
    return next(iter(expression.items()))


def _operands(operator: str, body: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    names = {"!": ("arg",), "if-then-else": ("if", "then", "else")}.get(operator, ("left", "right"))
    return tuple(body[name] for name in names)


def _is_reference(expression: object) -> bool:
    return expression in ({"Var": "resource"}, {"unknown": [{"Value": "resource"}]})


def _is_galleries(expression: object) -> bool:
    if not isinstance(expression, Mapping) or "." not in expression:
        return False
    path = expression["."]
    return _is_reference(path["left"]) and path["attr"] == "galleries"


def _mentions_reference(expression: object) -> bool:
    if _is_reference(expression):
        return True
    if isinstance(expression, Mapping):
        return any(_mentions_reference(part) for part in expression.values())
    return isinstance(expression, list) and any(_mentions_reference(part) for part in expression)


def _literal(value: object) -> Value:
    if isinstance(value, list):
        return frozenset(_literal(part) for part in value)
    if isinstance(value, Mapping):
        entity = value.get("__entity")
        if not isinstance(entity, Mapping):
            raise NotInSubset("compares a facet with a record")
        return entity["type"], entity["id"]
    return value

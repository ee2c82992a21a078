"""What a policy must obey beyond the schema, so that what it says can be compiled, explained and relied on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from likeness.access.demands import demands
from likeness.access.directory import Directory
from likeness.access.expressions import NotInSubset, check
from likeness.domain.errors import InvalidInput

LEVEL_ACTIONS = ("seeHit", "seeCandidate", "seeFull")
"""What may be seen of a reference, from the least to the most."""

LIGHTS_OUT = "lightsOut"

LEAST_ONE_IN = 10_000
"""The laxest limit on false matches with which a policy may let an answer be used without a look at it."""

_Policy = Mapping[str, Any]


def check_policies(document: Mapping[str, Any], directory: Directory) -> Mapping[str, str]:
    """The ids of policies by the positions that Cedar gives them.

    Args:
        document: the policies in Cedar's JSON form.
        directory: that the countries, groups, bureaus, entities and principals which they name must be in.

    Raises:
        InvalidInput: a policy breaks a rule; the message says which, and what to do.
    """
    if document["templates"]:
        raise _broken("a policy", "is a template, which nothing would fill in; write the policies out")
    ids: dict[str, str] = {}
    for position, policy in document["staticPolicies"].items():
        name = policy.get("annotations", {}).get("id") or ""
        if not name:
            raise _broken(position, 'has no name; write @id("...") before it, since that is put on record')
        if name in ids.values():
            raise _broken(name, "is there twice; give each policy a name of its own")
        ids[position] = name
        _check(name, policy, directory)
    return ids


def _check(name: str, policy: _Policy, directory: Directory) -> None:
    actions = _actions(policy)
    if policy["effect"] == "permit" and actions is None:
        raise _broken(name, "permits every action; name those that it permits")
    if unknown := next(_not_listed(policy, directory), ""):
        raise _broken(name, f"names {unknown}, which the directory does not have; correct one of the two")
    if actions is None or actions.intersection(LEVEL_ACTIONS):
        _check_about_references(name, policy)
    if policy["effect"] == "permit" and actions is not None and LIGHTS_OUT in actions:
        _check_lights_out(name, policy)


def _check_about_references(name: str, policy: _Policy) -> None:
    resource = policy["resource"]
    if resource["op"] not in {"All", "is"} or "in" in resource:
        if resource.get("entity", {}).get("type") in {"Modality", "Entity"}:
            return
        raise _broken(name, "names one reference; conditions on references are about their facets")
    for condition in policy["conditions"]:
        try:
            check(condition["body"])
        except NotInSubset as error:
            raise _broken(name, f"{error}, which cannot be made a filter of searches; write it so") from error


def _check_lights_out(name: str, policy: _Policy) -> None:
    modality = policy["resource"].get("entity", {}).get("id", "")
    if policy["resource"]["op"] != "==" or modality in {"", "face"}:
        raise _broken(
            name, "permits lightsOut without one modality that is not face; name it after resource =="
        )
    conditions = policy["conditions"]
    if not demands(conditions, "purpose", _names_purpose):
        raise _broken(
            name,
            "permits lightsOut without a purpose; on every side of ||, demand "
            "context.purpose == or in named ones",
        )
    if not demands(conditions, "fmr_one_in", _limits):
        raise _broken(
            name,
            "permits lightsOut without a limit on false matches; on every side of ||, demand "
            f"context.fmr_one_in >= {LEAST_ONE_IN}, or a larger number",
        )


def _names_purpose(sign: str, literal: object) -> bool:
    del literal  # the schema has it be a purpose
    return sign in {"==", "in"}


def _limits(sign: str, literal: object) -> bool:
    if not isinstance(literal, int):
        return False
    return (literal if sign in {">=", "=="} else literal + 1 if sign == ">" else 0) >= LEAST_ONE_IN


def _actions(policy: _Policy) -> frozenset[str] | None:
    """Those that a policy is about; None where it is about all."""
    scope = policy["action"]
    if scope["op"] == "All":
        return None
    named = scope.get("entities", [scope["entity"]] if "entity" in scope else [])
    return frozenset(entity["id"] for entity in named)


def _not_listed(expression: object, directory: Directory) -> Iterator[str]:
    known: Mapping[str, object] = {
        "Country": directory.countries,
        "Group": directory.groups,
        "Bureau": directory.bureaus,
        "Entity": directory.entities,
        "Principal": directory.principals,
    }
    for kind, name in _named(expression):
        if kind in known and name not in known[kind]:  # type: ignore[operator]  # containers all
            yield f'{kind}::"{name}"'


def _named(expression: object) -> Iterator[tuple[str, str]]:
    """The entities that a policy names."""
    if isinstance(expression, Mapping):
        kind, name = expression.get("type"), expression.get("id")
        if isinstance(kind, str) and isinstance(name, str):
            yield kind, name
        for part in expression.values():
            yield from _named(part)
    elif isinstance(expression, list):
        for part in expression:
            yield from _named(part)


def _broken(name: str, what: str) -> InvalidInput:
    return InvalidInput(f"The policy {name} {what}.", reason="POLICY_INVALID")

"""The same by Cedar itself, asked about every reference by its own: no partial evaluation, and none of our code.

The policies are those that ship. What an owner says of a reference, and what its status means, are no policies of
ours but code; here they are written as Cedar's, so that one decision covers all of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cedarpy

import likeness.access
from likeness.domain.access import Action
from tests.oracle.access.cases import COUNTRIES, GROUPS, OWNERS, ROLES, Asking, Held

POLICIES = Path(likeness.access.__file__).with_name("default.cedar")

_LEVELS = ("seeHit", "seeCandidate", "seeFull")

_OWNERS_WORD = """
forbid (principal, action in [Action::"seeHit", Action::"seeCandidate", Action::"seeFull"], resource)
when {
  resource.owner != context.entity &&
  (
    resource.status != Status::"active" ||
    (resource has denied_entities && resource.denied_entities.contains(context.entity)) ||
    (resource has permitted_countries && !resource.permitted_countries.contains(context.entity.country)) ||
    (resource has permitted_groups && !(context.entity in resource.permitted_groups)) ||
    (resource has permitted_purposes && !resource.permitted_purposes.contains(context.purpose))
  )
};
forbid (principal, action in [Action::"seeCandidate", Action::"seeFull"], resource)
when { resource.owner != context.entity && resource has most && resource.most < 2 };
forbid (principal, action == Action::"seeFull", resource)
when { resource.owner != context.entity && resource has most && resource.most < 3 };
"""

_Json = dict[str, Any]


class CedarOracle:
    """Asks Cedar about some references.

    Args:
        held: all that it will be asked about.
    """

    def __init__(self, held: Sequence[Held]) -> None:
        self._names = {one: f"reference-{number}" for number, one in enumerate(held)}
        self._policies = cedarpy.PolicySet.from_str(POLICIES.read_text() + _OWNERS_WORD)
        entities = [*_directory(), *(_reference(name, one) for one, name in self._names.items())]
        self._entities = cedarpy.Entities.from_json_str(json.dumps(entities))

    def may_call(self, asking: Asking, action: Action) -> bool:
        """Whether the method may be called on faces."""
        return self._allows(asking, action.value, ("Modality", "face"))

    def shown(self, asking: Asking, held: Held) -> int:
        """How much is seen of a reference: 0 nothing, 1 hit, 2 candidate, 3 full."""
        levels = 0
        for action in _LEVELS:
            if not self._allows(asking, action, ("Reference", self._names[held])):
                break
            levels += 1
        return levels

    def _allows(self, asking: Asking, action: str, resource: tuple[str, str]) -> bool:
        request = {
            "principal": _uid("Principal", _principal(asking.role, asking.entity)),
            "action": _uid("Action", action),
            "resource": _uid(*resource),
            "context": {
                "entity": _to("Entity", asking.entity),
                "purpose": _to("Purpose", asking.purpose.value),
                "modality": _to("Modality", "face"),
                "named_case": False,
                "named_operator": False,
                "frontline": asking.frontline,
            },
        }
        answer = cedarpy.is_authorized(request, self._policies, self._entities)
        assert not answer.diagnostics.errors
        return answer.allowed


def _principal(role: str, entity: str) -> str:
    return f"{entity}/{role}"


def _directory() -> Iterator[_Json]:
    for role in ROLES:
        for entity in COUNTRIES:
            yield _entity("Principal", _principal(role, entity), [("Role", role)])
    for name in OWNERS:
        groups = [("Group", group) for group in sorted(GROUPS.get(name, ()))]
        country = _to("Country", COUNTRIES.get(name, ""))
        yield _entity("Entity", name, groups, country=country, listed=name in COUNTRIES)


def _reference(name: str, held: Held) -> _Json:
    limits = held.restrictions
    stated: dict[str, tuple[str, Iterable[str]]] = {
        "denied_entities": ("Entity", limits.denied_entities),
        "permitted_countries": ("Country", limits.permitted_countries),
        "permitted_groups": ("Group", limits.permitted_groups),
        "permitted_purposes": ("Purpose", limits.permitted_purposes),
    }
    attributes: _Json = {
        limit: [_to(kind, one) for one in sorted(names)] for limit, (kind, names) in stated.items() if names
    }
    if held.disclosed is not None:
        attributes["most"] = int(held.disclosed)
    return _entity(
        "Reference",
        name,
        owner=_to("Entity", held.owner),
        galleries=[],
        category=_to("Category", held.category.value),
        status=_to("Status", held.status.value),
        **attributes,
    )


def _entity(kind: str, name: str, parents: Iterable[tuple[str, str]] = (), **attributes: object) -> _Json:
    return {"uid": _uid(kind, name), "attrs": attributes, "parents": [_uid(*one) for one in parents]}


def _uid(kind: str, name: str) -> _Json:
    return {"type": kind, "id": name}


def _to(kind: str, name: str) -> _Json:
    return {"__entity": _uid(kind, name)}

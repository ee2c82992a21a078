"""The policy engine behind our port: Cedar (https://www.cedarpolicy.com), by its unofficial binding `cedarpy`.

No other module imports the binding. Every policy is validated against the schema before it is taken; a policy that
cannot be evaluated counts as a denial, where Cedar would skip it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import cedarpy

from likeness.access.bounds import check_bounds, check_depth, too_deep
from likeness.access.directory import Directory
from likeness.access.engine import Decision, PolicyFailed, Question, Residual
from likeness.access.limits import Limits
from likeness.access.rules import check_policies
from likeness.domain.errors import InvalidInput
from likeness.domain.references import Facets

_Json = dict[str, Any]


class Cedar:
    """Implements `PolicyEngine`: policies, parsed and validated once, over the entities of a directory.

    Args:
        schema: in Cedar's own form.
        policies: the texts of the files, by their names.
        directory: who there is.

    Raises:
        InvalidInput: a policy cannot be read, does not fit the schema or breaks a rule of ours (`rules`).
    """

    def __init__(self, schema: str, policies: Mapping[str, str], directory: Directory) -> None:
        self._schema = cedarpy.Schema.from_str(schema)
        for name, text in policies.items():
            check_bounds(name, text)
            _check_schema(name, text, self._schema)
        text = "\n".join(policies.values())
        document = _document(text)
        self._ids = check_policies(document, directory)
        self._limits = Limits.of(document)
        self._policies = cedarpy.PolicySet.from_str(text)
        self._entities = cedarpy.Entities.from_json_str(json.dumps(list(_entities(directory))), self._schema)
        self._listed = frozenset(directory.entities)
        self._principals = directory.principals

    @property
    def limits(self) -> Limits:
        """See `PolicyEngine.limits`."""
        return self._limits

    def decide(self, question: Question, action: str) -> Decision:
        """See `PolicyEngine.decide`."""
        request = self._request(question, action)
        if question.modality:
            request["resource"] = _typed("Modality", question.modality)
            return self._decided(request, self._around(question))
        listed = question.target in self._listed
        request["resource"] = _typed("Entity", question.target if listed else "")
        added = [] if listed else [_owner("", "", "", listed=False)]
        return self._decided(request, self._around(question, *added))

    def decide_about(self, question: Question, action: str, facets: Facets) -> Decision:
        """See `PolicyEngine.decide_about`."""
        request = self._request(question, action) | {"resource": _typed("Reference", "")}
        added = [_reference(facets)]
        if facets.owner not in self._listed:
            added.append(_owner(facets.owner, "", "", listed=False))
        return self._decided(request, self._around(question, *added))

    def residuals(self, question: Question, action: str) -> tuple[Residual, ...]:
        """See `PolicyEngine.residuals`."""
        request = self._request(question, action)
        entities = self._around(question)
        answer = cedarpy.is_authorized_partial(request, self._policies, entities, self._schema)
        if answer.diagnostics.errors:
            raise PolicyFailed(*answer.diagnostics.errors)
        if answer.residuals.keys() != self._ids.keys():
            raise PolicyFailed("The policies could not be evaluated for an unknown reference.")
        return tuple(
            Residual(self._ids[position], left["effect"] == "forbid", _condition(left))
            for position, left in answer.residuals.items()
        )

    def _decided(self, request: _Json, entities: cedarpy.Entities) -> Decision:
        answer = cedarpy.is_authorized(request, self._policies, entities, self._schema)
        found = answer.diagnostics
        allowed = answer.decision is cedarpy.Decision.Allow and not found.errors
        policies = tuple(sorted(self._ids.get(position, position) for position in found.reasons))
        return Decision(allowed, policies, tuple(found.errors))

    def _request(self, question: Question, action: str) -> _Json:
        context: _Json = {
            "entity": _reference_to("Entity", question.entity),
            "purpose": _reference_to("Purpose", question.purpose.value),
            "named_case": question.named_case,
            "named_operator": question.named_operator,
        }
        if question.modality:
            context["modality"] = _reference_to("Modality", question.modality)
            context["frontline"] = question.frontline
        if question.fmr_one_in is not None:
            context["fmr_one_in"] = question.fmr_one_in
        return {
            "principal": _typed("Principal", question.principal),
            "action": _typed("Action", action),
            "context": context,
        }

    def _around(self, question: Question, *added: _Json) -> cedarpy.Entities:
        """The directory's entities with the principal, whose roles differ by the token behind it."""
        known = self._principals[question.principal]
        principal = _entity(
            "Principal",
            question.principal,
            parents=[("Role", role.value) for role in sorted(question.roles)],
            entities=[_reference_to("Entity", name) for name in sorted(known.entities)],
            bureaus=[_reference_to("Bureau", name) for name in sorted(known.bureaus)],
            person=question.person,
        )
        return self._entities.with_added_json_str(json.dumps([principal, *added]))


def _document(text: str) -> _Json:
    """The policies in Cedar's JSON form, none of them nested so deeply that a walk over it would not end."""
    try:
        document: _Json = json.loads(cedarpy.policies_to_json_str(text))
    except RecursionError as error:
        raise too_deep("a policy") from error
    for position, policy in document["staticPolicies"].items():
        check_depth(policy.get("annotations", {}).get("id") or position, policy)
    return document


def _check_schema(name: str, text: str, schema: cedarpy.Schema) -> None:
    result = cedarpy.validate_policies(text, schema)
    if not result.validation_passed:
        ids = result.id_annotations_by_policy_id
        wrong = "; ".join(
            f"{ids.get(one.policy_id, one.policy_id)}: {one.error}" for one in result.errors[:3]
        )
        raise InvalidInput(
            f"The policies of {name} do not fit the schema ({wrong}); mend them and try `likeness policy check`.",
            reason="POLICY_INVALID",
        )


def _condition(residual: _Json) -> Mapping[str, object]:
    """The conditions of a residual, whose scope was evaluated into them."""
    conditions = residual["conditions"]
    if len(conditions) != 1 or conditions[0]["kind"] != "when":
        raise PolicyFailed("A residual of a policy is not as it was.")
    body: Mapping[str, object] = conditions[0]["body"]
    return body


def _entities(directory: Directory) -> Iterable[_Json]:
    for country in directory.countries:
        yield _entity("Country", country)
    for group in directory.groups:
        yield _entity("Group", group)
    for bureau, country in directory.bureaus.items():
        yield _entity("Bureau", bureau, parents=[("Country", country)])
    for name, listed in directory.entities.items():
        parents = [("Bureau", listed.bureau), *(("Group", group) for group in sorted(listed.groups))]
        yield _owner(name, listed.country, listed.bureau, listed=True, parents=parents)


def _owner(
    name: str, country: str, bureau: str, *, listed: bool, parents: Iterable[tuple[str, str]] = ()
) -> _Json:
    return _entity(
        "Entity",
        name,
        parents=parents,
        country=_reference_to("Country", country),
        bureau=_reference_to("Bureau", bureau),
        listed=listed,
    )


def _reference(facets: Facets) -> _Json:
    return _entity(
        "Reference",
        "",
        owner=_reference_to("Entity", facets.owner),
        galleries=sorted(facets.galleries),
        category=_reference_to("Category", facets.category.value),
        status=_reference_to("Status", facets.status.value),
    )


def _entity(kind: str, name: str, *, parents: Iterable[tuple[str, str]] = (), **attributes: object) -> _Json:
    above = [{"type": one, "id": named} for one, named in parents]
    return {"uid": {"type": kind, "id": name}, "attrs": attributes, "parents": above}


def _reference_to(kind: str, name: str) -> _Json:
    return {"__entity": {"type": kind, "id": name}}


def _typed(kind: str, name: str) -> str:
    """In Cedar's own form; names are of a directory or of ours, and hold nothing that must be escaped."""
    return f'{kind}::"{name}"'

"""Facets survive being written down, and what is not quite facets is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from likeness.domain.access import Level
from likeness.domain.facets import facets_as_json, facets_from_json
from likeness.domain.references import Category, Facets, Purpose, Restrictions, Status

ALL = Facets(
    owner="NCB-FR",
    galleries=frozenset({"missing", "children"}),
    category=Category.MISSING,
    status=Status.SUSPENDED,
    restrictions=Restrictions(
        denied_entities=frozenset({"NCB-BB", "NCB-AA"}),
        permitted_entities=frozenset({"NCB-DE"}),
        permitted_purposes=frozenset({Purpose.MISSING_PERSON, Purpose.BORDER_CONTROL}),
        denied_countries=frozenset({"XB", "XA"}),
        permitted_countries=frozenset({"FR"}),
        denied_groups=frozenset({"observers"}),
        permitted_groups=frozenset({"SIENA", "PRUM"}),
        disclosure=Level.CANDIDATE,
    ),
    expires_at=1_800_000_000,
)
FEW = Facets(owner="NCB-FR")


@pytest.mark.parametrize("facets", [ALL, FEW])
def test_they_come_back(facets: Facets) -> None:
    assert facets_from_json(json.loads(json.dumps(facets_as_json(facets)))) == facets


def test_they_are_written_as_the_log_has_them() -> None:
    """Digests of the log are made over this form, so it must never change."""
    assert facets_as_json(ALL) == {
        "owner": "NCB-FR",
        "galleries": ["children", "missing"],
        "category": "missing",
        "status": "suspended",
        "expires_at": 1_800_000_000,
        "restrictions": {
            "denied_entities": ["NCB-AA", "NCB-BB"],
            "permitted_entities": ["NCB-DE"],
            "permitted_purposes": ["border_control", "missing_person"],
            "denied_countries": ["XA", "XB"],
            "permitted_countries": ["FR"],
            "denied_groups": ["observers"],
            "permitted_groups": ["PRUM", "SIENA"],
            "disclosure": "candidate",
        },
    }
    assert facets_as_json(FEW) == {"owner": "NCB-FR", "category": "unspecified", "status": "active"}


@pytest.mark.parametrize(
    "change",
    [
        {"denied_entities": ["NCB-AA"]},
        {"restrictions": {"permitted_units": ["x"]}},
        {"restrictions": {"permitted_purposes": ["curiosity"]}},
        {"restrictions": {"denied_entities": "NCB-AA"}},
        {"restrictions": {"permitted_countries": "FR"}},
        {"restrictions": {"disclosure": "everything"}},
        {"restrictions": []},
        {"owner": None},
        {"category": ["missing"]},
        {"status": "asleep"},
        {"expires_at": "soon"},
        {"expires_at": True},
    ],
    ids=repr,
)
def test_what_is_not_known_is_refused_so_that_no_restriction_is_lost(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"facets|valid"):
        facets_from_json({**facets_as_json(FEW), **change})


@pytest.mark.parametrize(
    "content", [None, [], "owner", {"category": "missing", "status": "active"}], ids=repr
)
def test_other_things_are_refused(content: object) -> None:
    with pytest.raises(ValueError, match="facets"):
        facets_from_json(content)

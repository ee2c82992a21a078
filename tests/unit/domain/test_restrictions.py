"""Whom an owner's limits admit by country and group of entities."""

from __future__ import annotations

from typing import Any

import pytest

from likeness.domain.access import Grant
from likeness.domain.references import Caller, Restrictions

XA, XB, PRUM = frozenset({"XA"}), frozenset({"XB"}), frozenset({"PRUM"})


@pytest.mark.parametrize(
    ("country", "groups", "limits", "admitted"),
    [
        ("XA", PRUM, {}, True),
        ("", frozenset(), {}, True),
        ("XA", PRUM, {"denied_countries": XA}, False),
        ("XA", PRUM, {"denied_countries": XB}, True),
        ("XA", PRUM, {"permitted_countries": XB}, False),
        ("XA", PRUM, {"permitted_countries": XA | XB}, True),
        ("XA", PRUM, {"permitted_countries": XA, "denied_countries": XA}, False),
        ("XA", PRUM, {"permitted_countries": XA, "denied_groups": PRUM}, False),
        ("XA", PRUM, {"permitted_countries": XA, "permitted_groups": PRUM}, True),
        ("XA", frozenset(), {"permitted_groups": PRUM}, False),
        ("XA", frozenset(), {"denied_groups": PRUM}, True),
        # An organisation of no country is known by its groups; what is not known is never admitted.
        ("", PRUM, {"permitted_groups": PRUM}, True),
        ("", PRUM, {"denied_countries": XA}, False),
        ("", frozenset(), {"denied_countries": XA}, False),
        ("", frozenset(), {"permitted_countries": XA}, False),
        ("", frozenset(), {"denied_groups": PRUM}, False),
        ("", frozenset(), {"permitted_groups": PRUM}, False),
    ],
)
def test_who_is_admitted(
    country: str, groups: frozenset[str], limits: dict[str, Any], admitted: bool
) -> None:
    caller = Caller("NCB-AA", grant=Grant(country=country, groups=groups))
    assert Restrictions(**limits).admits(caller) is admitted

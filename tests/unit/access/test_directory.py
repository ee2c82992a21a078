"""Who there is."""

from __future__ import annotations

import json

import pytest

from likeness.access.directory import MAX_BYTES, read_directory
from likeness.domain.access import Role
from likeness.domain.errors import InvalidInput
from likeness.engine.metadata_rules import NAME
from tests.unit.access.hub import DIRECTORY


def test_a_principal_speaks_for_its_entities_and_those_of_its_bureaus() -> None:
    directory = read_directory(DIRECTORY.encode(), "directory.toml")
    assert directory.principals["spiffe://hub.test/aa/owner"].entities == {"AA-POLICE", "AA-BORDER"}
    assert directory.principals["spiffe://hub.test/bb/examiner"].entities == {"BB-POLICE"}
    assert directory.entities["AA-BORDER"].country == "AA"


def test_a_role_of_a_token_counts_only_where_the_directory_lets_it() -> None:
    known = read_directory(DIRECTORY.encode(), "d").principals["spiffe://hub.test/aa/cases"]
    assert known.effective(frozenset({"operator", "data_owner"})) == {Role.CASE_SYSTEM, Role.DATA_OWNER}
    assert known.effective(frozenset()) == {Role.CASE_SYSTEM}


def test_json_is_read_as_well() -> None:
    document = {
        "countries": {"AA": {}},
        "bureaus": {"B": {"country": "AA"}},
        "entities": {"E": {"bureau": "B"}},
    }
    assert read_directory(json.dumps(document).encode(), "d").entities["E"].country == "AA"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"[bureaus.B]\ncountry = 'XX'", "'XX' at bureaus.B.country"),
        (b"[entities.E]\nbureau = 'B'", "'B' at entities.E.bureau"),
        (b"[principals.'https://x/y']", "principals"),
        (b"[principals.'spiffe://x/y\"']", "principals"),
        (b"[principals.'spiffe://x/y']\nroles = ['chief']", "roles"),
        (b"[principals.'spiffe://x/y']\nentities = ['E']", "'E'"),
        (b"[entities.'E\\n']", "entities"),
        (b"[contries.AA]", "contries"),
        (b"\xff", "neither TOML nor JSON"),
        (b"{" * 100_000, "neither TOML nor JSON"),
        (b" " * (MAX_BYTES + 1), "limit"),
    ],
)
def test_what_is_wrong_is_named(content: bytes, named: str) -> None:
    with pytest.raises(InvalidInput, match="The directory D") as refused:
        read_directory(content, "D")
    assert named in refused.value.message


@pytest.mark.parametrize("name", ["NCB-FR", "a" * 64, "a" * 65, "-a", "", "a b", "a\n", "A/b:c_d.e"])
def test_an_entity_is_named_as_callers_name_it(name: str) -> None:
    document = {
        "countries": {"AA": {}},
        "bureaus": {"B": {"country": "AA"}},
        "entities": {name: {"bureau": "B"}},
    }
    content = json.dumps(document).encode()
    if NAME.fullmatch(name):
        assert name in read_directory(content, "d").entities
    else:
        with pytest.raises(InvalidInput):
            read_directory(content, "d")

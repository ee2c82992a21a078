"""What calls may do by the policies that ship, and how changed rules are taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from likeness.access.suspensions import resume, suspend
from likeness.domain.access import Action, Level
from likeness.domain.errors import Denied, InvalidInput
from likeness.domain.references import Category, Facets, Purpose
from tests.unit.access.hub import CASES, DIRECTORY, EXAMINER, GATE, OWNER, asked, hub

_ALLOWED = {
    "aa/cases": "Search Compare Analyze Get List",
    "aa/owner": "Enroll Update Expunge Get List Analyze",
    "aa/gate": "Search Analyze",
    "bb/examiner": "Search Compare Analyze Get List",
    "bb/supervisor": "Search Compare Analyze Get List Update Expunge",
    "auditor": "",
    "operator": "",
}
_ENTITIES = {"aa": "AA-POLICE", "bb": "BB-POLICE"}


@pytest.mark.parametrize("name", _ALLOWED)
def test_the_policies_that_ship_allow_each_role_its_methods(name: str, tmp_path: Path) -> None:
    access, _ = hub(tmp_path)
    entity = "AA-BORDER" if name == "aa/gate" else _ENTITIES.get(name[:2], "AA-POLICE")
    allowed = set()
    for action in Action:
        try:
            access.judge(asked(f"spiffe://hub.test/{name}", entity, action, frontline=name == "aa/gate"))
        except Denied as error:
            assert error.reason == "NOT_PERMITTED_BY_POLICY"
        else:
            allowed.add(action.value)
    assert allowed == set(_ALLOWED[name].split())


@pytest.mark.parametrize(
    ("principal", "entity", "purpose", "owner", "category", "level"),
    [
        (CASES, "AA-POLICE", "wanted_person", "AA-POLICE", "victim", Level.FULL),
        (CASES, "AA-POLICE", "wanted_person", "AA-BORDER", "suspect", Level.FULL),
        (CASES, "AA-POLICE", "wanted_person", "BB-POLICE", "suspect", Level.CANDIDATE),
        (CASES, "AA-POLICE", "wanted_person", "GONE", "suspect", Level.HIDDEN),
        (CASES, "AA-POLICE", "system_test", "AA-BORDER", "suspect", Level.HIDDEN),
        (CASES, "AA-POLICE", "system_test", "AA-POLICE", "suspect", Level.FULL),
        (GATE, "AA-BORDER", "border_control", "AA-POLICE", "suspect", Level.CANDIDATE),
        (GATE, "AA-BORDER", "border_control", "AA-POLICE", "witness", Level.HIDDEN),
        (GATE, "AA-BORDER", "border_control", "BB-POLICE", "wanted", Level.CANDIDATE),
        (GATE, "AA-BORDER", "border_control", "BB-POLICE", "suspect", Level.HIT),
        (EXAMINER, "BB-POLICE", "court_proceedings", "AA-POLICE", "victim", Level.CANDIDATE),
    ],
)
def test_the_policies_that_ship_show_each_reference_at_its_level(
    principal: str, entity: str, purpose: str, owner: str, category: str, level: Level, tmp_path: Path
) -> None:
    access, _ = hub(tmp_path)
    grant = access.judge(asked(principal, entity, purpose=Purpose(purpose), frontline=principal == GATE))
    assert grant.disclosure.level(Facets(owner, category=Category(category))) is level


def test_frontline_searches_for_its_own_purposes_alone(tmp_path: Path) -> None:
    access, _ = hub(tmp_path)
    access.judge(asked(GATE, "AA-BORDER", purpose=Purpose.BORDER_CONTROL, frontline=True))
    with pytest.raises(Denied) as refused:
        access.judge(asked(GATE, "AA-BORDER", purpose=Purpose.CRIMINAL_INVESTIGATION, frontline=True))
    assert "frontline" in refused.value.message
    assert "likeness policy explain" in refused.value.message
    assert "PROFILE_FRONTLINE" not in refused.value.message


def test_frontline_gets_no_list_and_learns_how_it_may_search(tmp_path: Path) -> None:
    access, _ = hub(tmp_path)
    with pytest.raises(Denied) as refused:
        access.judge(asked(GATE, "AA-BORDER", purpose=Purpose.BORDER_CONTROL))
    assert refused.value.reason == "NOT_PERMITTED_BY_POLICY"
    assert "search by PROFILE_FRONTLINE, which is permitted" in refused.value.message
    access.judge(asked(CASES, "AA-POLICE"))
    access.judge(asked(CASES, "AA-POLICE", frontline=True))


def test_a_grant_names_where_the_caller_belongs_and_what_decided(tmp_path: Path) -> None:
    access, _ = hub(tmp_path)
    grant = access.judge(asked(GATE, "AA-BORDER", frontline=True))
    assert grant.country == "AA"
    assert grant.groups == {"north", "south"}
    assert grant.policy == access.policy
    assert len(grant.policy) == 64
    assert grant.decided_by == ("frontline-searches",)


@pytest.mark.parametrize(
    ("principal", "entity", "reason"),
    [
        ("", "AA-POLICE", "PRINCIPAL_UNKNOWN"),
        ("spiffe://hub.test/nobody", "AA-POLICE", "PRINCIPAL_UNKNOWN"),
        (CASES, "AA-BORDER", "ENTITY_NOT_OF_PRINCIPAL"),
        (CASES, "XX-POLICE", "ENTITY_NOT_OF_PRINCIPAL"),
    ],
)
def test_who_is_not_of_the_directory_is_denied(
    principal: str, entity: str, reason: str, tmp_path: Path
) -> None:
    access, _ = hub(tmp_path)
    with pytest.raises(Denied) as refused:
        access.judge(asked(principal, entity))
    assert refused.value.reason == reason


def test_a_role_of_a_token_counts_where_the_directory_lets_it(tmp_path: Path) -> None:
    access, _ = hub(tmp_path)
    access.judge(asked(CASES, "AA-POLICE", Action.ENROLL, roles=["data_owner"]))
    with pytest.raises(Denied):
        access.judge(asked(CASES, "AA-POLICE", Action.ENROLL))
    with pytest.raises(Denied):
        access.judge(asked(GATE, "AA-BORDER", Action.ENROLL, roles=["data_owner"]))
    assert access.judge(asked(CASES, "AA-POLICE", roles=["auditor"])).roles == {"case_system"}
    both = access.judge(asked(CASES, "AA-POLICE", roles=["data_owner", "auditor"]))
    assert both.roles == {"case_system", "data_owner"}


def test_an_entity_is_cut_off_at_the_next_refresh_and_let_in_again(tmp_path: Path) -> None:
    access, _ = hub(tmp_path)
    before = access.policy
    suspend(tmp_path / "suspended.json", "AA-POLICE", "key lost")
    assert access.refresh()
    assert access.policy != before
    with pytest.raises(Denied) as refused:
        access.judge(asked(CASES, "AA-POLICE"))
    assert refused.value.reason == "ENTITY_SUSPENDED"
    assert "by an operator of this service, who alone can resume it" in refused.value.message
    assert "NCB-AA" not in refused.value.message
    access.judge(asked(OWNER, "AA-BORDER", Action.ENROLL))
    resume(tmp_path / "suspended.json", "AA-POLICE")
    assert access.refresh()
    access.judge(asked(CASES, "AA-POLICE"))


def test_whom_its_bureau_cut_off_that_bureau_can_resume(tmp_path: Path) -> None:
    access, _ = hub(tmp_path)
    suspend(tmp_path / "suspended.json", "AA-POLICE", "key lost", caller="AA-BORDER")
    assert access.refresh()
    with pytest.raises(Denied, match="its bureau, NCB-AA, can resume it"):
        access.judge(asked(CASES, "AA-POLICE"))


def test_wrong_rules_leave_those_in_force_and_are_reported_once(tmp_path: Path) -> None:
    access, observed = hub(tmp_path)
    before = access.policy
    (tmp_path / "directory.toml").write_text(DIRECTORY + "\n[entities.X]\nbureau = 'NOWHERE'\n")
    assert not access.refresh()
    assert not access.refresh()
    assert access.policy == before
    access.judge(asked(CASES, "AA-POLICE"))
    assert [type(error) for error in observed.refusals] == [InvalidInput]
    (tmp_path / "directory.toml").write_text(DIRECTORY)
    assert not access.refresh()
    assert observed.in_force == [before, before]


@pytest.mark.parametrize("name", ["own.cedar", "directory.toml"])
def test_wrong_rules_do_not_keep_an_entity_from_being_cut_off(name: str, tmp_path: Path) -> None:
    access, observed = hub(tmp_path, policies=_LIGHTS_OUT)
    file, suspended = tmp_path / name, tmp_path / "suspended.json"
    good = file.read_text()
    file.write_text("not so")
    access.refresh()
    before = access.policy
    suspend(suspended, "AA-POLICE", "key stolen")
    assert access.refresh()
    assert observed.suspensions_in_force == [access.policy] != [before]
    with pytest.raises(Denied) as refused:
        access.judge(asked(CASES, "AA-POLICE"))
    assert refused.value.reason == "ENTITY_SUSPENDED"
    access.judge(asked(EXAMINER, "BB-POLICE"))
    assert not access.refresh()
    suspended.write_text("damaged")
    assert not access.refresh()
    with pytest.raises(Denied):
        access.judge(asked(CASES, "AA-POLICE"))
    suspended.write_text("{}")
    assert access.refresh()
    access.judge(asked(CASES, "AA-POLICE"))
    assert len(observed.in_force) == 1, "the files on the whole are still not taken"
    file.write_text(good)
    access.refresh()
    assert len(observed.in_force) == 2


def test_a_removed_directory_leaves_the_rules_in_force(tmp_path: Path) -> None:
    access, observed = hub(tmp_path)
    (tmp_path / "directory.toml").unlink()
    assert not access.refresh()
    assert not access.refresh()
    assert len(observed.refusals) == 1
    access.judge(asked(CASES, "AA-POLICE"))


_LIGHTS_OUT = """
@id("searches") permit (principal, action == Action::"Search", resource);
@id("unattended") permit (principal, action == Action::"lightsOut", resource == Modality::"object")
when {
  context.purpose == Purpose::"property_recovery" && context has fmr_one_in && context.fmr_one_in >= 1000000
};
"""


@pytest.mark.parametrize(
    ("modality", "purpose", "one_in", "lights_out"),
    [
        ("object", "property_recovery", 1_000_000, True),
        ("object", "property_recovery", 999_999, False),
        ("object", "property_recovery", None, False),
        ("object", "wanted_person", 1_000_000, False),
        ("fingerprint", "property_recovery", 1_000_000, False),
        ("face", "property_recovery", 1_000_000, False),
    ],
)
def test_lights_out_is_where_a_policy_names_modality_purpose_and_rate(
    modality: str, purpose: str, one_in: int | None, lights_out: bool, tmp_path: Path
) -> None:
    access, _ = hub(tmp_path, policies=_LIGHTS_OUT)
    attributes = (("fmr_one_in", one_in),) if one_in is not None else ()
    call = asked(CASES, "AA-POLICE", purpose=Purpose(purpose), modality=modality, attributes=attributes)
    assert access.judge(call).lights_out is lights_out


def test_a_policy_that_fails_denies_and_is_reported(tmp_path: Path) -> None:
    """Cedar would skip the policy that forbids, and allow the call."""
    overflow = "9223372036854775807 + context.fmr_one_in > 0"
    access, observed = hub(
        tmp_path,
        policies='@id("p") permit (principal, action == Action::"Search", resource);'
        '@id("s") permit (principal, action == Action::"seeHit", resource);'
        '@id("f") forbid (principal, action, resource) when { context has fmr_one_in && ' + overflow + " };",
    )
    access.judge(asked(CASES, "AA-POLICE"))
    with pytest.raises(Denied):
        access.judge(asked(CASES, "AA-POLICE", attributes=(("fmr_one_in", 1),)))
    assert observed.failures


def test_references_are_hidden_where_a_policy_about_them_fails(tmp_path: Path) -> None:
    access, observed = hub(
        tmp_path,
        policies='@id("p") permit (principal, action == Action::"Search", resource);'
        '@id("s") permit (principal, action == Action::"seeHit", resource);'
        '@id("f") forbid (principal, action == Action::"seeHit", resource) when { context has fmr_one_in && '
        "9223372036854775807 + context.fmr_one_in < 0 };",
    )
    shown = access.judge(asked(CASES, "AA-POLICE")).disclosure
    assert shown.level(Facets("AA-POLICE")) is Level.HIT
    hidden = access.judge(asked(CASES, "AA-POLICE", attributes=(("fmr_one_in", 1),))).disclosure
    assert hidden.level(Facets("AA-POLICE")) is Level.HIDDEN
    assert observed.failures

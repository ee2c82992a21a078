"""What the policies that ship let a bureau oversee."""

from __future__ import annotations

from pathlib import Path

import pytest

from likeness.domain.access import Asked, OversightAction, Principal
from likeness.domain.errors import Denied
from likeness.domain.references import Caller, Facets, Purpose
from tests.unit.access.hub import CASES, DIRECTORY, OWNER, hub

SUSPEND, RESUME, LIST, READ = OversightAction
ALLOWED = "ALLOWED"
NCB_AA = "spiffe://hub.test/aa/ncb"
BOTH = "spiffe://hub.test/both"
"""Of two bureaus, and asks in the name of one."""
AUDITOR = "spiffe://hub.test/auditor"
OPERATOR = "spiffe://hub.test/operator"
SUPERVISOR = "spiffe://hub.test/bb/supervisor"
"""Of one entity, and not of its bureau."""


def decided(folder: Path, principal: str, entity: str, action: OversightAction, target: str = "") -> str:
    directory = DIRECTORY + "".join(
        f'[principals."{name}"]\nbureaus = {bureaus}\nroles = ["supervisor"]\n'
        for name, bureaus in ((NCB_AA, ["NCB-AA"]), (BOTH, ["NCB-AA", "NCB-BB"]))
    )
    access, observed = hub(folder, directory=directory)
    caller = Caller(entity, Purpose.UNSPECIFIED)
    try:
        access.judge(Asked(Principal(principal), caller, action, "", target=target or entity))
    except Denied as error:
        assert observed.failures == []
        return error.reason
    return ALLOWED


NOT = "NOT_PERMITTED_BY_POLICY"


@pytest.mark.parametrize("action", [SUSPEND, RESUME])
@pytest.mark.parametrize(
    ("principal", "entity", "target", "expected"),
    [
        (NCB_AA, "AA-BORDER", "AA-POLICE", ALLOWED),
        (OWNER, "AA-POLICE", "AA-BORDER", ALLOWED),
        (NCB_AA, "AA-BORDER", "BB-POLICE", NOT),
        (BOTH, "AA-BORDER", "AA-POLICE", ALLOWED),
        (BOTH, "AA-BORDER", "BB-POLICE", NOT),
        (NCB_AA, "AA-BORDER", "XX-NOBODY", NOT),
        (NCB_AA, "BB-POLICE", "BB-POLICE", "ENTITY_NOT_OF_PRINCIPAL"),
        (SUPERVISOR, "BB-POLICE", "BB-POLICE", NOT),
        (CASES, "AA-POLICE", "AA-BORDER", NOT),
        (AUDITOR, "AA-POLICE", "AA-BORDER", NOT),
        (OPERATOR, "AA-POLICE", "AA-BORDER", NOT),
    ],
)
def test_a_bureau_cuts_its_own_entities_off_alone(
    principal: str, entity: str, target: str, expected: str, action: OversightAction, tmp_path: Path
) -> None:
    assert decided(tmp_path, principal, entity, action, target) == expected


@pytest.mark.parametrize(
    ("principal", "entity", "action", "expected"),
    [
        (NCB_AA, "AA-BORDER", LIST, ALLOWED),
        (OWNER, "AA-POLICE", LIST, ALLOWED),
        (SUPERVISOR, "BB-POLICE", LIST, NOT),
        (AUDITOR, "AA-POLICE", LIST, NOT),
        (CASES, "AA-POLICE", LIST, NOT),
        (OWNER, "AA-POLICE", READ, ALLOWED),
        (AUDITOR, "BB-POLICE", READ, ALLOWED),
        (NCB_AA, "AA-BORDER", READ, NOT),
        (CASES, "AA-POLICE", READ, NOT),
        (OPERATOR, "AA-POLICE", READ, NOT),
    ],
)
def test_who_sees_what_is_cut_off_and_who_received_references(
    principal: str, entity: str, action: OversightAction, expected: str, tmp_path: Path
) -> None:
    assert decided(tmp_path, principal, entity, action) == expected


def test_what_the_directory_does_not_have_is_not_overseen_whatever_a_policy_says(tmp_path: Path) -> None:
    access, _ = hub(
        tmp_path, policies='@id("all") permit (principal, action == Action::"SuspendEntity", resource);'
    )
    caller = Caller("AA-POLICE")
    access.judge(Asked(Principal(CASES), caller, SUSPEND, "", target="BB-POLICE"))
    with pytest.raises(Denied):
        access.judge(Asked(Principal(CASES), caller, SUSPEND, "", target="XX-NOBODY"))


def test_who_oversees_sees_no_reference_by_that(tmp_path: Path) -> None:
    access, _ = hub(tmp_path)
    grant = access.judge(Asked(Principal(OWNER), Caller("AA-POLICE"), READ, "", target="AA-POLICE"))
    assert grant.disclosure.level(Facets("AA-POLICE")).name == "HIDDEN"


def test_a_typo_is_answered_with_the_entities_of_the_own_bureau_and_with_nothing_of_others(
    tmp_path: Path,
) -> None:
    access, _ = hub(tmp_path)

    def answered(target: str) -> str:
        with pytest.raises(Denied) as denied:
            access.judge(Asked(Principal(OWNER), Caller("AA-POLICE"), SUSPEND, "", target=target))
        return denied.value.message.replace(target, "TARGET")

    assert "your bureau has AA-BORDER, AA-POLICE: name one of these" in answered("AA-BODER")
    assert answered("AA-BODER") == answered("BB-POLICE")

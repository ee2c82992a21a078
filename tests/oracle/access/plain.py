"""Who may call what, and see how much of which reference: in plain Python, in other words than the policies."""

from __future__ import annotations

from likeness.domain.access import Action
from likeness.domain.references import Purpose, Status
from tests.oracle.access.cases import COUNTRIES, GROUPS, INVESTIGATORS, Asking, Held

METHODS = {
    "case_system": "Search Compare Analyze Get List",
    "examiner": "Search Compare Analyze Get List",
    "supervisor": "Search Compare Analyze Get List Update Expunge",
    "data_owner": "Enroll Update Expunge Get List Analyze",
    "frontline": "Search Analyze",
}


def may_call(asking: Asking, action: Action) -> bool:
    """Whether the method may be called."""
    if action not in METHODS.get(asking.role, "").split():
        return False
    urgent = asking.purpose in (Purpose.WANTED_PERSON, Purpose.BORDER_CONTROL)
    return asking.role != "frontline" or action is not Action.SEARCH or (urgent and asking.frontline)


def shown_by_policy(asking: Asking, held: Held) -> int:
    """0 nothing, 1 hit, 2 candidate, 3 full; the owner's word and the status left aside."""
    own = held.owner == asking.entity
    compatriot = COUNTRIES.get(held.owner) == COUNTRIES[asking.entity]
    if held.owner not in COUNTRIES or (asking.purpose is Purpose.SYSTEM_TEST and not own):
        return 0
    if asking.role in INVESTIGATORS:
        return 3 if compatriot else 2
    if asking.role == "data_owner":
        return 3 if own else 0
    if asking.role != "frontline" or held.category in ("victim", "witness"):
        return 0
    return 2 if compatriot or held.category in ("wanted", "missing", "stolen", "lost") else 1


def shown(asking: Asking, held: Held) -> int:
    """As `shown_by_policy`, of what the owner lets others see; of what is not active nothing."""
    policy = shown_by_policy(asking, held)
    if held.owner == asking.entity:
        return policy
    if held.status is not Status.ACTIVE:
        return 0
    admitted = {
        "none": True,
        "not BB-POLICE": asking.entity != "BB-POLICE",
        "AA alone": COUNTRIES[asking.entity] == "AA",
        "south alone": "south" in GROUPS[asking.entity],
        "wanted persons alone": asking.purpose is Purpose.WANTED_PERSON,
    }[held.restriction]
    return min(policy, held.disclosed or 3) if admitted else 0

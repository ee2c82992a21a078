"""The policies that ship, over the real engine, against two oracles: plain words, and Cedar asked per reference.

Method, role, country, purpose, owner, category, owner's limit and status; some 20,000 cases in all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import pytest

from likeness.access.judging import CedarAccess
from likeness.access.rules import LEVEL_ACTIONS
from likeness.access.ruling import question_of
from likeness.domain.access import Action, Level, Principal
from likeness.domain.answers import SearchOptions
from likeness.domain.errors import Denied, NotFound
from likeness.domain.references import Caller, Category, Facets, Purpose, Reference, Restrictions, Status
from likeness.domain.samples import Sample
from likeness.engine.engine import Enrolled, Enrolment, ListQuery
from likeness.store.store import Store
from likeness.testing.vectors import VectorModality
from tests.oracle.access.cases import COUNTRIES, OWNERS, PURPOSES, Asking, Held
from tests.oracle.access.plain import may_call, shown_by_policy
from tests.support import Bench
from tests.unit.access.hub import asked, hub

LIMITS = {
    "none": Restrictions(),
    "not BB-POLICE": Restrictions(denied_entities=frozenset({"BB-POLICE"})),
    "AA alone": Restrictions(permitted_countries=frozenset({"AA"})),
    "hits alone": Restrictions(disclosure=Level.HIT),
}
CALLERS = {
    "aa/cases": ("case_system", "AA-POLICE"),
    "aa/owner": ("data_owner", "AA-BORDER"),
    "aa/gate": ("frontline", "AA-BORDER"),
    "bb/examiner": ("examiner", "BB-POLICE"),
    "bb/supervisor": ("supervisor", "BB-POLICE"),
    "auditor": ("auditor", "BB-POLICE"),
    "operator": ("operator", "AA-POLICE"),
}
PROBE = Sample(b"1,0")


@dataclass(frozen=True)
class Hub:
    """The engine, what is in it, and who judges."""

    bench: Bench
    access: CedarAccess
    made: tuple[Reference, ...]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    home: Path = tmp_path_factory.mktemp("matrix")
    with Store.open(home / "data", key_file=home / "keys.json") as store:
        bench = Bench(VectorModality(), store)
        described = [
            Reference("", "face", Facets(owner, frozenset(), category, status, limit), subject_id="Jane Roe")
            for owner, category, limit, status in product(
                OWNERS, Category, LIMITS.values(), (Status.ACTIVE, Status.SUSPENDED)
            )
        ]
        enrolments = [
            Enrolment(
                Caller(one.facets.owner),
                bench.key(Caller(one.facets.owner)),
                one,
                Sample(b"1,%f" % (n / 2000)),
            )
            for n, one in enumerate(described)
        ]
        enrolled = list(bench.engine.enrol_many(enrolments))
        made = tuple(answer.reference for answer in enrolled if isinstance(answer, Enrolled))
        assert len(made) == len(described)
        yield Hub(bench, hub(home)[0], made)


def due(asking: Asking, facets: Facets) -> int:
    """What is seen of a reference, its owner's limits and its status taken in."""
    entity, policy = asking.entity, shown_by_policy(asking, Held(facets.owner, facets.category))
    if facets.owner == entity:
        return policy
    if facets.status is Status.SUSPENDED:
        return 0
    limit = next(name for name, one in LIMITS.items() if one == facets.restrictions)
    refused = {"not BB-POLICE": entity == "BB-POLICE", "AA alone": COUNTRIES[entity] != "AA"}
    return 0 if refused.get(limit) else min(policy, 1 if limit == "hits alone" else 3)


def by_cedar(access: CedarAccess, caller: Caller, facets: Facets) -> int:
    """How far Cedar lets the levels go, asked about the reference by itself."""
    principal = caller.grant.principal
    known = access.ruling.directory.principals[principal.name]
    question = question_of(asked(principal.name, caller.entity, purpose=caller.purpose), known)
    allowed = 0
    for action in LEVEL_ACTIONS:
        if not access.ruling.engine.decide_about(question, action, facets).allowed:
            break
        allowed += 1
    return allowed


def granted(whole: Hub, name: str, purpose: Purpose, action: Action) -> Caller | None:
    """The caller of a method as a door makes it; None where the call is denied."""
    role, entity = CALLERS[name]
    asking = Asking(role, entity, purpose, frontline=role == "frontline")
    call = asked(f"spiffe://hub.test/{name}", entity, action, purpose=purpose, frontline=asking.frontline)
    try:
        grant = whole.access.judge(call)
    except Denied as error:
        assert not may_call(asking, action)
        assert error.reason == "NOT_PERMITTED_BY_POLICY"
        assert not any(one.reference_id in error.message for one in whole.made)
        return None
    assert may_call(asking, action)
    assert grant.principal == Principal(call.principal.name)
    return replace(call.caller, grant=grant)


def level_of(reference: Reference) -> int:
    return 3 if reference.subject_id else 2


@pytest.mark.parametrize("name", CALLERS)
@pytest.mark.parametrize("purpose", PURPOSES, ids=str)
def test_what_ships_shows_nobody_more_or_less_than_is_due(whole: Hub, name: str, purpose: Purpose) -> None:
    asking = Asking(*CALLERS[name], purpose)
    callers = {action: granted(whole, name, purpose, action) for action in Action}
    expected = {one.reference_id: due(asking, one.facets) for one in whole.made}
    active = {one.reference_id for one in whole.made if one.facets.status is Status.ACTIVE}
    named = {key: level for key, level in expected.items() if level > 1}
    if caller := next(filter(None, callers.values()), None):
        for facets in {replace(one.facets, restrictions=Restrictions()) for one in whole.made}:
            policy = shown_by_policy(asking, Held(facets.owner, facets.category))
            assert by_cedar(whole.access, caller, facets) == policy
            assert caller.grant.disclosure.level(facets) == policy
    if caller := callers[Action.SEARCH]:
        hits = {one.facets.owner for one in whole.made if expected[one.reference_id] == 1}
        for exhaustive in (False, True):
            options = SearchOptions(k=1000, exhaustive=exhaustive, group_by_subject=False)
            answer = whole.bench.engine.search(caller, PROBE, options)
            found = {c.reference.reference_id: level_of(c.reference) for c in answer.probes[0].candidates}
            assert found == {key: level for key, level in named.items() if key in active}
            assert {hit.owner for hit in answer.probes[0].hits} == hits
            assert answer.header.searched == len(found)
            assert answer.header.policy == whole.access.policy
    if caller := callers[Action.LIST]:
        page = whole.bench.engine.list(caller, ListQuery(page_size=1000))
        assert {one.reference_id: level_of(one) for one in page.references} == named
    if caller := callers[Action.GET]:
        for key, level in expected.items():
            assert gotten(whole, caller, key) == (level if level > 1 else 0)


def gotten(whole: Hub, caller: Caller, reference_id: str) -> int:
    try:
        return level_of(whole.bench.engine.get(caller, reference_id))
    except NotFound:
        return 0

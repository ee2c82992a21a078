"""Who learns what of which reference through the real service, against two oracles: plain Python, and Cedar asked
about each reference by itself.

A case is a method, a role, a country, a purpose, a reference with its level, restriction and status, and whether
the method streams. Some 5,000 are asked one by one, each compared with what is due, and those about what the caller
may not know of byte for byte with what is answered of a reference that does not exist. In addition every caller
searches and lists all at once, which is some 15,000 cases more. What is drawn is the same in every run.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import pytest

from likeness.domain.access import Action
from likeness.domain.references import Purpose, Status
from likeness.rpc.convert.enums import category_value
from likeness.testing.vectors import VectorModality
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching
from tests.contract.matrix_calls import ABOUT_ALL, ABOUT_ONE, Target
from tests.contract.matrix_hub import Door, Outcome, hold, serving
from tests.oracle.access import plain
from tests.oracle.access.cases import PURPOSES, ROLES, Asking, Held, every_held
from tests.oracle.access.cedar import CedarOracle

SEED = 20
HELD = 240
"""References, drawn from all combinations of what one may be."""
EACH = 8
"""References that each caller asks about by each method."""
AT_ONCE = 16
"""Calls under way; they share commits."""
FRONTLINE_K = 3

ENTITIES = ("AA-POLICE", "BB-POLICE")
ASKINGS = [
    Asking(role, entity, purpose, frontline=role == "frontline")
    for role, entity, purpose in product(ROLES, ENTITIES, PURPOSES)
]
WORLD = random.Random(SEED).sample(every_held(), HELD)
NEEDS_PURPOSE = {Action.SEARCH, Action.COMPARE}


@dataclass(frozen=True)
class Hub:
    """The service, and where its references are."""

    door: Door
    targets: Mapping[Held, Target]


@dataclass(frozen=True)
class Due:
    """What a call must be answered: the `reason` of its refusal or "", and how much of a reference is seen by it: 0
    nothing, 1 that its owner holds something, 2 a candidate, 3 all."""

    reason: str
    level: int = 0


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with serving(tmp_path_factory.mktemp("matrix"), VectorModality()) as (served, _):
        targets = hold(served.composition.engines["face"], WORLD)
        door = Door(served.address)
        yield Hub(door, targets)
        door.close()


def drawn(asking: Asking, method: str) -> Sequence[Held]:
    """What a caller asks about by a method."""
    return random.Random(f"{SEED} {asking} {method}").sample(WORLD, EACH)


def refused(asking: Asking, action: Action) -> str:
    """The reason why a call is refused whatever it is about, or ""."""
    if action in NEEDS_PURPOSE and asking.purpose is Purpose.UNSPECIFIED:
        return "PURPOSE_REQUIRED"
    return "" if plain.may_call(asking, action) else "NOT_PERMITTED_BY_POLICY"


def due(asking: Asking, method: str, held: Held) -> Due:
    """What a call about one reference must be answered."""
    action = ABOUT_ONE[method][0]
    if reason := refused(asking, action):
        return Due(reason)
    if action is Action.ENROLL:
        return Due("REQUEST_ID_REUSED" if held.owner == asking.entity else "QUALITY_TOO_LOW")
    level = plain.shown(asking, held)
    if action is Action.SEARCH:
        return Due("", level if held.status is Status.ACTIVE else 0)
    if action is Action.LIST:
        return Due("", level if level > 1 else 0)
    return _due_by_id(asking, action, held, level)


def _due_by_id(asking: Asking, action: Action, held: Held, level: int) -> Due:
    if level < 2:
        return Due("NOT_FOUND")
    changes = action in (Action.UPDATE, Action.EXPUNGE)
    if changes and held.owner != asking.entity:
        return Due("NOT_THE_OWNER")
    gone = changes and held.status is Status.EXPUNGED
    unused = action is Action.COMPARE and held.status is not Status.ACTIVE
    return Due("NOT_FOUND") if gone or unused else Due("", level)


def is_concealed(asking: Asking, method: str, held: Held) -> bool:
    """Whether the answer must be that of a reference that does not exist."""
    action = ABOUT_ONE[method][0]
    if action is Action.ENROLL:
        return held.owner != asking.entity or bool(refused(asking, action))
    most = 0 if action is Action.SEARCH else 1
    return bool(refused(asking, action)) or plain.shown(asking, held) <= most


def test_the_oracles_agree_on_every_caller_and_reference() -> None:
    cedar = CedarOracle(WORLD)
    for asking in ASKINGS:
        calls = {action: plain.may_call(asking, action) for action in Action}
        assert calls == {action: cedar.may_call(asking, action) for action in Action}, asking
        for held in WORLD:
            assert plain.shown(asking, held) == cedar.shown(asking, held), (asking, held)


def test_there_are_enough_cases_and_every_outcome_is_among_them() -> None:
    cases = [(a, method, held) for a in ASKINGS for method in ABOUT_ONE for held in drawn(a, method)]
    assert len(set(cases)) >= 5000
    met = Counter((method, due(asking, method, held)) for asking, method, held in cases)
    everywhere = {Due("NOT_PERMITTED_BY_POLICY")}
    by_id = {*everywhere, Due("NOT_FOUND"), Due("", 3)}
    expected = {
        "Get": {*by_id, Due("", 2)},
        "Update": {*by_id, Due("NOT_THE_OWNER")},
        "Expunge": {*by_id, Due("NOT_THE_OWNER")},
        "Compare": {*by_id, Due("", 2), Due("PURPOSE_REQUIRED")},
        "List": {*everywhere, *(Due("", level) for level in (0, 2, 3))},
        "Enroll": {*everywhere, Due("REQUEST_ID_REUSED"), Due("QUALITY_TOO_LOW")},
    }
    searched = {*everywhere, Due("PURPOSE_REQUIRED"), *(Due("", level) for level in range(4))}
    expected |= {"EnrollMany": expected["Enroll"], "Search": searched, "SearchWithProgress": searched}
    for method, outcomes in expected.items():
        assert {one for name, one in met if name == method} == outcomes, method


@pytest.mark.parametrize("method", ABOUT_ALL)
def test_all_at_once_shows_nobody_more_or_less_than_is_due(matrix: Hub, method: str) -> None:
    action, call = ABOUT_ALL[method]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = pool.map(lambda asking: matrix.door.ask(asking, call), ASKINGS)
        for asking, outcome in zip(ASKINGS, outcomes, strict=True):
            assert outcome.reason == refused(asking, action), asking
            if outcome.reason or action is Action.ANALYZE:
                assert not any(
                    one.reference_id.encode() in outcome.content for one in matrix.targets.values()
                )
            elif action is Action.LIST:
                (page,) = outcome.answers
                assert isinstance(page, matching.ListResponse)
                _check_list(matrix, asking, page)
            else:
                _check_search(matrix, asking, outcome)


def _check_list(matrix: Hub, asking: Asking, page: matching.ListResponse) -> None:
    levels = {held: plain.shown(asking, held) for held in WORLD}
    shown = [held for held in WORLD if levels[held] > 1]
    assert [r.reference_id for r in page.references] == [matrix.targets[held].reference_id for held in shown]
    assert not page.next_page_token
    for held, reference in zip(shown, page.references, strict=True):
        _check_reference(matrix, asking, held, reference)


def _check_search(matrix: Hub, asking: Asking, outcome: Outcome) -> None:
    levels = {held: plain.shown(asking, held) for held in WORLD if held.status is Status.ACTIVE}
    named = [held for held, level in levels.items() if level > 1]
    (response,) = outcome.answers
    assert isinstance(response, matching.SearchResponse)
    (answer,) = response.answers
    expected = named[:FRONTLINE_K] if asking.frontline else named
    found = [candidate.reference for candidate in answer.candidates]
    assert [one.reference_id for one in found] == [matrix.targets[held].reference_id for held in expected]
    assert [candidate.rank for candidate in answer.candidates] == list(range(1, len(expected) + 1))
    assert response.header.searched == len(named)
    assert response.header.coverage == 1
    assert [hit.owner for hit in answer.hits] == sorted(
        {h.owner for h, level in levels.items() if level == 1}
    )
    for held, reference in zip(expected, found, strict=True):
        _check_reference(matrix, asking, held, reference)


def _check_reference(matrix: Hub, asking: Asking, held: Held, reference: common.Reference) -> None:
    """Exactly as much of a reference as is due."""
    target, stated = matrix.targets[held], reference.metadata
    assert reference.reference_id == target.reference_id
    if plain.shown(asking, held) == 2:
        assert reference == common.Reference(
            reference_id=target.reference_id,
            modality=common.MODALITY_FACE,
            metadata=common.ReferenceMetadata(owner=held.owner, category=category_value(held.category)),
            level=common.LEVEL_CANDIDATE,
        )
        return
    assert reference.level == common.LEVEL_FULL
    assert list(stated.galleries) == [target.gallery]
    assert stated.subject_id == ("" if held.status is Status.EXPUNGED else f"subject {target.number}")
    limited = stated.restrictions != common.Restrictions()
    assert limited == (held.owner == asking.entity and (held.restriction, held.disclosed) != ("none", None))


@pytest.mark.parametrize("method", ABOUT_ONE)
def test_every_case_is_answered_as_is_due(matrix: Hub, method: str) -> None:
    _, call = ABOUT_ONE[method]
    asked = [(asking, held) for asking in ASKINGS for held in _repeatable(asking, method)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        nothing = dict(zip(ASKINGS, pool.map(lambda a: matrix.door.ask(a, call), ASKINGS), strict=True))
        outcomes = pool.map(lambda case: matrix.door.ask(case[0], call, matrix.targets[case[1]]), asked)
        for (asking, held), outcome in zip(asked, outcomes, strict=True):
            expected = due(asking, method, held)
            assert outcome.reason == expected.reason, (asking, held)
            if is_concealed(asking, method, held):
                assert outcome.content == nothing[asking].content, (asking, held)
            if not outcome.reason:
                _check_one(matrix, asking, held, expected.level, outcome)
    if method == "Expunge":
        _check_expunging(matrix)


def _repeatable(asking: Asking, method: str) -> Iterator[Held]:
    """What is drawn, apart from what its owner would erase, which changes what others are answered."""
    for held in drawn(asking, method):
        if method != "Expunge" or due(asking, method, held).reason:
            yield held


def _check_expunging(matrix: Hub) -> None:
    """Owners may erase what is theirs, once."""
    by_held = {
        held: asking
        for asking in ASKINGS
        for held in drawn(asking, "Expunge")
        if not due(asking, "Expunge", held).reason
    }
    for held, asking in by_held.items():
        target, call = matrix.targets[held], ABOUT_ONE["Expunge"][1]
        assert matrix.door.ask(asking, call, target).reason == ""
        assert matrix.door.ask(asking, ABOUT_ONE["Update"][1], target).reason == "NOT_FOUND"


def _check_one(matrix: Hub, asking: Asking, held: Held, level: int, outcome: Outcome) -> None:
    """What is answered about one reference."""
    (answer,) = outcome.answers
    if isinstance(answer, matching.GetResponse | matching.UpdateResponse):
        _check_reference(matrix, asking, held, answer.reference)
    elif isinstance(answer, matching.CompareResponse):
        assert bool(answer.score.parts) == (level == 3)
    elif isinstance(answer, matching.ListResponse):
        assert len(answer.references) == (level > 1)
        for reference in answer.references:
            _check_reference(matrix, asking, held, reference)
    elif isinstance(answer, matching.SearchResponse):
        (found,) = answer.answers
        assert answer.header.searched == len(found.candidates) == (level > 1)
        assert [hit.owner for hit in found.hits] == [held.owner] * (level == 1)
        known = plain.shown(asking, held) > 1 and held.status is not Status.EXPUNGED
        assert list(answer.header.unknown_galleries) == [matrix.targets[held].gallery] * (not known)
        for candidate in found.candidates:
            _check_reference(matrix, asking, held, candidate.reference)
    else:
        assert isinstance(answer, matching.ExpungeResponse)

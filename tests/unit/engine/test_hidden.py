"""What a caller may not know of costs nothing that can be seen: counted in steps of the database, not in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from likeness.domain.access import Grant, Level
from likeness.domain.answers import SearchOptions
from likeness.domain.deadline import Deadline
from likeness.domain.errors import DeadlineExceeded, NotFound
from likeness.domain.ids import new_id
from likeness.domain.references import Caller, Facets, Purpose, Restrictions, Status
from likeness.domain.samples import Sample
from likeness.domain.scope import Scope
from likeness.engine.engine import ListQuery
from likeness.telemetry import metrics
from tests.steps import Steps, counting, settle
from tests.support import ALICE, BOB, Bench, ByOwner

MANY = 60
CLOSED: list[dict[str, Any]] = [
    {"restrictions": Restrictions(permitted_entities=frozenset({"NCB-ZZ"}))},
    {"restrictions": Restrictions(permitted_purposes=frozenset({Purpose.CRIMINAL_INVESTIGATION}))},
    {"status": Status.SUSPENDED},
]
QUERIES = [
    ListQuery(),
    ListQuery(galleries=frozenset({"wanted"})),
    ListQuery(owners=frozenset({"NCB-AA"})),
    ListQuery(statuses=frozenset(Status), page_size=2),
    ListQuery(statuses=frozenset({Status.EXPUNGED}), galleries=frozenset({"wanted"})),
]


def shown(bench: Bench, query: ListQuery) -> list[str]:
    return [r.reference_id for r in bench.engine.list(BOB, query).references]


def hide(bench: Bench) -> list[str]:
    """Enrol what Bob may not know of, and expunge a third of it."""
    made = [
        bench.enrol("1,0", ALICE, galleries=frozenset({"wanted"}), **CLOSED[n % len(CLOSED)]).reference
        for n in range(MANY)
    ]
    for reference in made[::3]:
        key = bench.key(ALICE)
        bench.engine.expunge(ALICE, key, reference.reference_id, reason="")
    return [reference.reference_id for reference in made]


@pytest.mark.parametrize("query", QUERIES)
def test_a_list_reads_no_row_that_it_does_not_show(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, query: ListQuery
) -> None:
    open_to_all = [bench.enrol("0,1", galleries=frozenset({"wanted"})).reference for _ in range(3)]
    own = [bench.enrol("0,1", BOB, galleries=frozenset({"wanted"})).reference for _ in range(3)]
    bench.engine.expunge(BOB, bench.key(BOB), own[0].reference_id, reason="")
    with counting(bench.store, monkeypatch) as before:
        expected = shown(bench, query)
    hide(bench)
    with counting(bench.store, monkeypatch) as after:
        assert shown(bench, query) == expected
    assert after.reads == before.reads
    assert before.rows
    assert open_to_all


def test_a_reference_that_is_hidden_costs_as_much_as_none(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = hide(bench)[1]
    counts = []
    for reference_id in (hidden, new_id(), "a case number", hidden.upper()):
        with counting(bench.store, monkeypatch) as steps:
            with pytest.raises(NotFound):
                bench.engine.get(BOB, reference_id)
            with pytest.raises(NotFound):
                bench.engine.compare(BOB, reference_id, reference_id)
        counts.append(steps.rows)
    assert counts == [0, 0, 0, 0]


def test_another_owners_tombstone_is_not_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = bench.enrol("1,0").reference.reference_id
    bench.engine.expunge(ALICE, bench.key(ALICE), gone, reason="")
    with counting(bench.store, monkeypatch) as steps, pytest.raises(NotFound):
        bench.engine.get(BOB, gone)
    assert steps.rows == 0
    assert bench.engine.get(ALICE, gone).facets.status is Status.EXPUNGED


def test_an_owner_reaches_its_reference_whatever_the_state_of_the_index(bench: Bench) -> None:
    reference_id = bench.enrol("1,0").reference.reference_id
    bench.gallery.register.remove(reference_id)
    assert bench.engine.get(ALICE, reference_id).reference_id == reference_id
    bench.engine.expunge(ALICE, bench.key(ALICE), reference_id, reason="")
    with pytest.raises(NotFound):
        bench.engine.get(BOB, reference_id)


def test_pages_join_over_references_tombstones_and_other_template_spaces(bench: Bench) -> None:
    made = [bench.enrol("0,1", ALICE if n % 2 else BOB).reference.reference_id for n in range(9)]
    bench.engine.expunge(ALICE, bench.key(ALICE), made[3], reason="")  # Alice's tombstone
    bench.engine.expunge(BOB, bench.key(BOB), made[4], reason="")
    seen, token = list[str](), ""
    while True:
        query = ListQuery(statuses=frozenset(Status), page_size=2, page_token=token)
        page = bench.engine.list(BOB, query)
        seen += [r.reference_id for r in page.references]
        token = page.next_token
        if not token:
            break
    assert seen == [name for n, name in enumerate(made) if n != 3]


def test_a_list_ends_with_its_deadline(bench: Bench) -> None:
    bench.enrol("1,0")
    with pytest.raises(DeadlineExceeded):
        bench.engine.list(ALICE, ListQuery(), deadline=Deadline(0.0))


@pytest.mark.parametrize("owner", [ALICE, BOB])
def test_the_same_is_done_for_what_is_hidden_as_for_what_is_not_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, owner: Caller
) -> None:
    """Also of the caller's own, where the policy hides it from its staff."""
    clerk = replace(BOB, grant=Grant(disclosure=ByOwner({"NCB-AA": Level.HIT, "NCB-BB": Level.HIDDEN})))
    hidden = bench.enrol("1,0", owner).reference

    def counted(reference_id: str) -> tuple[Steps, list[str]]:
        described = replace(hidden, reference_id=reference_id, facets=Facets("NCB-BB"))
        key = bench.key(BOB)
        calls: list[Callable[[], object]] = [
            lambda: bench.engine.get(clerk, reference_id),
            lambda: bench.engine.update(clerk, key, described),
            lambda: bench.engine.expunge(clerk, key, reference_id, reason=""),
            lambda: bench.engine.compare(clerk, reference_id, reference_id),
        ]
        messages = []
        with counting(bench.store, monkeypatch) as steps:
            for call in calls:
                with pytest.raises(NotFound) as caught:
                    call()
                messages.append(caught.value.message.replace(reference_id, "ID"))
        return steps, messages

    settle(bench.store)
    assert counted(hidden.reference_id) == counted(new_id())


class Counted(ByOwner):
    """Counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__({"NCB-AA": Level.HIDDEN})
        self.asked = 0

    def level(self, facets: Facets) -> Level:
        self.asked += 1
        return super().level(facets)


def test_what_is_not_there_is_judged_as_often_as_what_is_hidden(bench: Bench) -> None:
    hidden = bench.enrol("1,0").reference
    counts = []
    for reference_id in (hidden.reference_id, new_id()):
        disclosure = Counted()
        clerk = replace(BOB, grant=Grant(disclosure=disclosure))
        described = replace(hidden, reference_id=reference_id, facets=Facets("NCB-BB"))
        calls: list[Callable[[], object]] = [
            partial(bench.engine.get, clerk, reference_id),
            partial(bench.engine.update, clerk, bench.key(BOB), described),
            partial(bench.engine.expunge, clerk, bench.key(BOB), reference_id, reason=""),
            partial(bench.engine.compare, clerk, reference_id, reference_id),
        ]
        for call in calls:
            with pytest.raises(NotFound):
                call()
        counts.append(disclosure.asked)
    assert counts[0] == counts[1] == len(calls)


def test_a_filter_is_asked_about_as_many_where_much_is_hidden_as_where_nothing_is(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each hidden one in a gallery of its own, so that no two are alike in what filters look at."""
    disclosure, asked = Counted(), [0]
    clerk = replace(BOB, grant=Grant(disclosure=disclosure))
    matches = Scope.matches

    def counted(scope: Scope, facets: Facets) -> bool:
        asked[0] += 1
        return matches(scope, facets)

    monkeypatch.setattr(Scope, "matches", counted)
    shown = bench.enrol("0,1", BOB, galleries=frozenset({"wanted"})).reference.reference_id

    def work(*galleries: str) -> tuple[int, int]:
        """Filters and rights asked about references that a scope asked about for the first time costs."""
        before = asked[0], disclosure.asked
        assert bench.search("0,1", clerk, galleries=frozenset(galleries)) == [shown] * ("wanted" in galleries)
        query = ListQuery(galleries=frozenset(galleries))
        listed = bench.engine.list(clerk, query).references
        assert [r.reference_id for r in listed] == [shown] * ("wanted" in galleries)
        return asked[0] - before[0], disclosure.asked - before[1]

    work("any")
    without = work("wanted", "a"), work("case-1")
    for number in range(40):
        bench.enrol("1,0", galleries=frozenset({f"case-{number}"}))
    bench.search("0,1", clerk)  # what is new is judged once
    bench.engine.list(clerk, ListQuery())
    assert (work("wanted", "b"), work("case-2")) == without
    assert min(without) > (0, 0)


def test_stages_are_observed_and_not_answered_where_a_policy_judges(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    observed = set[str]()
    stage = metrics.stage

    def counted(modality: str, name: str) -> Any:
        observed.add(name)
        return stage(modality, name)

    monkeypatch.setattr(metrics, "stage", counted)
    bench.enrol("1,0")
    judged = replace(ALICE, grant=replace(ALICE.grant, policy="c0ffee"))
    for caller, answered in ((judged, False), (ALICE, True)):
        found = bench.engine.search(caller, Sample(b"1,0"), SearchOptions()).header.timings
        assert set(found) == (observed if answered else set())
        assert {"search", "compare", "audit"} <= observed
        observed.clear()
        compared = bench.engine.compare(caller, Sample(b"1,0"), Sample(b"0,1")).header.timings
        assert set(compared) == (observed if answered else set())
        assert {"compare", "audit"} <= observed
        observed.clear()

"""How much of a reference a caller is shown: in searches, by identifier, in lists, in the answers of writes."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from likeness.domain.access import Grant, Level
from likeness.domain.answers import Hit, ProbeAnswer, SearchOptions
from likeness.domain.audit import AuditShown
from likeness.domain.errors import Denied, NotFound, Precondition
from likeness.domain.references import (
    Caller,
    Category,
    Facets,
    MetadataField,
    Reference,
    Restrictions,
    Status,
)
from likeness.domain.samples import Sample
from likeness.domain.scope import Scope, level
from likeness.engine.engine import ListQuery
from likeness.engine.hits import hit_threshold
from likeness.store.store import Store
from likeness.testing import vectors
from likeness.testing.vectors import VectorModality, calibration
from tests.support import ALICE, BOB, Bench, ByOwner

CAROL = Caller("NCB-CC", BOB.purpose)
CLOSE, FAR = "1,0.1", "0,1"
PROBE = "1,0"
"""With CLOSE it scores .995 and with FAR 0; the calibration's lowest rate is that of .9."""


@dataclass(frozen=True, slots=True)
class OnlyWanted:
    """Shows whoever is wanted in full, and nothing else."""

    def level(self, facets: Facets) -> Level:
        return Level.FULL if facets.category is Category.WANTED else Level.HIDDEN


def shown(caller: Caller, **levels: Level) -> Caller:
    """The caller, judged: owners by the last two letters of their names."""
    return replace(
        caller, grant=Grant(disclosure=ByOwner({f"NCB-{name}": level for name, level in levels.items()}))
    )


def answered(bench: Bench, caller: Caller, text: str = PROBE, **options: Any) -> ProbeAnswer:
    (probe,) = bench.engine.search(caller, Sample(text.encode()), SearchOptions(**options)).probes
    return probe


def ids(probe: ProbeAnswer) -> list[str]:
    return [candidate.reference.reference_id for candidate in probe.candidates]


def limited(disclosure: Level | None) -> Restrictions:
    return Restrictions(disclosure=disclosure)


# -- which level it is ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_owner", [None, Level.HIT, Level.CANDIDATE, Level.FULL])
@pytest.mark.parametrize("by_policy", list(Level))
def test_it_is_the_lower_of_what_policy_and_owner_show(by_policy: Level, by_owner: Level | None) -> None:
    facets = Facets("NCB-AA", restrictions=limited(by_owner))
    assert level(shown(BOB, AA=by_policy), facets) == min(by_policy, by_owner or Level.FULL)
    assert level(shown(ALICE, AA=by_policy), facets) is by_policy


def test_a_scope_with_its_grant_crosses_to_another_process() -> None:
    scope = Scope(shown(BOB, AA=Level.HIT)).hit_only
    copied = pickle.loads(pickle.dumps(scope))  # noqa: S301
    assert copied == scope
    assert copied.key == scope.key
    assert copied.key != Scope(BOB).hit_only.key


# -- searches ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exhaustive", [False, True])
def test_a_hit_names_each_owner_once_and_is_no_candidate(bench: Bench, exhaustive: bool) -> None:
    for number in range(3):
        bench.enrol(f"1,0.{number}", restrictions=limited(Level.HIT))
    bench.enrol(CLOSE, CAROL, restrictions=limited(Level.HIT))
    mine = bench.enrol("1,0.3", BOB).reference.reference_id
    probe = answered(bench, BOB, exhaustive=exhaustive)
    assert ids(probe) == [mine]
    assert probe.candidates[0].rank == 1
    assert probe.hits == (Hit("NCB-AA", "face"), Hit("NCB-CC", "face"))


def test_a_hit_resembles_the_probe(bench: Bench) -> None:
    bench.enrol(FAR, restrictions=limited(Level.HIT))
    assert answered(bench, BOB).hits == ()


def test_hits_are_in_scope(bench: Bench) -> None:
    bench.enrol(CLOSE, restrictions=limited(Level.HIT), galleries=frozenset({"wanted"}))
    bench.enrol(CLOSE, CAROL, restrictions=limited(Level.HIT), status=Status.SUSPENDED)
    denied = Restrictions(disclosure=Level.HIT, denied_entities=frozenset({"NCB-BB"}))
    bench.enrol(CLOSE, Caller("NCB-DD"), restrictions=denied)
    assert answered(bench, BOB).hits == (Hit("NCB-AA", "face"),)
    assert answered(bench, BOB, galleries=frozenset({"missing"})).hits == ()


def test_nobody_is_named_where_scores_cannot_be_rated(store: Store) -> None:
    bench = Bench(VectorModality(calibrated=False), store)
    bench.enrol(CLOSE, restrictions=limited(Level.HIT))
    assert answered(bench, BOB).hits == ()


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("exhaustive", [False, True])
def test_what_is_only_a_hit_changes_nothing_else_of_an_answer(bench: Bench, exhaustive: bool, k: int) -> None:
    for number in range(5):
        bench.enrol(f"1,0.{5 + number}", CAROL)

    def answer() -> Any:
        found = bench.engine.search(BOB, Sample(PROBE.encode()), SearchOptions(k=k, exhaustive=exhaustive))
        header = found.header
        return found.probes[0].candidates, header.searched, header.coverage, header.unknown_galleries

    before = answer()
    for number in range(80):
        bench.enrol(f"1,0.0{number}", restrictions=limited(Level.HIT))
    assert answer() == before


def test_a_gallery_of_hits_alone_is_unknown(bench: Bench) -> None:
    bench.enrol(FAR, restrictions=limited(Level.HIT), galleries=frozenset({"wanted"}))
    options = SearchOptions(galleries=frozenset({"wanted"}))
    header = bench.engine.search(BOB, Sample(PROBE.encode()), options).header
    assert header.unknown_galleries == ("wanted",)
    assert (header.searched, header.coverage) == (0, 0.0)


def test_of_max_fmr_only_the_power_of_ten_below_counts_for_hits() -> None:
    table = replace_rates(1e-7)
    assert hit_threshold(table, None) == table.threshold(1e-4)
    assert hit_threshold(table, 0.5) == table.threshold(1e-4)
    for digit in range(1, 10):
        assert hit_threshold(table, digit * 1e-5) == table.threshold(1e-5)
    assert hit_threshold(table, 1e-7) == table.threshold(1e-7)
    assert hit_threshold(calibration(), None) == calibration().threshold(1e-3)


def replace_rates(floor: float) -> Any:
    table = calibration()
    rates = [1.0, 1e-2, 1e-3, 1e-5, floor]
    return replace(table, fmr=table.fmr * 0 + rates)


# -- candidates -------------------------------------------------------------------------------------------------


def described(bench: Bench, **facets: Any) -> Reference:
    return bench.enrol(
        CLOSE, category=Category.WANTED, galleries=frozenset({"wanted"}), subject="Jane Roe", **facets
    ).reference


def bare(reference: Reference) -> Reference:
    """What is left of a reference at the level of a candidate."""
    facets = Facets(reference.facets.owner, category=reference.facets.category)
    return Reference(reference.reference_id, reference.modality, facets, level=Level.CANDIDATE)


def test_a_candidate_has_its_identifier_owner_category_and_score_alone(bench: Bench) -> None:
    reference = described(bench, restrictions=limited(Level.CANDIDATE))
    (candidate,) = answered(bench, BOB).candidates
    assert candidate.reference == bare(reference)
    assert candidate.score.value == pytest.approx(0.995, abs=1e-3)
    assert candidate.score.parts == {}
    assert bench.engine.get(BOB, reference.reference_id) == bare(reference)
    assert bench.engine.list(BOB, ListQuery()).references == (bare(reference),)
    assert bench.engine.compare(BOB, Sample(b"1,0"), reference.reference_id).score.parts == {}
    whole = bench.engine.get(ALICE, reference.reference_id)
    assert (whole.subject_id, whole.level) == ("Jane Roe", Level.FULL)


def test_grouping_does_not_tell_whose_a_candidate_is(bench: Bench) -> None:
    whole = [described(bench).reference_id for _ in range(2)]
    part = [described(bench, restrictions=limited(Level.CANDIDATE)).reference_id for _ in range(2)]
    probe = answered(bench, BOB, group_by_subject=True)
    assert sorted(ids(probe)) == sorted([whole[0], *part])
    assert [candidate.further for candidate in probe.candidates if candidate.further] == [(whole[1],)]


def test_no_picture_is_made_of_what_is_not_shown_in_full(store: Store) -> None:
    bench = Bench(VectorModality(), store, keep_sources=True)
    reference_id = described(bench, restrictions=limited(Level.CANDIDATE)).reference_id
    before = store.audit_head()
    for sides in ((Sample(b"1,0"), reference_id), (reference_id, Sample(b"1,0"))):
        with pytest.raises(Denied) as refused:
            bench.engine.compare(BOB, *sides, explain=True)
        assert refused.value.reason == "NO_PICTURE_AT_THIS_LEVEL"
    assert store.audit_head() == before
    assert bench.engine.compare(ALICE, Sample(b"1,0"), reference_id, explain=True).explanation


def test_the_space_of_what_is_not_shown_in_full_is_not_named(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference_id = described(bench, restrictions=limited(Level.CANDIDATE)).reference_id
    monkeypatch.setattr(vectors, "SPACE", "later/2")
    for caller, named in ((ALICE, True), (BOB, False)):
        for sides in ((Sample(b"1,0"), reference_id), (reference_id, Sample(b"1,0"))):
            with pytest.raises(Precondition) as refused:
                bench.engine.compare(caller, *sides)
            assert refused.value.reason == "TEMPLATE_SPACE_MISMATCH"
            words = f"{refused.value.message} {refused.value.metadata}"
            assert [space in words for space in ("test-vectors/1", "later/2")] == [named, named]


# -- what only a hit may tell of --------------------------------------------------------------------------------


def test_what_is_only_a_hit_is_not_there_by_its_identifier(bench: Bench) -> None:
    reference_id = described(bench, restrictions=limited(Level.HIT)).reference_id
    with pytest.raises(NotFound):
        bench.engine.get(BOB, reference_id)
    with pytest.raises(NotFound):
        bench.engine.compare(BOB, reference_id, Sample(b"1,0"))
    with pytest.raises(NotFound):
        bench.engine.expunge(BOB, bench.key(BOB), reference_id, reason="")
    assert bench.engine.list(BOB, ListQuery()).references == ()
    assert bench.engine.get(ALICE, reference_id).subject_id == "Jane Roe"


def test_the_record_has_the_references_behind_a_hit(bench: Bench) -> None:
    reference_id = described(bench, restrictions=limited(Level.HIT)).reference_id
    header = bench.engine.search(BOB, Sample(PROBE.encode()), SearchOptions()).header
    (entry,) = entries(bench, header.audit_position)
    assert entry.shown == (AuditShown("NCB-AA", Level.HIT, (reference_id,)),)
    assert entry.candidates == ()


def entries(bench: Bench, position: int) -> Iterable[Any]:
    return [record.entry for record in bench.store.audit_entries(position - 1, 1)]


# -- the owner's own staff --------------------------------------------------------------------------------------


def test_the_staff_of_an_owner_sees_what_the_policy_shows(bench: Bench) -> None:
    reference = described(bench, restrictions=limited(Level.HIT))
    clerk = shown(ALICE, AA=Level.CANDIDATE)
    assert bench.engine.get(clerk, reference.reference_id) == bare(reference)
    with pytest.raises(NotFound):
        bench.engine.get(shown(ALICE, AA=Level.HIT), reference.reference_id)


def test_staff_is_listed_the_tombstones_that_the_policy_shows(bench: Bench) -> None:
    kinds = [Category.WANTED, Category.MISSING, Category.MISSING, Category.MISSING, Category.WANTED]
    expunged = [bench.enrol(CLOSE, category=kind).reference for kind in kinds]
    for one in expunged:
        bench.engine.expunge(ALICE, bench.key(ALICE), one.reference_id, reason="")
    query = ListQuery(statuses=frozenset({Status.EXPUNGED}), page_size=1)

    def listed(caller: Caller) -> list[str]:
        found, token = list[str](), ""
        while True:
            page = bench.engine.list(caller, replace(query, page_token=token))
            found += [one.reference_id for one in page.references]
            token = page.next_token
            if not token:
                return found

    ids = [one.reference_id for one in expunged]
    assert listed(ALICE) == ids
    assert listed(shown(ALICE, AA=Level.HIDDEN)) == []
    only_wanted = replace(ALICE, grant=replace(ALICE.grant, disclosure=OnlyWanted()))
    assert listed(only_wanted) == [ids[0], ids[4]]


def test_an_update_by_staff_that_sees_little_loses_nothing_and_shows_no_more(bench: Bench) -> None:
    reference = described(bench)
    clerk = shown(ALICE, AA=Level.CANDIDATE)
    changed = replace(reference, facets=replace(reference.facets, category=Category.MISSING), subject_id="")
    fields = frozenset({MetadataField.CATEGORY})
    answer, _ = bench.engine.update(clerk, bench.key(clerk), changed, fields=fields)
    assert answer == bare(changed)
    whole = bench.engine.get(ALICE, reference.reference_id)
    assert (whole.subject_id, whole.facets.category) == ("Jane Roe", Category.MISSING)
    assert whole.facets.galleries == frozenset({"wanted"})


def test_an_enrolment_that_is_repeated_shows_no_more(bench: Bench) -> None:
    reference = bench.enrol(CLOSE, request_id="r-1", subject="Jane Roe").reference
    again = bench.enrol(CLOSE, shown(ALICE, AA=Level.CANDIDATE), request_id="r-1", subject="")
    assert again.receipt.replayed
    assert again.reference == bare(reference)

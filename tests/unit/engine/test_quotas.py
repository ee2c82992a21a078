"""Quotas where a policy judges calls: of a principal, a subject and a probe, and an attack that they end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from likeness.domain.access import Grant, Level, Principal
from likeness.domain.answers import Candidate, SearchOptions
from likeness.domain.errors import NotFound
from likeness.domain.quotas import DAY, Charge, QuotaLimits, QuotaReached
from likeness.domain.references import Caller, Restrictions
from likeness.domain.samples import Sample, Template
from likeness.engine.engine import Engine
from likeness.engine.sketch import AGREEING, BANDS, Sketcher
from likeness.store.store import Store
from likeness.telemetry import metrics
from likeness.testing.vectors import DIMENSION, SPACE, VectorModality, calibration
from tests.support import ALICE, BOB, Bench

JUDGED = replace(BOB, grant=Grant(principal=Principal("spiffe://hub/case-system"), policy="c0ffee"))
TARGET = "0.1,-0.6,0.3,0.5,-0.2,0.4,-0.1,0.3"


def aimed_at() -> np.ndarray:
    """The target, of length 1."""
    target = np.array([float(x) for x in TARGET.split(",")])
    target /= np.linalg.norm(target)
    return target


@pytest.fixture(autouse=True)
def one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """No window ends within a test."""
    ends = (int(time.time()) // DAY + 2) * DAY
    monkeypatch.setattr(Charge, "ends", lambda *_: ends)


def limited(bench: Bench, **limits: Any) -> Engine:
    """The engine of a bench with other limits, as another process would have it."""
    return Engine(bench.engine.modality, bench.store, bench.shard, bench.memory, limits=QuotaLimits(**limits))


def sample(vector: np.ndarray) -> Sample:
    return Sample(",".join(f"{x:.6f}" for x in vector).encode())


def best(engine: Engine, probe: Sample, caller: Caller = JUDGED, **options: Any) -> Candidate | None:
    (answer,) = engine.search(caller, probe, SearchOptions(**options)).probes
    return answer.candidates[0] if answer.candidates else None


def refused(engine: Engine, probe: Sample, caller: Caller = JUDGED) -> str:
    """The reason why a search is refused; empty where it is answered."""
    try:
        engine.search(caller, probe, SearchOptions())
    except QuotaReached as reached:
        return reached.reason
    return ""


def spread(count: int) -> list[Sample]:
    """Probes that resemble neither each other nor the target."""
    return [sample(v) for v in np.random.default_rng(5).standard_normal((count, DIMENSION))]


# -- of a principal ---------------------------------------------------------------------------------------------


def test_a_principal_makes_so_many_searches_and_comparisons_an_hour(bench: Bench) -> None:
    reference = bench.enrol(TARGET).reference.reference_id
    engine = limited(bench, hour=5)
    probes = spread(5)
    assert [refused(engine, probe) for probe in probes[:4]] == [""] * 4
    engine.compare(JUDGED, probes[4], reference)
    assert refused(engine, probes[0]) == "QUOTA_OF_PRINCIPAL"
    with pytest.raises(QuotaReached):
        engine.compare(JUDGED, probes[0], reference)


def test_a_day_ends_what_an_hour_would_let_pass_and_every_process_counts(bench: Bench) -> None:
    first, second = limited(bench, day=3), limited(bench, day=3)
    probes = spread(4)
    assert [refused(engine, probe) for engine, probe in zip((first, second) * 2, probes, strict=True)] == [
        *("",) * 3,
        "QUOTA_OF_PRINCIPAL",
    ]


@pytest.mark.parametrize(
    "other",
    [
        replace(JUDGED, grant=replace(JUDGED.grant, principal=Principal("spiffe://hub/other"))),
        replace(JUDGED, grant=replace(JUDGED.grant, principal=Principal(JUDGED.grant.principal.name, "me"))),
        replace(JUDGED, grant=replace(JUDGED.grant, principal=Principal())),
    ],
    ids=["another certificate", "a person", "nobody proven"],
)
def test_another_principal_has_a_quota_of_its_own_and_another_entity_of_the_same_has_not(
    bench: Bench, other: Caller
) -> None:
    engine = limited(bench, hour=1)
    one, two, three = spread(3)
    assert refused(engine, one) == ""
    assert refused(engine, two, replace(JUDGED, entity="NCB-ZZ")) == "QUOTA_OF_PRINCIPAL"
    assert refused(engine, three, other) == ""


def test_a_refusal_leaves_no_entry_and_computes_nothing_once_it_is_known(bench: Bench) -> None:
    engine = limited(bench, hour=1)
    one, two = spread(2)
    engine.search(JUDGED, one, SearchOptions())
    before = bench.store.audit_head()
    assert refused(engine, two) == "QUOTA_OF_PRINCIPAL"
    extract, engine.modality.extract = engine.modality.extract, None  # type: ignore[assignment,method-assign]
    assert refused(engine, two) == "QUOTA_OF_PRINCIPAL"
    engine.modality.extract = extract  # type: ignore[method-assign]
    assert bench.store.audit_head() == before


def test_of_several_roles_the_most_counts() -> None:
    limits = QuotaLimits(hour=10, by_role={"frontline": {"hour": 2}, "examiner": {"hour": 50, "probe": 9}})
    assert limits.of("hour", []) == limits.of("hour", ["auditor"]) == 10
    assert limits.of("hour", ["frontline"]) == 2
    assert limits.of("hour", ["frontline", "examiner"]) == 50
    assert limits.of("probe", ["examiner"]) == 9


# -- of a probe -------------------------------------------------------------------------------------------------


def test_nearly_the_same_probe_is_searched_so_often_a_day_and_others_go_on(bench: Bench) -> None:
    engine = limited(bench, probe=5)
    rng = np.random.default_rng(1)
    base = rng.standard_normal(DIMENSION)
    near = [sample(base * (1 + 1e-4 * rng.standard_normal(DIMENSION))) for _ in range(6)]
    assert [refused(engine, probe) for probe in near] == [*("",) * 5, "QUOTA_OF_PROBE"]
    assert [refused(engine, probe) for probe in spread(20)] == [""] * 20
    assert refused(engine, near[0], replace(JUDGED, grant=Grant(policy="c0ffee"))) == ""


def test_a_sample_that_is_compared_counts_with_those_that_are_searched(bench: Bench) -> None:
    reference = bench.enrol(TARGET).reference.reference_id
    engine = limited(bench, probe=2)
    (probe,) = spread(1)
    engine.search(JUDGED, probe, SearchOptions())
    engine.compare(JUDGED, probe, reference)
    with pytest.raises(QuotaReached) as reached:
        engine.compare(JUDGED, probe, reference)
    assert reached.value.reason == "QUOTA_OF_PROBE"
    engine.compare(JUDGED, reference, reference)


def test_a_sketch_is_of_the_store_and_near_vectors_share_it() -> None:
    rng = np.random.default_rng(2)
    space = VectorModality().space
    ours, others = Sketcher(space, "ours"), Sketcher(space, "others")

    def names(sketcher: Sketcher, vector: np.ndarray) -> set[tuple[str, ...]]:
        return set(sketcher.names(Template(SPACE, "m", vector[None].astype(np.float32))))

    vectors = rng.standard_normal((100, DIMENSION))
    for vector in vectors:
        assert len(names(ours, vector)) == BANDS
        near = vector + 0.002 * np.linalg.norm(vector) * rng.standard_normal(DIMENSION) / DIMENSION**0.5
        assert len(names(ours, vector) & names(ours, near)) >= AGREEING
        assert not names(ours, vector) & names(others, vector)
    shared = [len(names(ours, a) & names(ours, b)) for a, b in pairwise(vectors)]
    assert max(shared) < AGREEING


def test_a_template_without_vectors_is_recognised_by_its_detail() -> None:
    sketcher = Sketcher(VectorModality().space, "ours")
    empty = np.zeros((0, DIMENSION), np.float32)
    one, other = Template(SPACE, "m", empty, b"one"), Template(SPACE, "m", empty, b"other")
    assert sketcher.names(one) == sketcher.names(replace(one))
    assert sketcher.names(one) != sketcher.names(other)
    assert len(sketcher.names(one)) == 1


# -- of a subject -----------------------------------------------------------------------------------------------


def close(count: int) -> list[Sample]:
    """Probes that score .98 with the target, far from each other."""
    rng = np.random.default_rng(4)
    target = aimed_at()
    found = []
    for drawn in rng.standard_normal((count, DIMENSION)):
        side = drawn - drawn @ target * target
        found.append(sample(target + 0.2 * side / np.linalg.norm(side)))
    return found


def opposite() -> tuple[Sample, Sample]:
    """Two probes that score .92 with the target, and so differ that no planes take them for nearly the same."""
    target = aimed_at()
    side = np.roll(target, 1) - np.roll(target, 1) @ target * target
    side *= 0.42 / np.linalg.norm(side)
    return sample(target + side), sample(target - side)


def test_a_subject_that_came_back_too_often_stays_in_the_answers_coarsely(bench: Bench) -> None:
    bench.enrol(TARGET)
    engine = limited(bench, subject=3)
    scores = [(found.score.value, found.fmr.value) for found in (best(engine, p) for p in close(5)) if found]
    fine, coarse = scores[:3], scores[3:]
    assert [score for score, _ in fine] == [pytest.approx(0.96)] * 3
    assert coarse == [pytest.approx((0.9, 1e-3))] * 2


def test_the_subject_is_one_whichever_of_its_references_is_found(bench: Bench) -> None:
    for _ in range(3):
        bench.enrol(TARGET, subject="S-1")
    other = bench.enrol(TARGET, subject="S-1").reference.reference_id
    engine = limited(bench, subject=1)
    first, second, third = close(3)
    (answer,) = engine.search(JUDGED, first, SearchOptions()).probes
    assert {round(c.score.value, 3) for c in answer.candidates} != {0.9}
    (answer,) = engine.search(JUDGED, second, SearchOptions()).probes
    assert {round(c.score.value, 3) for c in answer.candidates} == {0.9}
    assert other in {c.reference.reference_id for c in answer.candidates}
    with pytest.raises(QuotaReached) as reached:
        engine.compare(JUDGED, third, other)
    assert reached.value.reason == "QUOTA_OF_SUBJECT"


@pytest.fixture
def measured(store: Store) -> Bench:
    """A bench whose calibration goes down to a stranger in a hundred thousand."""
    modality = VectorModality()
    rates = np.array([1, 0.1, 1e-2, 1e-3, 1e-5])
    modality._calibration = replace(
        calibration(), scores=np.array([-1, 0.3, 0.6, 0.9, 0.99]), fmr=rates, lower=rates, upper=rates
    )
    return Bench(modality, store)


def test_a_threshold_leaves_out_none_that_is_answered_coarsely(measured: Bench) -> None:
    bench = measured
    bench.enrol("1")
    engine = limited(bench, subject=2)
    below, above = (Sample(f"{score},{(1 - score**2) ** 0.5}".encode()) for score in (0.92, 0.93))
    assert best(engine, below, max_fmr=3e-4) is None
    first = best(engine, above, max_fmr=3e-4)
    assert first is not None
    assert first.fmr.value == pytest.approx(10**-3.6)
    for probe in (above, below):
        found = best(engine, probe, max_fmr=3e-4)
        assert found is not None
        assert found.score.value == pytest.approx(0.9)
        assert found.fmr.value == pytest.approx(1e-3)
    assert best(engine, below, k=3, max_fmr=3e-4, frontline=True) is None, (
        "nobody weighs what is above the threshold"
    )


def test_a_subject_counts_once_for_every_face_of_a_photograph(bench: Bench) -> None:
    bench.enrol(TARGET)
    engine = limited(bench, subject=2)
    together = Sample(b";".join(one.data for one in close(3)))
    found = [
        answer.candidates[0].score.value for answer in engine.search(JUDGED, together, SearchOptions()).probes
    ]
    assert found == [pytest.approx(0.9)] * 3


def test_nearly_the_same_face_counts_as_often_as_a_photograph_shows_it(bench: Bench) -> None:
    engine = limited(bench, probe=2)
    (one,) = spread(1)
    assert refused(engine, Sample(b";".join([one.data] * 3))) == "QUOTA_OF_PROBE"
    assert refused(engine, Sample(b";".join([one.data] * 2))) == ""


def test_to_be_below_a_fine_threshold_is_counted_too(measured: Bench) -> None:
    bench = measured
    bench.enrol("1,0")
    engine = limited(bench, subject=3)
    between = [Sample(f"{0.91 + k / 1000},{(1 - (0.91 + k / 1000) ** 2) ** 0.5}".encode()) for k in range(3)]
    assert [best(engine, probe, max_fmr=1e-4) for probe in between] == [None] * 3
    found = best(engine, Sample(b"1,0.01"))
    assert found is not None
    assert found.score.value == pytest.approx(0.9)


def test_a_subject_is_one_also_where_no_more_than_candidates_are_shown(bench: Bench) -> None:
    seen_less = Restrictions(disclosure=Level.CANDIDATE)
    ids = [
        bench.enrol(TARGET, subject="S-1", restrictions=seen_less).reference.reference_id for _ in range(2)
    ]
    engine = limited(bench, subject=2)
    first, second, third = close(3)
    engine.compare(JUDGED, first, ids[0])
    engine.compare(JUDGED, second, ids[1])
    with pytest.raises(QuotaReached):
        engine.compare(JUDGED, third, ids[0])


def test_where_nobody_weighs_a_score_a_threshold_is_a_whole_decade(measured: Bench) -> None:
    bench = measured
    bench.enrol("1,0")
    engine = limited(bench, subject=1, probe=1000)
    rates = [float(rate) for rate in np.logspace(-3, -5, 12)]
    for value in (0.94, 0.96, 0.985):
        probe = Sample(f"{value},{(1 - value**2) ** 0.5}".encode())
        shown = [best(engine, probe, k=3, max_fmr=rate, frontline=True) is not None for rate in rates]
        assert shown == sorted(shown, reverse=True)
        assert sum(shown) in (1, 6, 7, 12)


def test_what_scores_as_strangers_do_is_not_counted(bench: Bench) -> None:
    bench.enrol("1,0")
    engine = limited(bench, subject=1)
    far = [Sample(f"0.7,{y},0.2".encode()) for y in (0.5, 0.6, 0.65)]
    assert [best(engine, probe, max_fmr=rate) for probe in far for rate in (None, 0.1)] == [None] * 6
    near = best(engine, Sample(b"1,0.2"))
    assert near is not None
    assert near.score.value > 0.95


def test_no_quota_reveals_a_reference_that_the_caller_may_not_know_of(bench: Bench) -> None:
    hidden = Restrictions(denied_entities=frozenset({BOB.entity}))
    reference = bench.enrol(TARGET, restrictions=hidden).reference.reference_id
    engine = limited(bench, subject=1)
    for probe in close(3):
        with pytest.raises(NotFound):
            engine.compare(JUDGED, probe, reference)


def test_where_nobody_judges_scores_are_exact_however_often(bench: Bench) -> None:
    bench.enrol(TARGET)
    engine = limited(bench, subject=1, probe=1)
    (probe,) = close(1)
    scores = {best(engine, probe, ALICE).score.value for _ in range(5)}  # type: ignore[union-attr]
    assert len(scores) == 1
    assert scores.pop() == pytest.approx(1 / np.hypot(1, 0.2), abs=1e-4)


def test_what_is_used_up_is_counted_for_who_watches(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(metrics.REGISTRY, CollectorRegistry)

    def reached(quota: str) -> float:
        return metrics.REGISTRY.get_sample_value("likeness_quotas_reached_total", {"quota": quota}) or 0

    before = {quota: reached(quota) for quota in ("principal", "subject", "probe")}
    bench.enrol(TARGET)
    engine = limited(bench, subject=1, probe=2, hour=4)
    one, two = opposite()
    for probe in (one, one, one, two):
        refused(engine, probe)
    refused(engine, two)
    refused(engine, spread(1)[0])
    assert {quota: reached(quota) - before[quota] for quota in before} == {
        "principal": 1,
        "subject": 1,
        "probe": 1,
    }


# -- an attack --------------------------------------------------------------------------------------------------

ATTEMPTS = 200


def climbed(engine: Engine, caller: Caller, seed: int) -> float:
    """The similarity to the target that an evolution (1+1) reaches by scores, in so many searches."""
    rng = np.random.default_rng(seed)
    target = aimed_at()
    here, height, width = rng.standard_normal(DIMENSION), -2.0, 0.5
    for _ in range(ATTEMPTS):
        there = here / np.linalg.norm(here) + width * rng.standard_normal(DIMENSION) / DIMENSION**0.5
        reached = score(engine, sample(there), caller)
        width = min(0.8, max(0.02, width * (1.4 if reached > height else 0.92)))
        if reached >= height:
            here, height = there, reached
    return float(here @ target / np.linalg.norm(here))


def averaged(engine: Engine, caller: Caller, seed: int) -> float:
    """What the mean of random steps reaches that are weighted by the scores that they were answered with.

    It climbs past every step that is wider than a step of its own, which the evolution does not.
    """
    rng = np.random.default_rng(seed)
    target = aimed_at()
    here, seen = np.zeros(DIMENSION), list[float]()
    for _ in range(ATTEMPTS):
        step = rng.standard_normal(DIMENSION)
        step /= np.linalg.norm(step)
        there = step + here / (np.linalg.norm(here) or 1)
        seen.append(max(-1.0, score(engine, sample(there), caller)))
        here = here + (seen[-1] - float(np.mean(seen[-60:]))) * step
    return float(here @ target / (np.linalg.norm(here) or 1))


def score(engine: Engine, probe: Sample, caller: Caller) -> float:
    """What an attacker sees; less than any score where it sees nothing."""
    try:
        found = best(engine, probe, caller)
    except QuotaReached:
        return -3.0
    return -3.0 if found is None else found.score.value


@pytest.mark.parametrize(("attack", "least"), [(climbed, 0.99), (averaged, 0.95)])
def test_an_attacker_reaches_a_face_from_exact_scores_and_not_from_published_ones(
    bench: Bench, attack: Callable[[Engine, Caller, int], float], least: float
) -> None:
    bench.enrol(TARGET)
    engine = limited(bench)
    for seed in range(2):
        attacker = replace(JUDGED, grant=replace(JUDGED.grant, principal=Principal(f"spiffe://hub/{seed}")))
        assert attack(engine, ALICE, seed) > least
        assert attack(engine, attacker, seed) < 0.9, "the score of one stranger in a thousand"


def test_a_person_who_sends_variants_of_one_photograph_is_stopped_long_before_an_attack_is_done(
    bench: Bench,
) -> None:
    bench.enrol(TARGET)
    engine, rng = limited(bench), np.random.default_rng(3)
    base = rng.standard_normal(DIMENSION)
    variants = [sample(base * (1 + 0.002 * rng.standard_normal(DIMENSION))) for _ in range(ATTEMPTS)]
    answered = [refused(engine, variant) == "" for variant in variants]
    assert 30 <= sum(answered) < ATTEMPTS / 2


def test_a_case_system_searches_with_hundreds_of_different_photographs_at_once(bench: Bench) -> None:
    engine = limited(bench)
    assert {refused(engine, probe) for probe in spread(300)} == {""}

"""Searches of the frontline, and searches at whose answers nobody looks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from likeness.domain.access import Grant
from likeness.domain.answers import SearchOptions
from likeness.domain.deadline import NO_DEADLINE, Deadline
from likeness.domain.errors import Denied, InvalidInput, LikenessError, Precondition
from likeness.domain.modality import Modality
from likeness.domain.samples import Extraction, Mode, Sample
from likeness.engine.search_rules import FRONTLINE_SECONDS, checked
from likeness.face.modality import FaceModality
from likeness.store.store import Store
from likeness.testing.vectors import VectorModality
from tests.support import ALICE, Bench

GRANTED = Grant(lights_out=True)
OBJECT = VectorModality(name="object")


def reason(modality: Modality, grant: Grant, **options: Any) -> str:
    with pytest.raises(LikenessError) as caught:
        checked(modality, grant, SearchOptions(**options))
    assert isinstance(caught.value, Denied | InvalidInput | Precondition)
    return caught.value.reason


def test_nobody_need_look_only_where_it_is_granted_and_a_threshold_is_set() -> None:
    assert reason(OBJECT, GRANTED, lights_out=True) == "LIGHTS_OUT_WITHOUT_THRESHOLD"
    assert reason(OBJECT, Grant(), lights_out=True, max_fmr=0.01) == "LIGHTS_OUT_NOT_GRANTED"
    options = SearchOptions(lights_out=True, max_fmr=0.01)
    assert checked(OBJECT, GRANTED, options) == options


def test_somebody_looks_at_faces_whatever_is_granted() -> None:
    assert FaceModality.lights_out is False
    assert reason(VectorModality(name="face"), GRANTED, lights_out=True, max_fmr=0.01) == "LIGHTS_OUT_NEVER"
    threshold = {"max_fmr": 0.01, "frontline": True, "k": 1}
    assert reason(VectorModality(name="face"), GRANTED, lights_out=True, **threshold) == "LIGHTS_OUT_NEVER"


def test_a_threshold_of_the_frontline_need_not_be_asked_for() -> None:
    asked = SearchOptions(frontline=True, k=3)
    assert checked(OBJECT, Grant(), asked).max_fmr == 1e-3  # the lowest that its calibration measures
    assert checked(OBJECT, Grant(), replace(asked, max_fmr=0.5)).max_fmr == 0.5


def test_the_frontline_gets_no_list_and_needs_a_calibration() -> None:
    assert reason(OBJECT, Grant(), frontline=True, k=4) == "INVALID_INPUT"
    assert reason(VectorModality(calibrated=False), Grant(), frontline=True, k=1) == "NOT_CALIBRATED"


@pytest.fixture
def timed(store: Store) -> Iterator[tuple[Bench, list[float]]]:
    seen: list[float] = []

    class Noting(VectorModality):
        def extract(
            self, samples: Sequence[Sample], mode: Mode, deadline: Deadline = NO_DEADLINE
        ) -> list[Extraction]:
            seen.append(deadline.remaining)
            return super().extract(samples, mode, deadline)

    yield Bench(Noting(), store), seen


@pytest.mark.parametrize(
    ("frontline", "holds"), [(True, lambda left: left <= FRONTLINE_SECONDS), (False, math.isinf)]
)
def test_the_frontline_has_an_answer_in_seconds(
    timed: tuple[Bench, list[float]], frontline: bool, holds: Callable[[float], bool]
) -> None:
    bench, seen = timed
    bench.engine.search(ALICE, Sample(b"1,0"), SearchOptions(frontline=frontline, k=1))
    assert [holds(left) for left in seen] == [True]


def test_the_frontline_is_answered_with_hits_and_the_record_has_the_scores(bench: Bench) -> None:
    near = [bench.enrol(f"1,0.{n}").reference.reference_id for n in range(5)]
    bench.enrol("0,1")
    answer = bench.engine.search(ALICE, Sample(b"1,0"), SearchOptions(frontline=True, k=3))
    assert [c.reference.reference_id for c in answer.probes[0].candidates] == near[:3]
    assert not answer.with_scores
    assert answer.header.max_fmr == 1e-3
    (record,) = bench.store.audit_entries(answer.header.audit_position - 1, 1)
    assert record.entry.options["frontline"] is True
    assert record.entry.options["lights_out"] is False
    assert next(candidate.score for candidate in record.entry.candidates) == pytest.approx(1.0)
    none = bench.engine.search(ALICE, Sample(b"-1,0"), SearchOptions(frontline=True, k=3))
    assert none.probes[0].candidates == ()

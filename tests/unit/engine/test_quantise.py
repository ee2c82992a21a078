"""Scores in steps: what is said errs on the side of the stranger, and tells no more by being asked for often."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.domain.access import UNJUDGED, Grant
from likeness.domain.answers import Likelihood, Score
from likeness.domain.calibration import Calibration
from likeness.engine.quantise import PART_DIGITS, UNCALIBRATED_STEP, published, steps_of, threshold

JUDGED = Grant(policy="c0ffee")

_FMR = np.logspace(0, -5, 61)
FACES = Calibration(
    calibration_id="made-up/1",
    space="made-up/1",
    measured_on="made up",
    pairs=10_000_000,
    subjects=5_000,
    scores=0.65 + 0.3 * np.sqrt(np.linspace(0, 1, 61)),
    fmr=_FMR,
    lower=_FMR / 2,
    upper=np.minimum(1, 2 * _FMR),
)

scores = st.floats(0.3, 1.0)


@pytest.mark.parametrize("coarse", [False, True])
@given(value=scores)
def test_a_published_score_is_never_above_the_exact_one_nor_its_rate_below(
    coarse: bool, value: float
) -> None:
    stated = published(FACES, Score(value), JUDGED, coarse=coarse)
    exact = published(FACES, Score(value), UNJUDGED)
    assert stated.score.value <= value
    assert stated.fmr.value >= exact.fmr.value
    assert stated.fmr.upper >= exact.fmr.upper
    assert stated.fmr.value == pytest.approx(FACES.rate(stated.score.value).value)


@given(one=scores, other=scores)
def test_rounding_keeps_the_order(one: float, other: float) -> None:
    low, high = sorted((one, other))
    below, above = (published(FACES, Score(value), JUDGED).score.value for value in (low, high))
    assert below <= above


def test_one_fine_step_is_a_fifth_of_a_decade_and_a_coarse_one_says_no_more_than_a_stranger_in_a_thousand() -> (
    None
):
    fine = [fmr.value for fmr in steps_of(FACES).rates]
    assert fine == pytest.approx([1, 0.001, *(1e-3 * 10 ** (-k / 5) for k in range(1, 11))])
    coarse = [fmr.value for fmr in steps_of(FACES, coarse=True).rates]
    assert coarse == pytest.approx([1, 1e-3])


def test_above_what_is_measurable_the_steps_go_on_and_coarse_ones_end() -> None:
    values = np.linspace(0.951, 1.0, 5_000)
    fine = {published(FACES, Score(value), JUDGED).score.value for value in values}
    coarse = {published(FACES, Score(value), JUDGED, coarse=True).score.value for value in values}
    decade = float(FACES.scores[-1]) - FACES.threshold(1e-4)
    assert [b - a for a, b in pairwise(sorted(fine))] == pytest.approx([decade / 5] * (len(fine) - 1))
    assert sorted(coarse) == [pytest.approx(FACES.threshold(1e-3))]


@given(value=scores, rate=st.floats(1e-5, 1))
def test_a_threshold_leaves_out_whatever_is_published_with_a_higher_rate_and_nothing_else(
    value: float, rate: float
) -> None:
    shown = value >= threshold(FACES, rate, JUDGED)
    stated = published(FACES, Score(value), JUDGED)
    if value >= float(FACES.scores[0]):  # below, as where nobody judges, no candidate has a rate
        assert shown == (stated.fmr.value <= rate)


@pytest.mark.parametrize("rate", [1, 1e-3, 1e-4, 1e-5])
def test_a_threshold_of_a_whole_decade_is_the_exact_one(rate: float) -> None:
    assert threshold(FACES, rate, JUDGED) == pytest.approx(FACES.threshold(rate), rel=1e-12)


def test_nobody_can_tell_a_score_within_a_step_by_asking_for_thresholds() -> None:
    step = published(FACES, Score(0.9), JUDGED).score.value
    rates = np.logspace(0, -5, 2_000)
    seen = {
        tuple(value >= threshold(FACES, rate, JUDGED) for rate in rates)
        for value in np.linspace(step, 0.9, 20)
    }
    assert len(seen) == 1


def test_parts_are_rounded_and_the_likelihood_stays() -> None:
    score = Score(0.9123, {"cosine": 0.9123, "pairs": 23.7, "share": -0.0349, "none": 0.0}, Likelihood.STRONG)
    found = published(FACES, score, JUDGED).score
    assert found.parts == {"cosine": found.value, "pairs": 20, "share": -0.03, "none": 0}
    assert found.likelihood is Likelihood.STRONG
    assert PART_DIGITS == 1
    coarse = published(FACES, score, JUDGED, coarse=True).score
    assert coarse == Score(coarse.value)
    assert coarse.value == pytest.approx(FACES.threshold(1e-3))


@given(value=st.floats(0.65, 1), likelihood=st.sampled_from(Likelihood))
def test_of_a_score_that_any_stranger_has_nothing_is_published(value: float, likelihood: Likelihood) -> None:
    stated = published(FACES, Score(value, {"pairs": 1000 * value}, likelihood), JUDGED)
    if value < FACES.threshold(1e-3):
        assert (stated.score, stated.fmr.value) == (Score(0.65), 1)
    else:
        assert stated.score.parts


def test_a_score_without_calibration_is_rounded_and_may_be_anybodys() -> None:
    stated = published(None, Score(0.73), JUDGED)
    assert stated.score.value == pytest.approx(0.7)
    assert (stated.fmr.value, stated.fmr.measurable) == (1, False)
    assert published(None, Score(-0.01), JUDGED).score.value == -UNCALIBRATED_STEP
    steps = {published(None, Score(k / 100), JUDGED, coarse=True).score.value for k in range(100)}
    assert steps == {0, 0.25, 0.5, 0.75}


def test_where_nobody_judges_scores_are_exact() -> None:
    score = Score(0.912345678, {"cosine": 0.912345678})
    stated = published(FACES, score, UNJUDGED)
    assert stated.score is score
    assert stated.fmr == FACES.rate(score.value)
    assert threshold(FACES, 0.0123, UNJUDGED) == FACES.threshold(0.0123)


def test_a_calibration_of_two_rows_has_steps() -> None:
    short = replace(
        FACES,
        scores=np.array([0.0, 1.0]),
        fmr=np.array([0.9, 0.5]),
        lower=np.array([0.8, 0.4]),
        upper=np.array([1.0, 0.6]),
    )
    assert published(short, Score(0.7), JUDGED).score.value == 0
    assert published(short, Score(7.0), JUDGED).fmr.value == 0.5

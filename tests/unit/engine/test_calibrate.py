from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from likeness.domain.calibration import Calibration
from likeness.domain.errors import InvalidInput, Precondition
from likeness.domain.samples import Template
from likeness.engine import calibrate
from likeness.testing.vectors import DIMENSION, SPACE, VectorModality


def templates(subjects: int, per_subject: int, seed: int = 3) -> dict[str, list[Template]]:
    draw = np.random.default_rng(seed)
    made: dict[str, list[Template]] = {}
    for n in range(subjects):
        centre = draw.normal(size=DIMENSION)
        vectors = centre + 0.2 * draw.normal(size=(per_subject, DIMENSION))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        made[f"s{n}"] = [Template(SPACE, "vectors@1", v[None].astype(np.float32)) for v in vectors]
    return made


def measured(subjects: int = 120, per_subject: int = 2, **options: object) -> calibrate.Report:
    return calibrate.measure(
        VectorModality(),
        templates(subjects, per_subject),
        calibration_id="c/1",
        measured_on="drawn at random",
        **options,  # type: ignore[arg-type]
    )


def test_a_rate_is_the_share_of_strangers_at_or_above_the_score() -> None:
    made = templates(120, 1)
    vectors = np.concatenate([t[0].vectors for t in made.values()])
    scores = (vectors @ vectors.T)[np.triu_indices(120, 1)]
    calibration = calibrate.measure(
        VectorModality(), made, calibration_id="c/1", measured_on="drawn"
    ).calibration
    assert calibration.pairs == 120 * 119 // 2
    for score, fmr, lower, upper in zip(
        calibration.scores, calibration.fmr, calibration.lower, calibration.upper, strict=True
    ):
        assert fmr == pytest.approx(np.mean(scores >= score), abs=2 / 7140)  # float32 ties
        assert lower < fmr < upper or fmr == 1.0
    assert calibration.floor * calibration.pairs == pytest.approx(calibrate.MIN_FALSE_MATCHES)


def test_the_table_ends_where_the_sample_does() -> None:
    calibration = measured().calibration
    with pytest.raises(Precondition, match="supports no"):
        calibration.threshold(calibration.floor / 2)
    beyond = calibration.rate(float(calibration.scores[-1]) + 1e-6)
    assert not beyond.measurable
    assert beyond.value == calibration.floor


def test_threshold_and_rate_are_each_others_inverse() -> None:
    calibration = measured().calibration
    for rate in (0.5, 0.1, 0.01, calibration.floor):
        assert calibration.rate(calibration.threshold(rate)).value == pytest.approx(rate, rel=1e-6)


def test_mates_are_reported_at_the_thresholds_that_the_sample_supports() -> None:
    report = measured()
    assert report.mate_pairs == 120
    assert set(report.true_match_rates) == {1e-2}
    assert 0.9 < report.true_match_rates[1e-2] <= 1.0


def test_groups_are_measured_within_themselves() -> None:
    groups = {f"s{n}": "even" if n % 2 == 0 else "odd" for n in range(0, 100)}
    found = measured(groups=groups).calibration.groups
    assert set(found) == {"even", "odd"}
    assert found["even"]["subjects"] == 50
    assert found["even"]["pairs"] == 50 * 49 / 2
    assert 0 <= found["odd"]["fmr_at_1e-02"] < 0.1


def test_too_few_subjects_are_refused() -> None:
    with pytest.raises(InvalidInput, match="too few to calibrate on"):
        measured(subjects=29)


def test_a_file_comes_back_as_it_went(tmp_path: Path) -> None:
    calibration = measured(groups={"s0": "a", "s1": "a", "s2": "a"}).calibration
    path = tmp_path / "deep" / "c.json"
    calibrate.save(calibration, path)
    loaded = calibrate.load(path, space=SPACE)
    assert loaded.groups == calibration.groups
    assert loaded.pairs == calibration.pairs
    np.testing.assert_allclose(loaded.fmr, calibration.fmr, rtol=1e-5)
    assert list(tmp_path.glob("**/*.part")) == []


def test_a_calibration_of_another_space_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    calibrate.save(measured().calibration, path)
    with pytest.raises(InvalidInput, match="is for template space"):
        calibrate.load(path, space="other/1")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": "x"}', "\x00"])
def test_what_is_no_calibration_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(content)
    with pytest.raises(InvalidInput):
        calibrate.load(path, space=SPACE)
    with pytest.raises(InvalidInput, match="likeness calibrate"):
        calibrate.load(tmp_path / "absent.json", space=SPACE)


@pytest.mark.parametrize("floor", [1.039e-05, 1.0491e-05, 9.996e-06, 1e-3, 5.6497e-03])
def test_the_bound_that_a_refusal_prints_is_accepted(floor: float) -> None:
    rates = np.array([0.5, floor])
    table = Calibration("c", "s", "", 100, 10, np.array([0.1, 0.2]), rates, rates, rates)
    with pytest.raises(Precondition) as refused:
        table.threshold(floor * 0.99)
    printed = re.findall(r"\d\.\d+e-\d+", refused.value.message)
    for bound in (*printed, refused.value.metadata["floor"]):
        assert table.threshold(float(bound)) > 0.1
    assert float(re.findall(r"[\d.]+e-\d+", str(table.rate(0.3)))[0]) >= floor

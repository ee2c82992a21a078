import json
import math
from pathlib import Path

import numpy as np
import pytest

from likeness.domain.errors import Corrupt
from likeness.fingerprint import parameters as p
from likeness.fingerprint.evidence import MEASURES
from likeness.fingerprint.fusion import (
    CHEAP_FEATURES,
    FEATURES,
    Fusion,
    cheap_features,
    features,
    fusion,
    passing,
)
from likeness.fingerprint.matcher import measures
from likeness.fingerprint.prepared import prepare
from tests.unit.fingerprint.drawn_fingers import fingers


def measured(*, cheap: bool = False) -> np.ndarray:
    """Of a mate and a stranger."""
    one, other = fingers()[0]
    return measures(prepare(one), [prepare(other), prepare(fingers()[1][0])], cheap=cheap)


def screened() -> np.ndarray:
    return measured(cheap=True)


def test_there_is_a_column_for_every_name() -> None:
    assert features(measured()).shape == (2, len(FEATURES))
    assert cheap_features(measured()).shape == (2, len(CHEAP_FEATURES))
    assert measured().shape == (2, len(MEASURES))


def test_nothing_measured_has_finite_features() -> None:
    nothing = np.zeros((1, len(MEASURES)))
    assert np.isfinite(features(nothing)).all()
    assert np.isfinite(cheap_features(nothing)).all()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    shipped = fusion()
    shipped.write(tmp_path / "f.json")
    again = Fusion.load(tmp_path / "f.json")
    assert again.score(measured()) == pytest.approx(shipped.score(measured()), abs=1e-4)
    assert again.order(screened()) == pytest.approx(shipped.order(screened()), abs=1e-4)
    assert (again.version, again.fitted_on) == (shipped.version, shipped.fitted_on)


@pytest.mark.parametrize("broken", ["", "{}", '{"weights": {}}'])
def test_a_broken_file_is_corrupt(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "f.json"
    path.write_text(broken)
    with pytest.raises(Corrupt, match="restore"):
        Fusion.load(path)


@pytest.mark.parametrize(
    "names", [("bias",), ("weights", "local"), ("cascade", "worth"), ("cascade", "bias")]
)
def test_weights_that_are_not_finite_are_corrupt(tmp_path: Path, names: tuple[str, ...]) -> None:
    path = tmp_path / "f.json"
    fusion().write(path)
    held = json.loads(path.read_text())
    inner = held
    for name in names[:-1]:
        inner = inner[name]
    inner[names[-1]] = float("nan")
    path.write_text(json.dumps(held))
    with pytest.raises(Corrupt, match="not finite"):
        Fusion.load(path)


def test_what_is_left_out_scores_in_the_order_of_the_cheap_stage_and_by_its_own_measures_alone() -> None:
    rows = screened()
    order = fusion().order(rows)
    mate, stranger = fusion().score(rows)
    assert order[0] > 0 > order[1]
    assert (mate, stranger) == (p.REJECTED_AT, pytest.approx(p.REJECTED_AT + order[1]))
    assert fusion().score(rows[1:])[0] == pytest.approx(stranger, abs=1e-9)
    assert fusion().score(measured())[0] > p.REJECTED_AT


def test_the_best_share_passes_and_so_do_all_that_seem_mates() -> None:
    order = -np.arange(1.0, 101.0)
    share = math.ceil(100 * p.CASCADE_SHARE)
    assert np.flatnonzero(passing(order)).tolist() == list(range(share))
    order[40:80] = 1.0
    assert np.flatnonzero(passing(order)).tolist() == [*range(share), *range(40, 80)]


def test_every_candidate_that_is_answered_was_compared_in_full() -> None:
    for candidates in (1, 20, 1000):
        listed = max(p.SHORTLIST_LEAST, p.SHORTLIST_PER_CANDIDATE * candidates)
        assert passing(np.full(listed, -1.0)).sum() >= candidates


def test_what_was_not_screened_does_not_pass_and_equals_pass_in_their_order() -> None:
    assert not passing(np.full(50, -np.inf)).any()
    assert passing(np.array([])).tolist() == []
    assert np.flatnonzero(passing(np.full(40, -1.0))).tolist() == [0, 1]


def test_what_was_compared_or_is_empty_is_not_asked_for() -> None:
    mate, stranger = screened()
    rows = np.stack([stranger] * 5 + [mate] + [stranger] * 24)
    rows[0, MEASURES.index("compared")] = 1
    rows[1] = 0
    assert fusion().promising(rows).tolist() == [2, 3, 5]
    rows[:, MEASURES.index("compared")] = 1
    assert fusion().promising(rows).tolist() == []


def test_a_score_is_the_same_to_the_last_bit_in_a_list_of_any_length() -> None:
    random = np.random.default_rng(3)
    rows = measured()[random.integers(0, 2, 67)] * random.uniform(0.5, 2, (67, 1))
    weighing = fusion()
    for length in (1, 2, 3, 5, 16, 33):
        assert weighing.score(rows[:length]).tolist() == weighing.score(rows).tolist()[:length]
        assert weighing.order(rows[:length]).tolist() == weighing.order(rows).tolist()[:length]

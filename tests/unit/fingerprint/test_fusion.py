import json
from pathlib import Path

import numpy as np
import pytest

from likeness.domain.errors import Corrupt
from likeness.fingerprint import parameters as p
from likeness.fingerprint.evidence import MEASURES
from likeness.fingerprint.fusion import FEATURES, SCREENED, Fusion, features, fusion, screened
from likeness.fingerprint.matcher import measures, prepare
from tests.unit.fingerprint.drawn import fingers


def measured() -> np.ndarray:
    one, other = fingers()[0]
    return measures(prepare(one), [prepare(other), prepare(fingers()[1][0])])


def test_there_is_a_column_for_every_name() -> None:
    assert features(measured()).shape == (2, len(FEATURES))
    assert screened(measured()).shape == (2, len(SCREENED))
    assert measured().shape == (2, len(MEASURES))


def test_nothing_measured_has_finite_features() -> None:
    nothing = np.zeros((1, len(MEASURES)))
    assert np.isfinite(features(nothing)).all()
    assert np.isfinite(screened(nothing)).all()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    shipped = fusion()
    shipped.write(tmp_path / "f.json")
    again = Fusion.load(tmp_path / "f.json")
    assert again.score(measured()) == pytest.approx(shipped.score(measured()), abs=1e-4)
    assert (again.version, again.fitted_on) == (shipped.version, shipped.fitted_on)


@pytest.mark.parametrize("broken", ["", "{}", '{"weights": {}}'])
def test_a_broken_file_is_corrupt(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "f.json"
    path.write_text(broken)
    with pytest.raises(Corrupt, match="restore"):
        Fusion.load(path)


def test_weights_that_are_not_finite_are_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    fusion().write(path)
    held = json.loads(path.read_text())
    held["cascade"]["worth"] = float("nan")
    path.write_text(json.dumps(held))
    with pytest.raises(Corrupt, match="not finite"):
        Fusion.load(path)


def test_what_the_cheap_stage_leaves_scores_in_its_order_and_below_what_could_lead() -> None:
    rows = measured()
    rows[:, MEASURES.index("compared")] = 0
    scores = fusion().score(rows)
    assert scores[0] == p.REJECTED_AT > scores[1]
    assert fusion().score(measured())[0] > p.REJECTED_AT


def test_a_share_of_all_is_promising_and_what_was_compared_is_not_asked_for_again() -> None:
    mate, stranger = measured()
    rows = np.stack([stranger] * 5 + [mate] + [stranger] * 24)
    rows[:, MEASURES.index("compared")] = 0
    rows[0, MEASURES.index("compared")] = 1
    assert fusion().promising(rows).tolist() == [1, 5]
    rows[:, MEASURES.index("compared")] = 1
    assert fusion().promising(rows).tolist() == []

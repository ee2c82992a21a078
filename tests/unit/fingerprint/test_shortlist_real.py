from pathlib import Path

import numpy as np
import pytest

from likeness.fingerprint.formats import read
from likeness.fingerprint.shortlist import Shortlister

DATA = Path(__file__).parents[4] / "shared" / "data" / "fingerprints"


@pytest.mark.shared
@pytest.mark.parametrize("extractor", ["fjfx", "mindtct"])
def test_impressions_of_one_finger_are_near_each_other_among_those_of_its_own_sensors(extractor: str) -> None:
    folder = DATA / extractor
    if not folder.is_dir():
        pytest.skip("the evaluation templates are not next to this checkout")
    paths = sorted(folder.glob("*/*_[123].fmr"))
    vectors = Shortlister().embed([read(p.read_bytes(), p.name).views[0].minutiae for p in paths])
    fingers = np.array([f"{p.parent.name}/{p.stem[:-2]}" for p in paths])
    scores = vectors @ vectors.T
    above = [
        (scores[i][fingers != fingers[i]] >= scores[i, j]).mean()
        for i, j in np.argwhere(fingers[:, None] == fingers)
        if i != j
    ]
    assert (np.array(above) > 0.1).mean() < 0.25

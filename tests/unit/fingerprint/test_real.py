"""On real templates, where they lie next to the checkout."""

from pathlib import Path

import numpy as np
import pytest

from likeness.fingerprint.formats import read
from likeness.fingerprint.matcher import Matcher
from likeness.fingerprint.prepared import prepare

DATA = Path(__file__).parents[4] / "shared" / "data" / "fingerprints"


@pytest.mark.shared
@pytest.mark.parametrize("extractor", ["fjfx", "mindtct"])
def test_mates_come_first_among_forty_fingers(extractor: str) -> None:
    folder = DATA / extractor
    if not folder.is_dir():
        pytest.skip("the evaluation templates are not next to this checkout")
    held = {
        impression: [
            prepare(read(path.read_bytes(), path.name).views[0].minutiae)
            for path in sorted(folder.glob(f"*/*_{impression}.fmr"))
        ]
        for impression in (1, 2, 3)
    }
    matcher = Matcher()
    first = [
        int(np.argmax([c.score for c in matcher.compare(probe, held[1])])) == finger
        for impression in (2, 3)
        for finger, probe in enumerate(held[impression])
    ]
    assert np.mean(first) >= 0.9

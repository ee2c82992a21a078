"""Models that the product has never seen take the place of the defaults, by their manifests alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import PATIENCE

pytestmark = [pytest.mark.shared, pytest.mark.models, pytest.mark.slow]

SHARED = Path(__file__).parents[3] / "shared"
MODELS = SHARED / "models"
PEOPLE = SHARED / "data" / "faces"


def likeness(home: Path, *words: object) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "likeness.cli", *map(str, words), "--home", str(home)],
        check=False,
        capture_output=True,
        text=True,
        timeout=10 * PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Forty people with two photographs or more."""
    chosen = [p for p in sorted(PEOPLE.iterdir()) if len(list(p.glob("*.jpg"))) > 1][:40]
    folder = tmp_path / "people"
    for person in chosen:
        (folder / person.name).mkdir(parents=True)
        for photograph in sorted(person.glob("*.jpg"))[:3]:
            (folder / person.name / photograph.name).symlink_to(photograph)
    return folder


@pytest.mark.skipif(not MODELS.is_dir(), reason="the drop-in models are not next to the checkout")
def test_a_detector_and_a_recogniser_are_drafted_and_calibrated(
    models: None, people: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    recogniser = likeness(home, "models", "add", MODELS / "mobilefacenet_foamliu.onnx", "--faces", people)
    detector = likeness(home, "models", "add", MODELS / "yunet_n_dynamic.onnx", "--faces", people)
    assert (recogniser["family"], detector["family"]) == ("arcface", "yunet")
    assert 'colour = "RGB"\nmean = [123.675, 116.28, 103.53]' in recogniser["draft"]

    chosen = ["--set", f"face.recogniser={recogniser['id']}", "--set", f"face.detector={detector['id']}"]
    measured = likeness(home, "calibrate", people, *chosen, "--out", tmp_path / "c.json")
    assert measured["subjects"] == 40
    assert measured["rates"] == []  # forty people support no rate as low as 1e-2
    assert measured["lowest_fmr"] == pytest.approx(10 / 780, rel=0.1)

"""The face modality with the default models on real photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from likeness.domain.samples import Mode, Pick, Sample, Selection
from likeness.face.modality import FaceModality
from likeness.imaging.decode import decode
from likeness.imaging.opencv import cv2
from likeness.inference.catalogue import Catalogue, FileState
from likeness.inference.threads import ThreadPlan
from likeness.rpc.settings import load

DEFAULTS = load(environment={"LIKENESS_HOME": "/nowhere"})
FACES = Path(__file__).parents[4] / "shared" / "data" / "faces"


@pytest.fixture(scope="module")
def modality() -> FaceModality:
    catalogue = Catalogue.standard()
    for name in (DEFAULTS.detector, DEFAULTS.recogniser):
        if catalogue.state(catalogue.get(name)) is not FileState.READY:
            pytest.skip("the default models are not built; run `likeness models build`")
    return FaceModality.load(
        catalogue,
        detector_id=DEFAULTS.detector,
        recogniser_id=DEFAULTS.recogniser,
        calibration=None,
        threads=ThreadPlan(workers=1),
    )


def photographs(count: int, each: int) -> list[list[Path]]:
    if not FACES.is_dir():
        pytest.skip("the evaluation photographs are not beside this checkout")
    people = [sorted(p.glob("*.jpg")) for p in sorted(FACES.iterdir()) if p.is_dir()]
    return [p[:each] for p in people if len(p) >= each][:count]


def sample(path: Path, pick: Pick = Pick.MOST_CENTRAL) -> Sample:
    return Sample(path.read_bytes(), path.name, selection=Selection(pick))


@pytest.mark.models
def test_a_picture_without_a_face_is_rejected_with_the_remedy(modality: FaceModality) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3)).astype(np.uint8)
    _, png = cv2.imencode(".png", noise)
    (extraction,) = modality.extract([Sample(png.tobytes(), "noise.png")], Mode.ENROL)
    assert extraction.rejection is not None
    assert extraction.rejection.reason == "NO_FACE"
    assert "noise.png" in extraction.rejection.message
    assert "pixels apart" in extraction.rejection.message


@pytest.mark.models
def test_a_bad_sample_is_rejected_and_the_others_go_on(modality: FaceModality) -> None:
    bad = [Sample(b"", "empty"), Sample(b"%PDF-1.7", "a.pdf"), Sample(b"\xff\xd8\xff\xe0broken", "b.jpg")]
    found = modality.extract(bad, Mode.PROBE)
    assert all(e.rejection is not None and not e.findings for e in found)
    assert [s.name in e.rejection.message for s, e in zip(bad, found, strict=True) if e.rejection] == [
        True
    ] * 3


@pytest.mark.shared
@pytest.mark.models
def test_mates_score_above_strangers(modality: FaceModality) -> None:
    people = photographs(12, 2)
    found = modality.extract([sample(p) for pair in people for p in pair], Mode.ENROL)
    templates = [e.findings[0].template for e in found]
    assert all(t is not None and t.vectors.shape == (1, 128) for t in templates)
    kept = [t for t in templates if t is not None]
    scores = np.array([[s.value for s in modality.compare(one, kept)] for one in kept])
    same = np.kron(np.eye(len(people)), np.ones((2, 2))).astype(bool) & ~np.eye(len(kept), dtype=bool)
    assert np.median(scores[same]) > np.quantile(scores[~same & ~np.eye(len(kept), dtype=bool)], 0.99)


@pytest.mark.shared
@pytest.mark.models
def test_several_faces_are_each_found_and_one_can_be_selected(modality: FaceModality) -> None:
    one, other = (decode(sample(p[0])) for p in photographs(2, 1))
    _, png = cv2.imencode(".png", np.hstack([one, other])[:, :, ::-1])
    (both,) = modality.extract([Sample(png.tobytes(), "two.png")], Mode.PROBE)
    assert len(both.findings) >= 2
    by_index = Sample(png.tobytes(), "two.png", selection=Selection(Pick.INDEX, index=1))
    (single,) = modality.extract([by_index], Mode.PROBE)
    assert [f.index for f in single.findings] == [1]
    assert single.findings[0].box == both.findings[1].box
    nowhere = Sample(png.tobytes(), "two.png", selection=Selection(Pick.INDEX, index=9))
    (none,) = modality.extract([nowhere], Mode.PROBE)
    assert none.rejection is not None
    assert none.rejection.reason == "FACE_NOT_SELECTED"


@pytest.mark.shared
@pytest.mark.models
def test_an_explanation_is_a_picture_of_both(modality: FaceModality) -> None:
    (pair,) = photographs(1, 2)
    png = modality.explain(sample(pair[0], Pick.ONLY), sample(pair[1], Pick.ONLY))
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape[1] > 500
    assert picture.std() > 20

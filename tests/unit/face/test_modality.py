"""The face modality with the default models on real photographs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from likeness.app.assisting import assistant_for
from likeness.app.loading import load as load_modality
from likeness.app.settings import load
from likeness.domain.calibration import Calibration
from likeness.domain.errors import InvalidInput
from likeness.domain.modality import Presented
from likeness.domain.samples import Mode, Pick, Sample, Selection, Template
from likeness.face.detect import find_faces
from likeness.face.entry import ENTRY as FACE
from likeness.face.entry import FaceSettings
from likeness.face.modality import FaceModality
from likeness.face.parameters import MAX_BATCH
from likeness.imaging.decode import decode
from likeness.imaging.opencv import cv2
from likeness.inference.concurrency.turns import Turns
from likeness.inference.models.catalogue import Catalogue, FileState
from tests.pictures import demo_photographs
from tests.waiting import eventually

DEFAULTS = FaceSettings()
FACES = Path(__file__).parents[4] / "shared" / "data" / "faces"


@pytest.fixture(scope="module")
def modality() -> FaceModality:
    catalogue = Catalogue.standard()
    for name in FACE.models(DEFAULTS):
        if catalogue.state(catalogue.get(name)) is not FileState.READY:
            pytest.skip("the default models are not built; run `likeness models build`")
    return FaceModality.load(
        catalogue,
        detector_id=DEFAULTS.detector,
        recogniser_id=DEFAULTS.recogniser,
        calibration=None,
        turns=Turns(1),
    )


@pytest.fixture
def photograph() -> Path:
    return next(path for path in sorted(demo_photographs().rglob("*")) if "obama" in path.name.lower())


def photographs(count: int, each: int) -> list[list[Path]]:
    if not FACES.is_dir():
        pytest.skip("the evaluation photographs are not next to this checkout")
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
    complete = [t for t in templates if t is not None]
    scores = np.array([[s.value for s in modality.compare(one, complete)] for one in complete])
    same = np.kron(np.eye(len(people)), np.ones((2, 2))).astype(bool) & ~np.eye(len(complete), dtype=bool)
    assert np.median(scores[same]) > np.quantile(scores[~same & ~np.eye(len(complete), dtype=bool)], 0.99)


@pytest.mark.models
def test_a_pair_has_one_score_whatever_is_compared_with_it(modality: FaceModality) -> None:
    """To the last bit: alone as 1:1, among a shortlist, in a batch of an exhaustive search."""
    vectors = np.random.default_rng(7).normal(size=(1001, 128)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    probe, *others = [Template(modality.space.space_id, modality.model, v[None]) for v in vectors]
    alone = [modality.compare(probe, [other])[0] for other in others]
    for size in (1000, 64, 7):
        batches = [others[start : start + size] for start in range(0, len(others), size)]
        assert [score for batch in batches for score in modality.compare(probe, batch)] == alone
    assert modality.compare(probe, others[::-1])[::-1] == alone
    assert [modality.compare(other, [probe])[0] for other in others] == alone


@pytest.mark.shared
@pytest.mark.models
def test_callers_are_embedded_together_where_several_wait_and_alone_where_none_does(
    modality: FaceModality, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(modality, "_observe", lambda report: sizes.append(report.size))
    monkeypatch.setattr(modality._batcher, "_observe", lambda report: sizes.append(report.size))
    probe = sample(photographs(1, 1)[0][0])
    (alone,) = modality.extract([probe], Mode.PROBE)
    assert sizes == [1]
    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(lambda _: modality.extract([probe], Mode.PROBE)[0], range(24)))
    assert sum(sizes) == 25
    assert 1 < max(sizes) <= MAX_BATCH
    expected = alone.findings[0].template
    assert expected is not None
    for extraction in together:
        found = extraction.findings[0].template
        assert found is not None
        assert np.abs(found.vectors - expected.vectors).max() < 1e-5


def side_by_side(one: np.ndarray, other: np.ndarray) -> bytes:
    """Two photographs in one, PNG; the second may be smaller."""
    sheet = np.zeros((max(one.shape[0], other.shape[0]), one.shape[1] + other.shape[1], 3), np.uint8)
    sheet[: one.shape[0], : one.shape[1]] = one
    sheet[: other.shape[0], one.shape[1] :] = other
    return png(sheet)


def png(pixels: np.ndarray) -> bytes:
    done, data = cv2.imencode(".png", np.ascontiguousarray(pixels[:, :, ::-1]))
    assert done
    return data.tobytes()


def single_faces(modality: FaceModality, count: int) -> list[np.ndarray]:
    """Photographs in which the detector sees one face only."""
    people = (decode(sample(p[0])) for p in photographs(60, 1))
    return [image for image in people if len(modality.detector.detect(image, thorough=True)) == 1][:count]


@pytest.mark.shared
@pytest.mark.models
def test_several_faces_are_each_found_and_one_can_be_selected(modality: FaceModality) -> None:
    one, other = single_faces(modality, 2)
    both = Sample(side_by_side(one, other), "two.png")
    (found,) = modality.extract([both], Mode.PROBE)
    assert [f.index for f in found.findings] == [0, 1]
    assert found.findings[0].box is not None
    assert found.findings[1].box is not None
    assert found.findings[0].box.area >= found.findings[1].box.area
    (single,) = modality.extract([replace(both, selection=Selection(Pick.INDEX, index=1))], Mode.PROBE)
    assert [f.index for f in single.findings] == [1]
    assert single.findings[0].box == found.findings[1].box
    (none,) = modality.extract([replace(both, selection=Selection(Pick.INDEX, index=9))], Mode.PROBE)
    assert none.rejection is not None
    assert none.rejection.reason == "FACE_NOT_SELECTED"


@pytest.mark.shared
@pytest.mark.models
def test_several_faces_stop_an_enrolment_unless_one_is_selected(modality: FaceModality) -> None:
    one, other = single_faces(modality, 2)
    both = Sample(side_by_side(one, other), "two.png")
    for mode, severity in ((Mode.ENROL, "reject"), (Mode.ANALYSE, "reject"), (Mode.PROBE, "warn")):
        (found,) = modality.extract([both], mode)
        severities = [[i.severity for i in f.issues if i.reason == "SEVERAL_FACES"] for f in found.findings]
        assert severities == [[severity]] * 2
    (chosen,) = modality.extract([replace(both, selection=Selection(Pick.MOST_PROMINENT))], Mode.ENROL)
    assert [
        issue.reason for f in chosen.findings for issue in f.issues if issue.reason == "SEVERAL_FACES"
    ] == []
    assert len(chosen.findings) == 1


@pytest.mark.shared
@pytest.mark.models
def test_a_bystander_does_not_stop_an_enrolment_and_is_answered_in_a_search(modality: FaceModality) -> None:
    one, other = single_faces(modality, 2)
    main = cv2.resize(one, (1000, 1000), interpolation=cv2.INTER_CUBIC)
    both = Sample(side_by_side(np.asarray(main, np.uint8), other), "portrait.png")
    (found,) = modality.extract([both], Mode.PROBE)
    assert len(found.findings) == 2
    (portrait,) = modality.extract([both], Mode.ENROL)
    assert [f.index for f in portrait.findings] == [0]
    assert "SEVERAL_FACES" not in {issue.reason for issue in portrait.findings[0].issues}


@pytest.mark.shared
@pytest.mark.models
def test_samples_are_answered_in_order_and_the_same_alone_or_together(modality: FaceModality) -> None:
    samples: list[Sample] = []
    for pair in photographs(4, 2):
        samples += [*(sample(p) for p in pair), Sample(b"GIF89a", "no.gif")]
    together = modality.extract(samples, Mode.PROBE)
    alone = [modality.extract([one], Mode.PROBE)[0] for one in samples]
    assert [bool(e.rejection) for e in together] == [False, False, True] * 4
    for a, b in zip(together, alone, strict=True):
        assert [f.box for f in a.findings] == [f.box for f in b.findings]
        for x, y in zip(a.findings, b.findings, strict=True):
            assert x.template is not None
            assert y.template is not None
            assert np.allclose(x.template.vectors, y.template.vectors, atol=1e-5)
    first = together[0]
    assert (first.width, first.height) == (250, 250)
    assert set(first.timings) == {"decode", "detect", "embed"}


@pytest.mark.shared
@pytest.mark.models
def test_many_threads_get_what_one_gets(modality: FaceModality) -> None:
    samples = [sample(p) for pair in photographs(6, 2) for p in pair]
    alone = [modality.extract([one], Mode.PROBE)[0].findings[0] for one in samples]
    with ThreadPoolExecutor(8) as pool:
        crowd = list(pool.map(lambda one: modality.extract([one], Mode.PROBE)[0].findings[0], samples * 3))
    for found, expected in zip(crowd, alone * 3, strict=True):
        assert found.landmarks == expected.landmarks
        assert found.template is not None
        assert expected.template is not None
        assert np.allclose(found.template.vectors, expected.template.vectors, atol=1e-5)


@pytest.mark.shared
@pytest.mark.models
def test_analysis_measures_without_making_templates(modality: FaceModality) -> None:
    (found,) = modality.extract([sample(photographs(1, 1)[0][0])], Mode.ANALYSE)
    assert found.findings[0].template is None
    assert found.findings[0].quality.unified > 50
    assert "embed" not in found.timings


@pytest.mark.shared
@pytest.mark.models
def test_small_dark_and_tightly_cropped_faces_are_found(modality: FaceModality) -> None:
    (image,) = single_faces(modality, 1)
    face = find_faces(modality.detector, image)[0]
    x, y = (int(v) for v in face.box.centre)
    half = int(face.box.height / 2)
    tight = image[y - half : y + half, x - half : x + half]
    far = np.full((1800, 2400, 3), 90, np.uint8)
    far[700 : 700 + image.shape[0], 900 : 900 + image.shape[1]] = image
    dark = (image * 0.08).astype(np.uint8)
    tiny = np.asarray(cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA), np.uint8)
    for changed in (tight, far, dark, tiny):
        assert len(find_faces(modality.detector, changed)) == 1
    (extraction,) = modality.extract([Sample(png(tiny), "tiny.png")], Mode.ENROL)
    reasons = {i.reason: i.severity for i in extraction.findings[0].issues}
    assert reasons["INTER_EYE_DISTANCE_TOO_SMALL"] == "reject"


@pytest.mark.models
def test_a_calibration_of_another_space_is_refused(modality: FaceModality) -> None:
    column = np.array([0.5, 0.1])
    foreign = Calibration("c", "another/1", "", 10, 5, np.array([0.1, 0.9]), column, column / 2, column * 2)
    with pytest.raises(InvalidInput, match="another/1"):
        FaceModality(
            modality.detector,
            modality.embedder,
            model="m",
            quality_limits={},
            calibration=foreign,
            turns=Turns(1),
        )


@pytest.mark.models
def test_warming_runs_every_graph(modality: FaceModality) -> None:
    modality.warm()


@pytest.mark.shared
@pytest.mark.models
def test_an_explanation_is_a_picture_of_both(modality: FaceModality) -> None:
    (pair,) = photographs(1, 2)
    sides = []
    for photograph in (sample(path, Pick.ONLY) for path in pair):
        (found,) = modality.extract(
            [replace(photograph, selection=Selection(Pick.MOST_PROMINENT))], Mode.PROBE
        )
        template = found.findings[0].template
        assert template is not None
        sides.append(Presented(template, photograph.name, photograph))
    png = modality.explain(sides[0], sides[1]).picture
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape[1] > 500
    assert picture.std() > 20


@pytest.mark.models
def test_an_assistant_extracts_the_same(photograph: Path, tmp_path: Path) -> None:
    settings = load(environment={"LIKENESS_HOME": str(tmp_path), "LIKENESS_THREADS": "2"})
    assistant = assistant_for(FACE, settings)
    assert assistant is not None
    modality = load_modality(FACE, settings, Turns(2), calibrated=False, assistant=assistant)
    one = Sample(photograph.read_bytes(), photograph.name)
    (own,) = modality.extract([one], Mode.ENROL)
    assistant.start()
    try:
        eventually(lambda: assistant.ready)
        assistant._here = 1  # as if another sample were being worked on
        modality.extract_one = None  # type: ignore[assignment,method-assign]  # what this process would do
        (there,) = modality.extract([one], Mode.ENROL)
    finally:
        assistant.close()
    mine, its = own.findings[0].template, there.findings[0].template
    assert mine is not None and its is not None
    assert (its.space, its.model) == (mine.space, mine.model)
    assert np.allclose(its.vectors, mine.vectors, atol=1e-6)
    assert replace(there.findings[0], template=None) == replace(own.findings[0], template=None)


@pytest.mark.parametrize(
    "given", [{"LIKENESS_FACE_ASSISTANT": "false", "LIKENESS_THREADS": "2"}, {"LIKENESS_THREADS": "1"}]
)
def test_no_assistant_where_it_is_turned_off_or_there_is_one_cpu(given: dict[str, str]) -> None:
    assert assistant_for(FACE, load(environment={"LIKENESS_HOME": "/nowhere", **given})) is None

"""Photographs that lie on their side or upside down, on the demonstration's photographs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from likeness.domain.errors import Corrupt
from likeness.domain.modality import Presented
from likeness.domain.samples import Box, Finding, Mode, Pick, Sample, Selection, Severity
from likeness.face import upright
from likeness.face.detect import Detection, Pixels, find_faces
from likeness.face.entry import ENTRY as FACE
from likeness.face.entry import FaceSettings
from likeness.face.judge import issues
from likeness.face.modality import FaceModality
from likeness.face.parameters import LIMITS, UPRIGHT_DOUBT
from likeness.face.quality import assess, face_view
from likeness.face.turning import look, unturned
from likeness.imaging.decode import decode
from likeness.imaging.opencv import cv2
from likeness.inference.concurrency.turns import Turns
from likeness.inference.models.catalogue import Catalogue, FileState
from tests.pictures import demo_photographs

DEFAULTS = FaceSettings()
SURE_MATCH = 0.9415  # the default recogniser's score at a false match rate of 1e-4
QUARTERS = (1, 2, 3)


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


@pytest.fixture(scope="module")
def portraits(modality: FaceModality) -> list[Pixels]:
    """The demonstration's photographs that show one face, at most 640 pixels high."""
    found = []
    for path in sorted(demo_photographs().rglob("*.jpg")):
        image = decode(Sample(path.read_bytes(), path.name))
        scale = min(1.0, 640 / max(image.shape[:2]))
        small = np.asarray(
            cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
        )
        if len(find_faces(modality.detector, small)) == 1:
            found.append(small)
    assert len(found) > 2
    return found


def turned(image: Pixels, quarters: int) -> Pixels:
    return np.ascontiguousarray(np.rot90(image, -quarters))


def sample(image: Pixels, selection: Selection = Selection()) -> Sample:
    done, data = cv2.imencode(".png", np.ascontiguousarray(image[:, :, ::-1]))
    assert done
    return Sample(data.tobytes(), "photo.png", selection=selection)


def extracted(modality: FaceModality, given: Sample, mode: Mode = Mode.ENROL) -> Finding:
    (extraction,) = modality.extract([given], mode)
    assert extraction.rejection is None
    return extraction.findings[0]


def upside_down(face: Detection) -> Detection:
    """Landmarks as invented for a face that stands on its head."""
    return replace(face, landmarks=2 * face.landmarks.mean(axis=0) - face.landmarks)


@pytest.mark.models
@pytest.mark.parametrize("quarters", QUARTERS)
def test_a_turned_photograph_is_turned_back_and_matches_itself(
    modality: FaceModality, portraits: list[Pixels], quarters: int
) -> None:
    for image in portraits:
        whole = extracted(modality, sample(image))
        found = extracted(modality, sample(turned(image, quarters)))
        assert whole.template is not None
        assert found.template is not None
        assert modality.compare(whole.template, [found.template])[0].value >= SURE_MATCH
        reasons = {issue.reason: issue.severity for issue in found.issues}
        assert reasons["PHOTOGRAPH_TURNED"] is Severity.WARN
        assert "PHOTOGRAPH_TURNED" not in {issue.reason for issue in whole.issues}


@pytest.mark.models
@pytest.mark.parametrize("quarters", QUARTERS)
def test_box_and_landmarks_lie_in_the_photograph_as_sent(
    modality: FaceModality, portraits: list[Pixels], quarters: int
) -> None:
    image = portraits[0]
    sent = turned(image, quarters)
    (extraction,) = modality.extract([sample(sent)], Mode.ANALYSE)
    found, whole = extraction.findings[0], extracted(modality, sample(image), Mode.ANALYSE)
    assert (extraction.width, extraction.height) == (sent.shape[1], sent.shape[0])
    size = (image.shape[1], image.shape[0])
    expected = unturned(np.array(whole.landmarks), size, 4 - quarters)
    assert np.abs(np.array(found.landmarks) - expected).max() < 2
    assert found.box is not None
    x, y = np.mean(found.landmarks, axis=0).tolist()
    assert found.box.x < x < found.box.x + found.box.width
    assert found.box.y < y < found.box.y + found.box.height


@pytest.mark.models
def test_a_region_selects_in_the_photograph_as_sent(modality: FaceModality, portraits: list[Pixels]) -> None:
    sent = turned(portraits[0], 1)
    whole = extracted(modality, sample(sent), Mode.ANALYSE)
    assert whole.box is not None
    selection = Selection(Pick.REGION, region=whole.box)
    assert extracted(modality, sample(sent, selection), Mode.PROBE).landmarks == whole.landmarks
    elsewhere = Selection(Pick.REGION, region=Box(0, 0, max(whole.box.x - 1, 0.5), max(whole.box.y - 1, 0.5)))
    (missed,) = modality.extract([sample(sent, elsewhere)], Mode.PROBE)
    assert missed.rejection is not None
    assert missed.rejection.reason == "FACE_NOT_SELECTED"


@pytest.mark.models
def test_a_picture_of_a_comparison_shows_the_face_turned_upright(
    modality: FaceModality, portraits: list[Pixels]
) -> None:
    image = portraits[0]
    template = extracted(modality, sample(image)).template
    assert template is not None
    side = modality._side(Presented(template, "probe", sample(turned(image, 2))))
    assert side.image.shape == image.shape
    assert np.array_equal(side.image, image)


@pytest.mark.models
def test_a_tilted_face_is_left_as_it_is(modality: FaceModality, portraits: list[Pixels]) -> None:
    for image in portraits:
        height, width = image.shape[:2]
        for degrees in (-35, -20, 20, 35):
            about = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 0.8)
            tilted = np.asarray(cv2.warpAffine(image, about, (width, height)), np.uint8)
            if find_faces(modality.detector, tilted):
                assert look(modality.detector, tilted).quarters == 0


@pytest.mark.models
def test_invented_landmarks_are_doubted_or_refused_whatever_detector_they_come_from(
    modality: FaceModality, portraits: list[Pixels]
) -> None:
    limit = {"Uprightness": LIMITS["Uprightness"]}
    refused = []
    for image in portraits:
        face = find_faces(modality.detector, image)[0]
        assert issues(assess(face, image), limit, Mode.ENROL, "photo.png") == ()
        measured = assess(upside_down(face), image)
        assert upright.log_odds(face_view(upside_down(face), image)) < UPRIGHT_DOUBT
        found = issues(measured, limit, Mode.ENROL, "photo.png")
        refused += [issue for issue in found if issue.severity is Severity.REJECT]
        assert all(i.severity is Severity.WARN for i in issues(measured, limit, Mode.PROBE, "photo.png"))
    assert refused
    assert {issue.reason for issue in refused} == {"FACE_TURNED"}
    assert "photo.png" in refused[0].message


@pytest.mark.parametrize("quarters", QUARTERS)
def test_points_are_turned_back_to_the_pixel_they_were_on(quarters: int) -> None:
    image = np.arange(5 * 7, dtype=np.uint8).reshape(5, 7)
    sent = turned(image, quarters)
    points = np.array([[0, 0], [3, 2], [1, 4]])
    back = unturned(points, (sent.shape[1], sent.shape[0]), quarters).astype(int)
    assert image[back[:, 1], back[:, 0]].tolist() == sent[points[:, 1], points[:, 0]].tolist()


def test_light_and_contrast_hardly_change_what_is_seen_of_a_face() -> None:
    draw = np.random.default_rng(0)
    coarse = draw.uniform(60, 200, (12, 12)).astype(np.float32)
    view = cv2.resize(coarse, (96, 96), interpolation=cv2.INTER_CUBIC).clip(0, 255)
    one, other = (upright.features(v.astype(np.uint8)) for v in (view, view * 0.6 + 40))
    assert one.shape == (upright.FEATURES,)
    assert np.linalg.norm(one - other) < 0.2 * np.linalg.norm(one)


def test_a_regression_is_read_as_it_was_written_and_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / upright.FILE
    path.parent.mkdir()
    weights = np.linspace(-1, 1, upright.FEATURES, dtype=np.float32)
    upright.Upright(weights, 0.5).write(path)
    read = upright.Upright.load(path)
    assert read.bias == 0.5
    assert np.array_equal(read.weights, weights)
    for damaged in (weights[1:], np.full_like(weights, np.nan)):
        upright.Upright(damaged, 0.5).write(path)
        with pytest.raises(Corrupt, match=upright.FILE):
            upright.Upright.load(path)
    path.write_bytes(b"nothing")
    with pytest.raises(Corrupt, match="restore"):
        upright.Upright.load(path)

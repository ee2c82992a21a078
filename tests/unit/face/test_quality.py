from __future__ import annotations

import numpy as np
import pytest

from likeness.domain.samples import Box, Severity
from likeness.face import quality
from likeness.face.detect import Detection
from likeness.imaging.opencv import cv2
from likeness.inference.manifest import Edges

SIZE = (400, 400)
FRONTAL = np.array([[150, 180], [250, 180], [200, 233], [160, 280], [240, 280]], np.float32)


BOX = Box(100, 100, 200, 240)


def face(landmarks: np.ndarray = FRONTAL, box: Box = BOX, confidence: float = 0.99) -> Detection:
    return Detection(box, confidence, landmarks.astype(np.float32))


def chip(seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(60, 220, (75, 75, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (150, 150), interpolation=cv2.INTER_CUBIC), np.uint8)


def value(name: str, detection: Detection | None = None, pixels: np.ndarray | None = None) -> float:
    measured = quality.assess(detection or face(), chip() if pixels is None else pixels, SIZE, 1)
    part = measured.component(name)
    assert part is not None
    return part.value


def reasons(detection: Detection, pixels: np.ndarray | None = None) -> dict[str, Severity]:
    measured = quality.assess(detection, chip() if pixels is None else pixels, SIZE, 1)
    return {issue.reason: issue.severity for issue in quality.issues(measured, "a.jpg")}


def test_a_good_face_has_no_issues_and_a_high_unified_score() -> None:
    measured = quality.assess(face(), chip(), SIZE, 1)
    assert quality.issues(measured, "a.jpg") == ()
    assert measured.unified > 80


@pytest.mark.parametrize(("degrees", "turned"), [(0, FRONTAL), (25, None), (-40, None)])
def test_roll_is_the_angle_of_the_eye_line(degrees: float, turned: np.ndarray | None) -> None:
    angle = np.radians(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    marks = (FRONTAL - 200) @ matrix.T + 200
    found = quality.pose(face(marks))
    assert found.roll == pytest.approx(degrees, abs=0.01)
    assert found.yaw == pytest.approx(0, abs=0.01)
    assert found.pitch == pytest.approx(0, abs=1)


def test_yaw_grows_as_the_nose_leaves_the_middle() -> None:
    yaws = []
    for shift in (-40, -20, 0, 20, 40):
        marks = FRONTAL.copy()
        marks[2, 0] += shift
        yaws.append(quality.pose(face(marks)).yaw)
    assert yaws == sorted(yaws)
    assert yaws[2] == pytest.approx(0, abs=0.01)
    assert yaws[4] == pytest.approx(40, abs=1)


@pytest.mark.parametrize(("pixels", "severity"), [(20, Severity.REJECT), (30, Severity.WARN), (50, None)])
def test_inter_eye_distance_rejects_under_24_and_warns_under_40_pixels(
    pixels: float, severity: Severity | None
) -> None:
    found = reasons(face((FRONTAL - 200) * pixels / 100 + 200, Box(150, 150, pixels * 2, pixels * 2.4)))
    assert found.get("INTER_EYE_DISTANCE_TOO_LOW") is severity


def test_sharpness_falls_with_blur_and_exposure_with_light() -> None:
    sharp = chip()
    blurred = [np.asarray(cv2.GaussianBlur(sharp, (0, 0), sigma), np.uint8) for sigma in (2, 4, 8)]
    values = [value("Sharpness", pixels=p) for p in (sharp, *blurred)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 20 < values[0]
    dark = [(sharp * share).astype(np.uint8) for share in (1, 0.5, 0.2, 0.05)]
    values = [value("UnderExposurePrevention", pixels=p) for p in dark]
    assert values == sorted(values, reverse=True)
    assert value("OverExposurePrevention", pixels=np.full((150, 150, 3), 255, np.uint8)) == 0
    assert reasons(face(), dark[-1])["UNDER_EXPOSURE_PREVENTION_TOO_LOW"] is Severity.REJECT


@pytest.mark.parametrize(
    ("box", "component"),
    [
        (Box(-100, 100, 200, 200), "LeftwardCropOfTheFaceImage"),
        (Box(300, 100, 200, 200), "RightwardCropOfTheFaceImage"),
        (Box(100, -100, 200, 200), "MarginAboveOfTheFaceImage"),
        (Box(100, 300, 200, 200), "MarginBelowOfTheFaceImage"),
    ],
)
def test_a_face_cut_by_an_edge_is_rejected_for_that_edge(box: Box, component: str) -> None:
    assert value(component, face(box=box)) == 50
    measured = quality.assess(face(box=box), chip(), SIZE, 1)
    (issue,) = (i for i in quality.issues(measured, "a.jpg") if i.severity is Severity.REJECT)
    assert component in issue.message
    assert "a.jpg" in issue.message


def test_a_models_own_limits_replace_ours() -> None:
    measured = quality.assess(face(confidence=0.7), chip(), SIZE, 1)
    (issue,) = quality.issues(measured, "a.jpg")
    assert (issue.reason, issue.severity) == ("DETECTOR_CONFIDENCE_TOO_LOW", Severity.REJECT)
    lenient = {"DetectorConfidence": Edges(reject=0.4, warn=0.6)}
    assert quality.issues(measured, "a.jpg", lenient) == ()


def test_every_component_is_between_0_and_100() -> None:
    draw = np.random.default_rng(5)
    for _ in range(200):
        marks = draw.normal(200, 150, (5, 2))
        box = Box(*draw.normal(100, 200, 2), *draw.uniform(1, 400, 2))
        measured = quality.assess(face(marks, box, draw.uniform()), chip(), SIZE, 3)
        assert all(0 <= part.value <= 100 for part in measured.components)
        assert 0 <= measured.unified <= 100

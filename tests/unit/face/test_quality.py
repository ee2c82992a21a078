from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from likeness.domain.samples import Box
from likeness.face.detect import Detection
from likeness.face.quality import assess, face_view
from likeness.imaging.opencv import cv2

FRONTAL = np.array([[150, 180], [250, 180], [200, 239], [156, 291], [244, 291]], np.float32)
BOX = Box(100, 100, 200, 240)


def face(landmarks: np.ndarray = FRONTAL, box: Box = BOX, confidence: float = 0.99) -> Detection:
    return Detection(box, confidence, landmarks.astype(np.float32))


def picture() -> np.ndarray:
    """Detail at every scale, as skin and features have."""
    draw = np.random.default_rng(0)
    total = np.zeros((400, 400, 3))
    for cells in (6, 25, 50, 100, 200):
        coarse = draw.normal(0, 1, (cells, cells, 3)).astype(np.float32)
        total += cv2.resize(coarse, (400, 400), interpolation=cv2.INTER_CUBIC) * (40 / np.sqrt(cells / 6))
    return np.clip(total + 128, 0, 255).astype(np.uint8)


PICTURE = picture()


def component(
    name: str, detection: Detection | None = None, pixels: np.ndarray = PICTURE
) -> tuple[float, float]:
    part = assess(detection or face(), pixels).component(name)
    assert part is not None
    assert part.native is not None
    return part.value, part.native


def test_a_good_face_scores_high_in_everything() -> None:
    measured = assess(face(), PICTURE)
    other = {"MarginAboveOfTheFaceImage", "MarginBelowOfTheFaceImage", "Uprightness"}  # noise is no face
    low = {c.name: c.value for c in measured.components if c.value < 70 and c.name not in other}
    assert low == {}
    assert measured.unified > 85


def _blurred(sigma: float) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(PICTURE, (0, 0), sigma), np.uint8)


def _brightened(gain: float) -> np.ndarray:
    return np.clip(PICTURE * float(gain), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "change", "levels"),
    [
        ("Sharpness", _blurred, [0.1, 2, 4, 6, 10, 20]),
        ("UnderExposurePrevention", _brightened, [1, 0.2, 0.15, 0.1]),
        ("OverExposurePrevention", _brightened, [1.3, 1.6, 2.5, 6]),
        ("DynamicRange", _brightened, [1, 0.5, 0.2, 0.1, 0.02]),
    ],
)
def test_a_component_falls_as_its_property_gets_worse(
    name: str, change: Callable[[float], np.ndarray], levels: list[float]
) -> None:
    values = [component(name, pixels=change(level))[0] for level in levels]
    assert values == sorted(values, reverse=True)
    assert values[0] > 70
    assert values[-1] < 30
    unified = [assess(face(), change(level)).unified for level in levels]
    assert unified == sorted(unified, reverse=True)


def test_sharpness_does_not_take_darkness_for_blur() -> None:
    assert component("Sharpness", pixels=_brightened(0.4))[0] == pytest.approx(
        component("Sharpness")[0], rel=0.1
    )


def test_inter_eye_distance_is_in_pixels_and_corrected_for_yaw() -> None:
    value, native = component("InterEyeDistance")
    assert native == pytest.approx(100, rel=0.001)
    assert value == pytest.approx(100 / (1 + np.exp(-1.5)), abs=0.1)  # OFIQ: sigmoid at 70, width 20
    turned = FRONTAL.copy()
    turned[2, 0] += 25
    assert component("InterEyeDistance", face(turned))[1] > 105


def test_exposure_and_range_are_measured_as_by_ofiq() -> None:
    view = face_view(face(), PICTURE)
    assert view.shape == (96, 96)
    black = np.zeros_like(PICTURE)
    assert component("UnderExposurePrevention", pixels=black) == pytest.approx((0, 1), abs=0.1)
    assert component("DynamicRange", pixels=black) == (0, 0)
    assert component("OverExposurePrevention", pixels=black) == (100, 0)
    white = np.full_like(PICTURE, 255)
    assert component("OverExposurePrevention", pixels=white) == pytest.approx((1 / 1.01, 1))
    assert component("UnderExposurePrevention", pixels=white) == pytest.approx((99.84, 0), abs=0.01)


def test_the_view_is_the_face_upright() -> None:
    """Turned landmarks on a turned picture see what the straight ones see."""
    matrix = cv2.getRotationMatrix2D((200, 220), 25, 1.0)
    turned = np.asarray(cv2.warpAffine(PICTURE, matrix, (400, 400)), np.uint8)
    marks = FRONTAL @ matrix[:, :2].T + matrix[:, 2]
    one, other = face_view(face(), PICTURE), face_view(face(marks), turned)
    assert np.corrcoef(one.reshape(-1), other.reshape(-1))[0, 1] > 0.98


@pytest.mark.parametrize(
    ("shift", "name"),
    [
        ((-145, 0), "LeftwardCropOfTheFaceImage"),
        ((145, 0), "RightwardCropOfTheFaceImage"),
        ((0, -175), "MarginAboveOfTheFaceImage"),
        ((0, 160), "MarginBelowOfTheFaceImage"),
    ],
)
def test_the_edge_that_cuts_a_face_is_named(shift: tuple[float, float], name: str) -> None:
    names = ("Leftward", "Rightward", "MarginAbove", "MarginBelow")
    margins = {
        c.name: c.native
        for c in assess(face(FRONTAL + np.array(shift, np.float32)), PICTURE).components
        if c.name.startswith(names)
    }
    assert len(margins) == 4
    assert min(margins, key=lambda key: margins[key] or 0.0) == name
    assert component(name, face(FRONTAL + np.array(shift, np.float32)))[0] < 1


def test_single_face_present_compares_with_the_next_largest() -> None:
    small, large = face(box=Box(0, 0, 50, 60)), face(box=Box(0, 0, 400, 480))

    def single(others: list[Detection]) -> tuple[float, float | None]:
        part = assess(face(), PICTURE, others).component("SingleFacePresent")
        assert part is not None
        return part.value, part.native

    assert single([]) == (100, 0)
    assert single([small]) == (75, 0.25)
    assert single([small, large]) == (0, 2)


def test_every_component_of_any_face_is_between_0_and_100() -> None:
    draw = np.random.default_rng(5)
    for _ in range(200):
        marks = draw.normal(200, 150, (5, 2))
        box = Box(*draw.normal(100, 200, 2), *draw.uniform(0, 400, 2))
        measured = assess(face(marks, box, draw.uniform()), PICTURE, [face(box=box)])
        assert all(0 <= part.value <= 100 for part in measured.components)
        assert 0 < measured.unified <= 100

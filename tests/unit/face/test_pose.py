from __future__ import annotations

import numpy as np
import pytest

from likeness.face import pose
from likeness.face.parameters import MEAN_HEAD


def seen(yaw: float, pitch: float, roll: float, *, distance: float = np.inf, nose: float = 1.0) -> np.ndarray:
    """Landmarks of a head at that pose: orthographic, or in perspective from `distance` millimetres."""
    head = np.array(MEAN_HEAD)
    head[2, 2] *= nose
    a, b, c = np.radians([yaw, pitch, roll])
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    nod = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    tilt = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    points = head @ (tilt @ nod @ turn).T
    return np.asarray(points[:, :2] / (1 - points[:, 2:] / distance) * 0.7 + (120, 90))


@pytest.mark.parametrize("yaw", [-60, -20, 0, 35])
@pytest.mark.parametrize("pitch", [-30, 0, 25])
@pytest.mark.parametrize("roll", [-80, 0, 40])
def test_the_mean_head_from_afar_is_exact(yaw: float, pitch: float, roll: float) -> None:
    found = pose.estimate(seen(yaw, pitch, roll))
    assert (found.yaw, found.pitch, found.roll) == pytest.approx((yaw, pitch, roll), abs=1e-6)


@pytest.mark.parametrize("yaw", [-30, 0, 30])
@pytest.mark.parametrize("pitch", [-15, 0, 15])
@pytest.mark.parametrize("nose", [0.8, 1.25])
def test_another_nose_seen_from_one_metre_is_within_ten_degrees(
    yaw: float, pitch: float, nose: float
) -> None:
    found = pose.estimate(seen(yaw, pitch, 0, distance=1000, nose=nose))
    assert (found.yaw, found.pitch, found.roll) == pytest.approx((yaw, pitch, 0), abs=10)


def test_signs_are_those_of_the_image() -> None:
    """A nose to the right of the eyes is a head turned right; a long face below a short one, looking down."""
    frontal = seen(0, 0, 0)
    right, down = frontal.copy(), frontal.copy()
    right[2, 0] += 8
    down[2, 1] += 5
    assert pose.estimate(right).yaw > 10
    assert pose.estimate(down).pitch > 5
    turned = pose.estimate((frontal - frontal.mean(0)) @ np.array([[0.8, 0.6], [-0.6, 0.8]]))
    assert turned.roll == pytest.approx(np.degrees(np.arcsin(0.6)))


@pytest.mark.parametrize("marks", [np.zeros((5, 2)), np.ones((5, 2)), np.tile([[1.0, 2.0]], (5, 1))])
def test_landmarks_that_coincide_have_no_pose(marks: np.ndarray) -> None:
    assert pose.estimate(marks) == pose.Pose(0.0, 0.0, 0.0)


def test_landmarks_on_a_line_have_no_pose() -> None:
    random = np.random.default_rng(3)
    for _ in range(500):
        start, step = random.integers(-50, 50, 2), random.integers(1, 40, 2)
        marks = start + random.integers(0, 9, (5, 1)) * step
        assert pose.estimate(marks.astype(np.float32)) == pose.Pose(0.0, 0.0, 0.0)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e200])
def test_landmarks_that_are_no_places_have_no_pose(value: float) -> None:
    marks = seen(10, 5, 0)
    marks[3, 1] = value
    assert pose.estimate(marks) == pose.Pose(0.0, 0.0, 0.0)

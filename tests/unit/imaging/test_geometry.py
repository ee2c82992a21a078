from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.domain.errors import InvalidInput
from likeness.imaging.geometry import apply, invert, overlap, similarity, warp
from likeness.imaging.opencv import cv2

TEMPLATE = np.array([[46.2, 44.3], [101.6, 44.3], [73.9, 77.0], [49.4, 106.0], [98.4, 106.0]])


def turned(degrees: float, scale: float, x: float, y: float) -> np.ndarray:
    angle = math.radians(degrees)
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    return np.array([[cosine, -sine, x], [sine, cosine, y]])


@given(st.floats(-180, 180), st.floats(0.05, 20), st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
def test_similarity_recovers_an_exact_one(degrees: float, scale: float, x: float, y: float) -> None:
    truth = turned(degrees, scale, x, y)
    found = similarity(TEMPLATE, apply(truth, TEMPLATE))
    assert np.allclose(apply(found, TEMPLATE), apply(truth, TEMPLATE), atol=1e-6)


def test_similarity_is_the_least_squares_one() -> None:
    """No similarity near the found one fits better; and it agrees with Umeyama's general formula."""
    noisy = apply(turned(20, 1.3, 5, -7), TEMPLATE) + np.random.default_rng(1).normal(0, 3, TEMPLATE.shape)
    found = similarity(TEMPLATE, noisy)

    def error(transform: np.ndarray) -> float:
        return float(((apply(transform, TEMPLATE) - noisy) ** 2).sum())

    for change in (turned(0.2, 1, 0, 0), turned(0, 1.003, 0, 0), turned(0, 1, 0.1, 0), turned(0, 1, 0, -0.1)):
        moved = change[:, :2] @ found
        moved[:, 2] += change[:, 2]
        assert error(moved) > error(found)
    a, b = TEMPLATE - TEMPLATE.mean(0), noisy - noisy.mean(0)
    left, scales, right = np.linalg.svd(b.T @ a)
    umeyama = (left @ right) * scales.sum() / (a**2).sum()
    assert np.allclose(found[:, :2], umeyama)


def test_similarity_never_mirrors() -> None:
    found = similarity(TEMPLATE, TEMPLATE * (-1, 1))
    assert np.linalg.det(found[:, :2]) > 0


@pytest.mark.parametrize(
    "points",
    [np.zeros((5, 2)), np.full((5, 2), np.nan), np.zeros((1, 2)), np.zeros((5, 3)), np.full((5, 2), np.inf)],
)
def test_points_without_a_similarity_are_refused(points: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match="similarity"):
        similarity(points, TEMPLATE[: len(points)])


def test_invert_undoes() -> None:
    transform = turned(33, 0.4, 100, -3)
    assert np.allclose(apply(invert(transform), apply(transform, TEMPLATE)), TEMPLATE)
    with pytest.raises(InvalidInput, match="flattens"):
        invert(np.zeros((2, 3)))


def smooth(width: int, height: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 200 / width, y * 200 / height, (x + y) * 100 / width], axis=2).astype(np.uint8) + 20


@pytest.mark.parametrize("scale", [0.05, 0.13, 0.3, 0.5, 0.79, 0.81, 1.0, 1.7, 3.0])
@pytest.mark.parametrize("degrees", [0.0, 30.0, -90.0])
def test_warp_puts_a_spot_where_the_transform_says(scale: float, degrees: float) -> None:
    """A shift by half a pixel at any scale would show in the centre of gravity."""
    image = np.zeros((400, 400), np.uint8)
    radius = round(6 / scale)
    cv2.circle(image, (210, 190), radius, 255, -1)
    y, x = np.mgrid[0:400, 0:400]
    centre = np.array([[(x * image).sum(), (y * image).sum()]], np.float64) / image.sum()
    transform = turned(degrees, scale, 0, 0)
    transform[:, 2] = np.array([40.3, 44.8]) - transform[:, :2] @ centre[0]
    chip = warp(image, transform, (90, 90)).astype(np.float64)
    rows, columns = np.mgrid[0:90, 0:90]
    found = (columns * chip).sum() / chip.sum(), (rows * chip).sum() / chip.sum()
    assert found == pytest.approx((40.3, 44.8), abs=0.08)


def test_shrinking_averages_instead_of_picking_pixels() -> None:
    stripes = np.zeros((600, 600), np.uint8)
    stripes[:, ::2] = 255
    chip = warp(stripes, turned(0, 0.1, 0.0, 0.0), (60, 60))
    assert chip[5:-5, 5:-5].std() < 3
    assert abs(float(chip[5:-5, 5:-5].mean()) - 127.5) < 3


def test_outside_the_picture_is_black() -> None:
    image = smooth(100, 80)
    assert not warp(image, turned(0, 1, 500, 500), (50, 40)).any()
    assert not warp(image, turned(0, 1, -500, 0), (50, 40)).any()
    half = warp(image, turned(0, 1, 25, 0), (50, 40))
    assert not half[:, :24].any()
    assert half[:, 26:].all()
    assert half.shape == (40, 50, 3)


@given(st.lists(st.tuples(*[st.integers(-50, 50)] * 4), min_size=1, max_size=6))
def test_overlap_agrees_with_counting_cells(corners: list[tuple[int, int, int, int]]) -> None:
    boxes = np.array([[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d in corners], np.float32)
    shares = overlap(boxes, boxes)
    smaller = overlap(boxes, boxes, of_smaller=True)
    for i, one in enumerate(boxes.astype(int)):
        for j, other in enumerate(boxes.astype(int)):
            cells = np.zeros((2, 101, 101), np.bool_)
            for layer, (x0, y0, x1, y1) in zip(cells, (one, other), strict=True):
                layer[y0 + 50 : y1 + 50, x0 + 50 : x1 + 50] = True
            common, union = (cells[0] & cells[1]).sum(), (cells[0] | cells[1]).sum()
            least = min(cells[0].sum(), cells[1].sum())
            assert shares[i, j] == pytest.approx(common / union if union else 0, abs=1e-6)
            assert smaller[i, j] == pytest.approx(common / least if least else 0, abs=1e-6)

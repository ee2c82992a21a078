"""The windows of the MTCNN cascade, without its graphs."""

from __future__ import annotations

import math

import cv2
import numpy as np

from likeness.face.detectors.mtcnn import crops


def picture() -> np.ndarray:
    """Smooth, so that what lies between its pixels is known, and nowhere black."""
    draw = np.random.default_rng(5).uniform(40, 255, (12, 16, 3)).astype(np.float32)
    return np.asarray(cv2.resize(draw, (160, 120), interpolation=cv2.INTER_CUBIC).clip(40, 255), np.uint8)


def test_squares_of_every_octave_are_cut_as_one_warp_each_cuts_them() -> None:
    image = picture()
    halves = [image, cv2.resize(image, (80, 60), interpolation=cv2.INTER_AREA)]
    boxes = np.array(
        [[20, 30, 44, 54], [3.5, -8, 70.5, 59], [100, 60, 190, 150], [-60, 0, -30, 30]], np.float32
    )
    found = crops(halves, boxes, 24)
    assert found.shape == (4, 24, 24, 3)
    for square, (left, top, right, _) in zip(found, boxes.tolist(), strict=True):
        step = (right - left) / 24
        octave = min(int(math.log2(step)), 1)
        fine = 2**octave
        # Pixel i of the square shows the middle of its share of the box.
        start_x, start_y = ((at + step / 2) / fine - 0.5 for at in (left, top))
        back = np.array([[step / fine, 0, start_x], [0, step / fine, start_y]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        expected = cv2.warpAffine(halves[octave], back, (24, 24), flags=flags).astype(int)
        assert np.abs(square.astype(int) - expected).max() <= 6
        assert np.abs(square.astype(int) - expected).mean() < 0.5
    assert not found[3].any()


def test_a_square_of_the_size_asked_for_is_the_picture_itself() -> None:
    image = picture()
    found = crops([image], np.array([[32, 16, 80, 64]], np.float32), 48)
    np.testing.assert_array_equal(found[0], image[16:64, 32:80])

from __future__ import annotations

import numpy as np
import pytest

from likeness.domain.samples import Box
from likeness.face.detect import Detection, batch, find_faces, fit, resize, stretched, suppress
from likeness.imaging.geometry import overlap
from likeness.inference.models.manifest import Input

DYNAMIC = Input(colour="RGB", mean=(0, 0, 0), std=(1, 1, 1), multiple_of=32)
FIXED = Input(colour="BGR", mean=(10, 10, 10), std=(2, 2, 2), width=320, height=160)


def test_suppress_keeps_the_best_of_each_heap() -> None:
    """No two chosen boxes overlap by more than the limit, and every dropped box has a better chosen one over it."""
    draw = np.random.default_rng(3)
    corners = draw.uniform(0, 60, (200, 2))
    boxes = np.hstack([corners, corners + draw.uniform(5, 40, (200, 2))]).astype(np.float32)
    scores = draw.uniform(size=200).astype(np.float32)
    for of_smaller in (False, True):
        chosen = suppress(boxes, scores, 0.4, of_smaller=of_smaller)
        assert np.all(np.diff(scores[chosen]) <= 0)
        shares = overlap(boxes, boxes[chosen], of_smaller=of_smaller)
        among = shares[chosen]
        assert among[~np.eye(len(chosen), dtype=bool)].max() <= 0.4
        for dropped in set(range(200)) - set(chosen.tolist()):
            assert any(
                shares[dropped, k] > 0.4 and scores[chosen[k]] >= scores[dropped] for k in range(len(chosen))
            )
    assert suppress(boxes[:0], scores[:0], 0.4).tolist() == []
    assert suppress(boxes[:1], scores[:1], 0.4).tolist() == [0]


@pytest.mark.parametrize("of_smaller", [False, True])
def test_suppress_drops_what_shows_nothing_and_keeps_the_first_of_equals(of_smaller: bool) -> None:
    sound, far = (10, 10, 30, 30), (50, 50, 70, 70)
    flat, turned, endless, unknown = (5, 5, 5, 9), (30, 30, 10, 10), (0, 0, np.inf, 9), (0, np.nan, 4, 4)
    boxes = np.array([flat, sound, unknown, far, endless, sound, turned, sound], np.float32)
    scores = np.array([0.9, 0.6, 0.9, 0.7, 0.9, 0.6, 0.9, np.nan], np.float32)
    assert suppress(boxes, scores, 0.4, of_smaller=of_smaller).tolist() == [3, 1]
    assert suppress(boxes[:1], scores[:1], 0.4, of_smaller=of_smaller).tolist() == []


@pytest.mark.parametrize(
    ("height", "width", "shape", "scale"),
    [
        (250, 250, (256, 256), 1),
        (64, 96, (64, 96), 1),
        (1000, 500, (640, 320), 0.64),
        (30, 700, (32, 640), 640 / 700),
    ],
)
def test_a_graph_of_free_size_gets_multiples_of_its_step(
    height: int, width: int, shape: tuple[int, int], scale: float
) -> None:
    image = np.full((height, width, 3), 200, np.uint8)
    canvas = fit(image, DYNAMIC, 640)
    assert canvas.pixels.shape == (*shape, 3)
    assert canvas.scale == pytest.approx(scale)
    rows, columns = round(height * scale), round(width * scale)
    assert (canvas.pixels[:rows, :columns] == 200).all()
    assert not canvas.pixels[rows:].any()
    assert not canvas.pixels[:, columns:].any()


def test_batch_orders_colours_and_normalises() -> None:
    image = np.zeros((1, 2, 3, 3), np.uint8)
    image[..., 0], image[..., 1], image[..., 2] = 20, 30, 40
    values = batch(image, FIXED)
    assert values.dtype == np.float32
    assert values.shape == (1, 3, 2, 3)
    assert values[0, :, 0, 0].tolist() == [15, 10, 5]
    last = batch(image, FIXED.model_copy(update={"layout": "NHWC", "colour": "RGB"}))
    assert last.shape == image.shape
    assert last[0, 0, 0].tolist() == [5, 10, 15]


def test_resize_never_makes_a_side_vanish() -> None:
    assert resize(np.zeros((2, 900, 3), np.uint8), 0.1).shape == (1, 90, 3)


class _Sees:
    """Sees a face only where the picture is bright enough, or only when it looks thoroughly."""

    def __init__(self, *, brightness: float = 0.0, thorough: bool = False) -> None:
        self.brightness, self.needs = brightness, thorough
        self.looked = 0

    def detect(self, image: np.ndarray, *, thorough: bool = False) -> list[Detection]:
        self.looked += 1
        if image.max() < self.brightness or (self.needs and not thorough):
            return []
        return [Detection(Box(1, 2, 3, 4), 0.9, np.zeros((5, 2), np.float32))]

    def warm(self) -> None:
        raise NotImplementedError


def gradient(low: int, high: int) -> np.ndarray:
    return np.repeat(np.linspace(low, high, 100).astype(np.uint8)[None, :, None], 60, axis=0).repeat(
        3, axis=2
    )


def test_a_picture_without_a_face_is_searched_again_brighter_and_thoroughly() -> None:
    eager = _Sees()
    assert len(find_faces(eager, gradient(0, 255))) == 1
    assert eager.looked == 1
    assert len(find_faces(_Sees(thorough=True), gradient(0, 255))) == 1
    assert len(find_faces(_Sees(brightness=250), gradient(10, 30))) == 1
    assert find_faces(_Sees(brightness=250), gradient(7, 8)) == []  # a stretch of nothing shows noise


def test_stretching_spreads_flat_levels_and_leaves_others() -> None:
    ordinary = gradient(20, 220)
    assert stretched(ordinary) is ordinary
    flat = stretched(gradient(80, 120))
    assert (flat.min(), flat.max()) == (0, 255)
    assert np.all(np.diff(flat[0, :, 0].astype(int)) >= 0)

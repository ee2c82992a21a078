"""Geometric verification: the transform is the one that was applied, and strangers have none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from likeness.object.local import Details, coded, raw
from likeness.object.verify import hull, inside, matches, verify, weighed
from tests.unit.object import things
from tests.unit.object.things import Pixels


def describe(image: Pixels) -> Details:
    return coded(*raw(image), image.shape[1], image.shape[0])


@pytest.mark.parametrize(
    "matrix",
    [
        [[0.8, -0.3, 70], [0.3, 0.8, 10], [0, 0, 1]],
        [[0.9, 0.1, 5], [0.05, 0.8, 20], [3e-4, 2e-4, 1]],
        [[0, -1, 259], [1, 0, 0], [0, 0, 1]],
    ],
)
def test_the_transform_is_the_one_applied(matrix: list[list[float]]) -> None:
    image, applied = things.thing(1), np.array(matrix, np.float64)
    other = np.asarray(cv2.warpPerspective(image, applied, (330, 330), borderValue=(128, 128, 128)), np.uint8)
    found = verify(describe(image), describe(other))
    assert found.transform is not None
    assert len(found.pairs) > 40
    corners = np.array([[60.0, 50], [260, 50], [260, 210], [60, 210]])[None]
    expected, got = (cv2.perspectiveTransform(corners, m)[0] for m in (applied, found.transform))
    assert np.abs(expected - got).max() < 2.5


def test_it_is_found_between_sizes() -> None:
    image = things.thing(2, 480, 380)
    small = np.asarray(cv2.resize(image, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA), np.uint8)
    found = verify(describe(small), describe(image))
    assert found.transform is not None
    assert found.transform[0, 0] / found.transform[2, 2] == pytest.approx(2.5, rel=0.05)


def test_strangers_agree_on_little() -> None:
    for seed in range(8):
        found = verify(describe(things.thing(2 * seed)), describe(things.thing(2 * seed + 1)))
        assert found.spread < 9
        assert len(found.pairs) <= found.matches


def test_a_mirror_image_is_not_a_view() -> None:
    image = things.thing(3)
    assert verify(describe(image), describe(things.mirrored(image))).spread < 9


def test_area_and_agreement_tell_an_object_from_what_surrounds_it() -> None:
    scene = things.thing(50, 400, 400)
    one = things.inside(things.thing(51, 220, 220), scene, (90, 90), 1.0)
    other = things.inside(things.thing(52, 220, 220), scene, (90, 90), 1.0)
    same, surround = verify(describe(one), describe(one)), verify(describe(one), describe(other))
    assert surround.area > 0.5
    assert same.agreement > 0.95
    assert surround.agreement < 0.75


def test_weights_lower_what_counts_and_not_what_is_found() -> None:
    details = describe(things.thing(4))
    full = verify(details, details)
    half = weighed(full, details, details, np.full(len(details), 0.5, np.float32))
    none = weighed(full, details, details, np.zeros(len(details), np.float32))
    assert half.spread == pytest.approx(full.spread / 4)
    assert half.share == pytest.approx(full.share / 4)
    assert (none.spread, none.share, none.area, none.agreement) == (0, 0, 0, 0)
    assert len(none.pairs) == len(full.pairs)
    assert none.transform is not None


def test_what_counts_for_nothing_does_not_hide_what_moved() -> None:
    """A small object moved before a background that did not: without weights the background wins."""
    scene, small = things.thing(60, 420, 360), things.thing(61, 130, 110)
    one = describe(things.inside(small, scene, (30, 40), 1.0))
    other = describe(things.inside(small, scene, (250, 200), 1.0))
    x, y = one.xy[:, 0], one.xy[:, 1]
    on_it = (x > 30) & (x < 160) & (y > 40) & (y < 150)
    ground, moved = verify(one, other), verify(one, other, on_it.astype(np.float32))
    assert ground.transform is not None
    assert moved.transform is not None
    assert abs(ground.transform[0, 2] / ground.transform[2, 2]) < 6
    assert moved.transform[0, 2] / moved.transform[2, 2] == pytest.approx(220, abs=12)


def test_the_hull_spans_what_has_weight() -> None:
    details = describe(things.thing(5))
    most = (details.xy[:, 0] < 220).astype(np.float32)
    found = verify(details, details, most)
    assert 0 < found.area < 0.8 * verify(details, details).area


def test_matches_are_mutual_and_clear() -> None:
    random = np.random.default_rng(0)
    codes = random.integers(0, 256, (30, 48), dtype=np.uint8)
    order = random.permutation(30)
    assert sorted(map(tuple, matches(codes, codes[order]).tolist())) == sorted(
        (int(a), int(b)) for b, a in enumerate(order)
    )
    twice = np.concatenate([codes, codes])
    assert len(matches(codes, twice)) == 0
    assert matches(codes[:1], codes).shape == (0, 2)


def test_points_inside_a_hull_are_counted() -> None:
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], np.float32)
    points = np.array([[5, 5], [0, 0], [10, 5], [11, 5], [-1, -1]], np.float32)
    for turned in (square, square[::-1]):
        assert inside(np.ascontiguousarray(turned), points) == 3
    assert len(hull(np.concatenate([square, points[:1]]))) == 4

import math

import numpy as np
import pytest

from likeness.domain.errors import InvalidInput
from likeness.fingerprint.minutiae import Minutiae
from likeness.fingerprint.parameters import MAX_MINUTIAE
from likeness.fingerprint.shortlist import Shortlister


@pytest.fixture(scope="module")
def shortlister() -> Shortlister:
    return Shortlister()


def finger(seed: int, count: int = 50) -> Minutiae:
    """Minutiae at random in an ellipse, directions along a field of their own."""
    random = np.random.default_rng(seed)
    radius, around = np.sqrt(random.random(count)), random.random(count) * 2 * math.pi
    xy = np.column_stack([200 + 110 * radius * np.cos(around), 220 + 150 * radius * np.sin(around)])
    bend = random.normal(size=3) * 0.01
    angle = xy @ bend[:2] + bend[2] * 100 + math.pi * random.integers(0, 2, count)
    return made(xy, angle)


def made(xy: np.ndarray, angle: np.ndarray, quality: np.ndarray | None = None) -> Minutiae:
    count = len(angle)
    return Minutiae(
        xy.astype(np.float32),
        np.mod(angle, 2 * math.pi).astype(np.float32),
        np.zeros(count, np.uint8),
        np.zeros(count, np.uint8) if quality is None else quality,
    )


def again(of: Minutiae, seed: int, degrees: float = 0.0, lost: float = 0.15) -> Minutiae:
    """Another impression: turned, moved, jittered, some minutiae lost and as many found."""
    random = np.random.default_rng(seed)
    turn = math.radians(degrees)
    turned = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    remaining = random.random(len(of)) >= lost
    strays = int((~remaining).sum())
    xy = np.concatenate([of.xy[remaining], random.uniform((100, 100), (300, 340), (strays, 2))])
    angle = np.concatenate([of.angle[remaining], random.random(strays) * 2 * math.pi])
    xy = (xy + 2.0 * random.normal(size=xy.shape)) @ turned.T + random.normal(size=2) * 40
    return made(xy, angle - turn + 0.08 * random.normal(size=len(angle)))


def test_vectors_have_length_one_and_an_empty_template_has_none(shortlister: Shortlister) -> None:
    empty = made(np.zeros((0, 2)), np.zeros(0))
    found = shortlister.embed([finger(1), empty, finger(2, 1)])
    assert found.shape == (3, shortlister.dimension)
    assert found.dtype == np.float32
    assert np.linalg.norm(found, axis=1) == pytest.approx([1, 0, 1], abs=1e-5)


def test_nothing_to_embed_is_no_vectors(shortlister: Shortlister) -> None:
    assert shortlister.embed([]).shape == (0, shortlister.dimension)


@pytest.mark.parametrize("degrees", [15, 57, 180])
def test_a_vector_depends_on_neither_place_nor_turn(shortlister: Shortlister, degrees: float) -> None:
    turn = math.radians(degrees)
    one = finger(3)
    turned = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    other = made(one.xy @ turned.T + np.array([350.0, -80.0]), one.angle - turn)
    first, second = shortlister.embed([one, other])
    assert first @ second > 0.999


def test_a_mirrored_finger_is_another_finger(shortlister: Shortlister) -> None:
    one = finger(3)
    other = made(one.xy * np.array([-1.0, 1.0]), math.pi - one.angle)
    first, second = shortlister.embed([one, other])
    assert first @ second < 0.8


def test_the_order_of_minutiae_does_not_matter(shortlister: Shortlister) -> None:
    one = finger(4)
    order = np.random.default_rng(0).permutation(len(one))
    first, second = shortlister.embed([one, made(one.xy[order], one.angle[order])])
    assert first == pytest.approx(second, abs=1e-5)


def test_a_vector_does_not_depend_on_what_else_is_in_the_batch(shortlister: Shortlister) -> None:
    many = [finger(seed, count) for seed, count in enumerate([3, 9, 16, 17, 40, 90, 128, 12] * 9)]
    together = shortlister.embed(many)
    alone = np.concatenate([shortlister.embed([one]) for one in many])
    assert together == pytest.approx(alone, abs=1e-5)


def test_of_too_many_minutiae_the_best_take_part(shortlister: Shortlister) -> None:
    best = finger(5, MAX_MINUTIAE)
    worse = finger(6, 30)
    quality = np.concatenate([np.full(MAX_MINUTIAE, 80, np.uint8), np.full(30, 20, np.uint8)])
    both = made(np.concatenate([best.xy, worse.xy]), np.concatenate([best.angle, worse.angle]), quality)
    first, second = shortlister.embed([best, both])
    assert first == pytest.approx(second, abs=1e-5)


def test_coordinates_that_are_not_finite_are_refused(shortlister: Shortlister) -> None:
    broken = finger(7)
    broken.xy[3, 0] = np.nan
    with pytest.raises(InvalidInput, match="not finite"):
        shortlister.embed([broken])


def test_mates_come_first_among_strangers(shortlister: Shortlister) -> None:
    fingers = [finger(seed) for seed in range(200)]
    probes = [again(fingers[i], 1000 + i, degrees=15.0 * ((i % 5) - 2)) for i in range(40)]
    scores = shortlister.embed(probes) @ shortlister.embed(fingers).T
    first = scores.argmax(axis=1) == np.arange(40)
    assert first.mean() >= 0.9

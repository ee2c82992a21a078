"""Where two photographs that lie edge on edge differ: in a rectangle of any size and place, or nowhere."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.object import parameters as p
from likeness.object.rectangles import emptied

SIZE = (480.0, 360.0)


def spread(seed: int, count: int = 300) -> np.ndarray:
    return np.random.default_rng(seed).uniform((0, 0), SIZE, (count, 2)).astype(np.float32)


def within(at: np.ndarray, left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.asarray(((at >= (left, top)) & (at < (right, bottom))).all(1))


@pytest.mark.parametrize("share", [1.0, 0.6, 0.3])
def test_what_agrees_everywhere_is_nowhere_emptied(share: float) -> None:
    """However few agree, as of a blurred or compressed copy."""
    random = np.random.default_rng(1)
    sides = [(spread(n), random.random(300) < share) for n in (2, 3)]
    assert emptied(sides, SIZE) < p.DOUBTED_FROM


@pytest.mark.parametrize(
    ("box", "share"),
    [((120, 90, 360, 270), 0.25), ((0, 0, 480, 240), 0.66), ((40, 180, 480, 360), 0.45)],
)
def test_the_rectangle_that_differs_is_measured(box: tuple[float, float, float, float], share: float) -> None:
    sides = [(at, ~within(at, *box)) for at in (spread(2), spread(3))]
    assert emptied(sides, SIZE) == pytest.approx(share, abs=0.05)


def test_one_side_may_be_bare_there() -> None:
    one, other = spread(2), spread(3)
    box = (120, 90, 360, 330)
    other = other[~within(other, *box)]
    sides = [(one, ~within(one, *box)), (other, np.ones(len(other), np.bool_))]
    assert emptied(sides, SIZE) > p.CONTRADICTED_FROM


def test_some_that_agree_between_the_letters_are_enough() -> None:
    """Text over half of a copy leaves every fifth detail."""
    box = (0, 90, 480, 270)
    random = np.random.default_rng(4)
    sides = [(at, ~within(at, *box) | (random.random(300) < 0.2)) for at in (spread(2), spread(3))]
    assert emptied(sides, SIZE) < p.DOUBTED_FROM


def test_without_details_nothing_is_emptied() -> None:
    none = (np.zeros((0, 2), np.float32), np.zeros(0, np.bool_))
    assert emptied([none, none], SIZE) == 0
    assert emptied([(spread(2), np.zeros(300, np.bool_)), none], SIZE) == 0

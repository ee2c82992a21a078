"""Who pairs with whom, what bends, and what lies in a hull: cases small enough to see."""

import numpy as np
from numpy.typing import NDArray

from likeness.fingerprint.consensus import _bend, columns, nearest_pairs
from likeness.fingerprint.cylinders import borders
from likeness.fingerprint.minutiae import Minutiae
from likeness.fingerprint.overlap import inside
from likeness.fingerprint.prepared import PreparedFinger, prepare

Floats = NDArray[np.float32]


def along(*x: float) -> Floats:
    """Places on one line, float32 [n, 2]."""
    return np.array([(at, 0.0) for at in x], np.float32)


def of(xy: Floats) -> PreparedFinger:
    """A template of minutiae that all point the same way, in the order of their places."""
    n = len(xy)
    return prepare(Minutiae(xy, np.zeros(n, np.float32), np.ones(n, np.uint8), np.zeros(n, np.uint8)))


def test_a_minutia_does_not_take_a_mate_from_a_nearer_one() -> None:
    a, b = of(along(0, 3)).arrays, of(along(1, 8)).arrays
    moved, other = along(0, 3), columns(along(1, 8), b.turn)
    heading = (a.turn + np.float32(np.pi)).astype(np.float32)
    mate, taken, cost = np.empty(2, np.int32), np.empty(2, np.int32), np.empty(2, np.float32)
    similarity, reach = np.zeros((2, 2), np.float32), np.full(2, 20, np.float32)
    nearest_pairs(moved, heading, a, b, other, reach, similarity, mate, taken, cost)
    assert mate.tolist() == taken.tolist() == [0, 1]


def test_a_minutia_is_bent_by_its_neighbours_and_not_by_its_own_mate() -> None:
    moved, other, bent = along(0, 10, 1000), along(4, 10, 1004), np.empty((3, 2), np.float32)
    _bend(moved, other, np.array([0, -1, 2], np.int32), bent)
    assert bent[0].tolist() == [0, 0]
    assert 10 < bent[1, 0] < 14
    assert bent[2].tolist() == [1000, 0]


def test_what_lies_near_a_hull_without_area_is_inside() -> None:
    hull = along(0, 100)
    trust = np.array([0.25, 0.5, 1.0], np.float32)
    xy = np.array([(50, 10), (106, 8), (50, 14)], np.float32)
    assert inside(xy, trust, borders(hull), hull) == (2.0, 0.75)

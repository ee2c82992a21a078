"""Which minutiae of two impressions lie upon each other once one is moved onto the other.

A rigid motion is proposed by each of the best relaxed pairs, the one that most others agree with is refined by
least squares, then bent a little: skin stretches, so each minutia follows the mean displacement of its matched
neighbours.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from likeness.fingerprint import parameters as p
from likeness.fingerprint.cylinders import outside
from likeness.fingerprint.kernel import kernel
from likeness.fingerprint.similarity import turned

_NEAR, _GROWTH, _FAR = p.PAIR_NEAR, p.PAIR_GROWTH, p.PAIR_FAR
_ANGLE = p.PAIR_ANGLE
_REFINED = p.PAIR_REFINED
_FLOOR = p.PAIR_FLOOR
_BEND = p.BEND_LENGTH
_PRIOR = p.BEND_PRIOR
_MARGIN = p.OVERLAP_MARGIN
_GRID = p.OVERLAP_GRID


@kernel
def nearest_pairs(
    moved: NDArray[np.float32],
    heading: NDArray[np.float32],
    xy: NDArray[np.float32],
    turn: NDArray[np.float32],
    tolerance: NDArray[np.float32],
    similarity: NDArray[np.float32],
    mate: NDArray[np.int32],
    taken: NDArray[np.int32],
) -> float:
    """Pair moved minutiae [n] with those at `xy` [m], each at most once and each with its nearest.

    `similarity` float32 [n, m] of their cylinders. Written: `mate` int32 [n], -1 where there is none; `taken` int32
    [m], the other way round. Returns the sum of the pairs' worth: how near they are (1 for two that coincide, 0 for
    two at the tolerance) times what their similarity adds to a floor.
    """
    n, m = moved.shape[0], xy.shape[0]
    cost = np.full(m, np.float32(4.0))
    taken[:m] = -1
    for i in range(n):
        mate[i] = -1
        reach = tolerance[i]
        best = np.float32(1.0)
        found = -1
        for j in range(m):
            dx = moved[i, 0] - xy[j, 0]
            if dx > reach or dx < -reach:
                continue
            dy = moved[i, 1] - xy[j, 1]
            d2 = (dx * dx + dy * dy) / (reach * reach)
            if d2 >= best:
                continue
            da = turned(heading[i] - turn[j]) / _ANGLE
            total = np.float32(0.6 * d2 + 0.4 * da * da)
            if abs(da) < 1.0 and total < best and total < cost[j]:
                best = total
                found = j
        if found >= 0:
            if taken[found] >= 0:
                mate[taken[found]] = -1
            taken[found] = i
            cost[found] = best
            mate[i] = found
    total_near = 0.0
    for j in range(m):
        if taken[j] >= 0:
            total_near += (1.0 - cost[j]) * (_FLOOR + similarity[taken[j], j])
    return total_near


@kernel
def _move(
    xy: NDArray[np.float32],
    turn: NDArray[np.float32],
    motion: NDArray[np.float64],
    moved: NDArray[np.float32],
    heading: NDArray[np.float32],
) -> None:
    """Turn by motion[0] about the origin, then shift by motion[1:3]."""
    c, s = math.cos(motion[0]), math.sin(motion[0])
    for i in range(xy.shape[0]):
        moved[i, 0] = c * xy[i, 0] - s * xy[i, 1] + motion[1]
        moved[i, 1] = s * xy[i, 0] + c * xy[i, 1] + motion[2]
        heading[i] = turn[i] + motion[0]


@kernel
def _least_squares(
    xy: NDArray[np.float32], other: NDArray[np.float32], mate: NDArray[np.int32], motion: NDArray[np.float64]
) -> None:
    """The rigid motion that brings paired minutiae together best (Kabsch in the plane); needs two pairs."""
    n = 0
    ax = ay = bx = by = 0.0
    for i in range(xy.shape[0]):
        j = mate[i]
        if j >= 0:
            n += 1
            ax += xy[i, 0]
            ay += xy[i, 1]
            bx += other[j, 0]
            by += other[j, 1]
    if n < 2:
        return
    ax, ay, bx, by = ax / n, ay / n, bx / n, by / n
    dot = cross = 0.0
    for i in range(xy.shape[0]):
        j = mate[i]
        if j >= 0:
            ux, uy = xy[i, 0] - ax, xy[i, 1] - ay
            vx, vy = other[j, 0] - bx, other[j, 1] - by
            dot += ux * vx + uy * vy
            cross += ux * vy - uy * vx
    if dot == 0.0 and cross == 0.0:
        return
    motion[0] = math.atan2(cross, dot)
    c, s = math.cos(motion[0]), math.sin(motion[0])
    motion[1] = bx - (c * ax - s * ay)
    motion[2] = by - (s * ax + c * ay)


@kernel
def _bend(
    moved: NDArray[np.float32], xy: NDArray[np.float32], mate: NDArray[np.int32], bent: NDArray[np.float32]
) -> None:
    """Shift each moved minutia by the mean displacement of the other matched ones near it."""
    n = moved.shape[0]
    for i in range(n):
        sx = sy = 0.0
        weight = _PRIOR
        for k in range(n):
            j = mate[k]
            if j < 0 or k == i:
                continue
            dx, dy = moved[i, 0] - moved[k, 0], moved[i, 1] - moved[k, 1]
            d2 = (dx * dx + dy * dy) / (_BEND * _BEND)
            if d2 > 6.0:
                continue
            w = math.exp(-0.5 * d2)
            sx += w * (xy[j, 0] - moved[k, 0])
            sy += w * (xy[j, 1] - moved[k, 1])
            weight += w
        bent[i, 0] = moved[i, 0] + sx / weight
        bent[i, 1] = moved[i, 1] + sy / weight


@kernel
def agree(
    xy_a: NDArray[np.float32],
    turn_a: NDArray[np.float32],
    xy_b: NDArray[np.float32],
    turn_b: NDArray[np.float32],
    similarity: NDArray[np.float32],
    seeds_a: NDArray[np.int64],
    seeds_b: NDArray[np.int64],
    motion: NDArray[np.float64],
    bent: NDArray[np.float32],
    mate: NDArray[np.int32],
) -> int:
    """The motion of a onto b that most minutiae agree with, and the pairs that it makes.

    `similarity` float32 [na, nb] of the cylinders; `seeds_a`, `seeds_b` int64 [s]: pairs that propose motions.
    Written: `motion` float64 [3] (turn in radians, shift in pixels), `bent` float32 [na, 2] where a's minutiae
    come to lie, `mate` int32 [na]: place in b or -1. Returns the number of pairs.
    """
    na, nb = xy_a.shape[0], xy_b.shape[0]
    moved, heading = np.empty((na, 2), np.float32), np.empty(na, np.float32)
    tolerance = np.empty(na, np.float32)
    trial, taken = np.empty(na, np.int32), np.empty(max(nb, 1), np.int32)
    tried = np.empty(3, np.float64)
    best = -1.0
    mate[:na] = -1
    for k in range(seeds_a.shape[0]):
        r, c = seeds_a[k], seeds_b[k]
        tried[0] = turned(float(turn_b[c]) - float(turn_a[r]))
        cs, sn = math.cos(tried[0]), math.sin(tried[0])
        tried[1] = xy_b[c, 0] - (cs * xy_a[r, 0] - sn * xy_a[r, 1])
        tried[2] = xy_b[c, 1] - (sn * xy_a[r, 0] + cs * xy_a[r, 1])
        _move(xy_a, turn_a, tried, moved, heading)
        for i in range(na):
            dx, dy = xy_a[i, 0] - xy_a[r, 0], xy_a[i, 1] - xy_a[r, 1]
            tolerance[i] = min(_FAR, _NEAR + _GROWTH * math.sqrt(dx * dx + dy * dy))
        near = nearest_pairs(moved, heading, xy_b, turn_b, tolerance, similarity, trial, taken)
        if near > best:
            best = near
            motion[:] = tried
            mate[:na] = trial
    if best < 0.0:
        return 0
    for step in range(3):
        _least_squares(xy_a, xy_b, mate, motion)
        _move(xy_a, turn_a, motion, moved, heading)
        if step == 0:
            bent[:na] = moved
        else:
            _bend(moved, xy_b, mate, bent)
        tolerance[:] = _FAR if step == 0 else _REFINED
        nearest_pairs(bent, heading, xy_b, turn_b, tolerance, similarity, mate, taken)
    count = 0
    for i in range(na):
        if mate[i] >= 0:
            count += 1
    return count


@kernel
def overlap(
    bent: NDArray[np.float32],
    hull_a: NDArray[np.float32],
    xy_b: NDArray[np.float32],
    hull_b: NDArray[np.float32],
    motion: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """What both impressions show, under the motion of a onto b.

    Written: `out` float64 [3]: minutiae of a inside b's hull, minutiae of b inside a's, and the shared area in
    square pixels, measured on a grid.
    """
    c, s = math.cos(motion[0]), math.sin(motion[0])
    moved = np.empty_like(hull_a)
    for i in range(hull_a.shape[0]):
        moved[i, 0] = c * hull_a[i, 0] - s * hull_a[i, 1] + motion[1]
        moved[i, 1] = s * hull_a[i, 0] + c * hull_a[i, 1] + motion[2]
    out[:] = 0.0
    for i in range(bent.shape[0]):
        if outside(float(bent[i, 0]), float(bent[i, 1]), hull_b) <= _MARGIN:
            out[0] += 1.0
    for j in range(xy_b.shape[0]):
        if outside(float(xy_b[j, 0]), float(xy_b[j, 1]), moved) <= _MARGIN:
            out[1] += 1.0
    if moved.shape[0] == 0 or hull_b.shape[0] == 0:
        return
    left = max(float(moved[:, 0].min()), float(hull_b[:, 0].min())) - _MARGIN
    right = min(float(moved[:, 0].max()), float(hull_b[:, 0].max())) + _MARGIN
    top = max(float(moved[:, 1].min()), float(hull_b[:, 1].min())) - _MARGIN
    bottom = min(float(moved[:, 1].max()), float(hull_b[:, 1].max())) + _MARGIN
    y = top + 0.5 * _GRID
    while y < bottom:
        x = left + 0.5 * _GRID
        while x < right:
            if outside(x, y, moved) <= _MARGIN and outside(x, y, hull_b) <= _MARGIN:
                out[2] += _GRID * _GRID
            x += _GRID
        y += _GRID

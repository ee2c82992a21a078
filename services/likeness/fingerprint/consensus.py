"""Which minutiae of two impressions lie upon each other once one is moved onto the other.

A rigid motion is proposed by each of the best relaxed pairs, the one that most others agree with is refined by
least squares, then bent a little: skin stretches, so each minutia follows the mean displacement of its matched
neighbours.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from likeness.fingerprint import parameters as p
from likeness.fingerprint.kernel import Arrays, kernel
from likeness.fingerprint.similarity import turned

_NEAR, _GROWTH, _FAR = p.PAIR_NEAR, p.PAIR_GROWTH, p.PAIR_FAR
_ANGLE = np.float32(p.PAIR_ANGLE)
_REFINED = p.PAIR_REFINED
_FLOOR = p.PAIR_FLOOR
_LEAST, _MORE, _KIND = p.PAIR_TRUST_LEAST, 2.0 * (1.0 - p.PAIR_TRUST_LEAST), p.PAIR_KIND
_BEND = p.BEND_LENGTH
_PRIOR = p.BEND_PRIOR
_BY_PLACE, _BY_TURN = np.float32(0.6), np.float32(0.4 / p.PAIR_ANGLE**2)
_NEVER = np.float32(4.0)
_NEVER_BITS = _NEVER.view(np.int32)
_HALF, _ROUND = np.float32(math.pi), np.float32(2.0 * math.pi)


class Columns(NamedTuple):
    """Places and turns of minutiae side by side; `x`, `y`, `turn` float32 [m], the last half a round on as `_move`
    has it."""

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    turn: NDArray[np.float32]


@kernel
def _counts(a: Arrays, b: Arrays, i: int, j: int) -> float:
    """What the pair of a's minutia i and b's j counts relative to others: by trust and by whether their kinds
    agree."""
    weight = (_LEAST + _MORE * float(a.trust[i])) * (_LEAST + _MORE * float(b.trust[j]))
    if a.kind[i] == 0 or b.kind[j] == 0:
        return weight
    return weight * (1.0 + _KIND if a.kind[i] == b.kind[j] else 1.0 - _KIND)


@kernel
def nearest_pairs(
    moved: NDArray[np.float32],
    heading: NDArray[np.float32],
    a: Arrays,
    b: Arrays,
    other: Columns,
    tolerance: NDArray[np.float32],
    similarity: NDArray[np.float32],
    mate: NDArray[np.int32],
    taken: NDArray[np.int32],
    cost: NDArray[np.float32],
) -> float:
    """Pair a's moved minutiae [n] with b's [m], each at most once and each with its nearest.

    `other`: b's as `columns`; `similarity` float32 [n, m] of `similarity.trusted`. Written: `mate` int32 [n],
    -1 where there is none; `taken` int32 [m], the other way round; `cost` float32 [m]. Returns the sum of the
    pairs' worth: how near they are (1 for two that coincide, 0 for two at the tolerance) times what their
    similarity adds to a floor, times `_counts`.
    """
    n, m = moved.shape[0], other.x.shape[0]
    cost[:m] = _NEVER
    taken[:m] = -1
    total = np.empty(m, np.float32)
    bits = total.view(np.int32)  # of numbers above 0 in the same order, and a minimum that vectors can take
    for i in range(n):
        mate[i] = -1
        reach = tolerance[i]
        x, y, towards = moved[i, 0], moved[i, 1], heading[i]
        weight = _BY_PLACE / (reach * reach)
        # All of them, without a branch, so that the loop becomes vector instructions.
        for j in range(m):
            dx, dy = other.x[j] - x, other.y[j] - y
            da = abs(towards - other.turn[j])
            da = min(da, _ROUND - da)
            near = weight * (dx * dx + dy * dy)
            apart = near + _BY_TURN * da * da
            total[j] = apart if (near < _BY_PLACE) & (da < _ANGLE) & (apart < cost[j]) else _NEVER
        least = _NEVER_BITS
        for j in range(m):
            least = min(least, bits[j])
        if least == _NEVER_BITS:
            continue
        found = 0
        while bits[found] != least:
            found += 1
        if taken[found] >= 0:
            mate[taken[found]] = -1
        taken[found] = i
        cost[found] = total[found]
        mate[i] = found
    worth = 0.0
    for j in range(m):
        if taken[j] >= 0:
            i = taken[j]
            worth += (1.0 - cost[j]) * (_FLOOR + similarity[i, j]) * _counts(a, b, i, j)
    return worth


@kernel
def _move(
    xy: NDArray[np.float32],
    turn: NDArray[np.float32],
    motion: NDArray[np.float64],
    moved: NDArray[np.float32],
    heading: NDArray[np.float32],
) -> None:
    """Turn by motion[0] about the origin, then shift by motion[1:3].

    Headings are half a round on from the turns, in [0, 2 pi).
    """
    c, s = math.cos(motion[0]), math.sin(motion[0])
    for i in range(xy.shape[0]):
        moved[i, 0] = c * xy[i, 0] - s * xy[i, 1] + motion[1]
        moved[i, 1] = s * xy[i, 0] + c * xy[i, 1] + motion[2]
        heading[i] = turned(turn[i] + motion[0]) + math.pi


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
    """Shift each moved minutia by the mean displacement of the other matched ones near it.

    They weigh (1 - d^2 / 6)^3 at a distance of d bending lengths: near a Gaussian, and without an exponential.
    """
    n, count = moved.shape[0], 0
    x, y, dx, dy = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    whose = np.empty(n, np.int64)
    for k in range(n):
        j = mate[k]
        if j >= 0:
            x[count], y[count], whose[count] = moved[k, 0], moved[k, 1], k
            dx[count], dy[count] = xy[j, 0] - moved[k, 0], xy[j, 1] - moved[k, 1]
            count += 1
    for i in range(n):
        sx = sy = 0.0
        weight = _PRIOR
        for k in range(count):
            ux, uy = moved[i, 0] - x[k], moved[i, 1] - y[k]
            d2 = (ux * ux + uy * uy) / (_BEND * _BEND)
            if d2 >= 6.0 or whose[k] == i:
                continue
            near = 1.0 - d2 / 6.0
            w = near * near * near
            sx += w * dx[k]
            sy += w * dy[k]
            weight += w
        bent[i, 0] = moved[i, 0] + sx / weight
        bent[i, 1] = moved[i, 1] + sy / weight


@kernel
def columns(xy: NDArray[np.float32], turn: NDArray[np.float32]) -> Columns:
    """Minutiae float32 [m, 2] and [m] as columns."""
    m = turn.shape[0]
    x, y, opposite = np.empty(m, np.float32), np.empty(m, np.float32), np.empty(m, np.float32)
    for j in range(m):
        x[j], y[j] = xy[j, 0], xy[j, 1]
        opposite[j] = turn[j] - _HALF
        if opposite[j] < 0.0:
            opposite[j] += _ROUND
    return Columns(x, y, opposite)


@kernel
def _propose(a: Arrays, b: Arrays, r: int, c: int, motion: NDArray[np.float64]) -> None:
    """The motion that lays minutia r of a upon minutia c of b."""
    motion[0] = turned(float(b.turn[c]) - float(a.turn[r]))
    cs, sn = math.cos(motion[0]), math.sin(motion[0])
    motion[1] = b.xy[c, 0] - (cs * a.xy[r, 0] - sn * a.xy[r, 1])
    motion[2] = b.xy[c, 1] - (sn * a.xy[r, 0] + cs * a.xy[r, 1])


@kernel
def _try(
    a: Arrays,
    b: Arrays,
    other: Columns,
    similarity: NDArray[np.float32],
    seed: tuple[int, int],
    tried: NDArray[np.float64],
    moved: NDArray[np.float32],
    heading: NDArray[np.float32],
    tolerance: NDArray[np.float32],
    trial: NDArray[np.int32],
    taken: NDArray[np.int32],
    cost: NDArray[np.float32],
) -> float:
    """What the pairs are worth that the motion of one seed makes; far from the seed, less exactness is asked."""
    r, c = seed
    _propose(a, b, r, c, tried)
    _move(a.xy, a.turn, tried, moved, heading)
    for i in range(a.xy.shape[0]):
        dx, dy = a.xy[i, 0] - a.xy[r, 0], a.xy[i, 1] - a.xy[r, 1]
        tolerance[i] = min(_FAR, _NEAR + _GROWTH * np.sqrt(dx * dx + dy * dy))
    return nearest_pairs(moved, heading, a, b, other, tolerance, similarity, trial, taken, cost)


@kernel
def best_motion(
    a: Arrays,
    b: Arrays,
    other: Columns,
    similarity: NDArray[np.float32],
    seeds_a: NDArray[np.int64],
    seeds_b: NDArray[np.int64],
    motion: NDArray[np.float64],
    placed: NDArray[np.float32],
    mate: NDArray[np.int32],
) -> float:
    """The motion proposed by the seeds whose pairs are worth most, and what they are worth; -1 without seeds.

    `other`: b's minutiae as `columns`; `similarity` and seeds as of `agree`. Written, if there are seeds:
    `motion` float64 [3], `placed` float32 [na, 2] where a's minutiae come to lie, and `mate` int32 [na].
    """
    na, nb = a.xy.shape[0], b.xy.shape[0]
    moved, heading = np.empty((na, 2), np.float32), np.empty(na, np.float32)
    tolerance, cost = np.empty(na, np.float32), np.empty(nb, np.float32)
    trial, taken = np.empty(na, np.int32), np.empty(nb, np.int32)
    tried = np.empty(3, np.float64)
    best = -1.0
    for k in range(seeds_a.shape[0]):
        seed = (seeds_a[k], seeds_b[k])
        worth = _try(a, b, other, similarity, seed, tried, moved, heading, tolerance, trial, taken, cost)
        if worth > best:
            best = worth
            motion[:] = tried
            placed[:na] = moved
            mate[:na] = trial
    return best


@kernel
def agree(
    a: Arrays,
    b: Arrays,
    similarity: NDArray[np.float32],
    seeds_a: NDArray[np.int64],
    seeds_b: NDArray[np.int64],
    motion: NDArray[np.float64],
    bent: NDArray[np.float32],
    mate: NDArray[np.int32],
) -> tuple[int, float]:
    """The motion of a onto b that most minutiae agree with, and the pairs that it makes.

    `similarity` float32 [na, nb] of `similarity.trusted`; `seeds_a`, `seeds_b` int64 [s]: pairs that propose
    motions. Written: `motion` float64 [3] (turn in radians, shift in pixels), `bent` float32 [na, 2] where a's
    minutiae come to lie, `mate` int32 [na]: place in b or -1. Returns the number of pairs, and what those of the
    best motion proposed are worth.
    """
    na, nb = a.xy.shape[0], b.xy.shape[0]
    mate[:na] = -1
    other = columns(b.xy, b.turn)
    best = best_motion(a, b, other, similarity, seeds_a, seeds_b, motion, bent, mate)
    if best < 0.0:
        return 0, 0.0
    moved, heading = np.empty((na, 2), np.float32), np.empty(na, np.float32)
    tolerance, cost = np.empty(na, np.float32), np.empty(nb, np.float32)
    taken = np.empty(nb, np.int32)
    for step in range(3):
        _least_squares(a.xy, b.xy, mate, motion)
        _move(a.xy, a.turn, motion, moved, heading)
        if step == 0:
            bent[:na] = moved
        else:
            _bend(moved, b.xy, mate, bent)
        tolerance[:] = _FAR if step == 0 else _REFINED
        nearest_pairs(bent, heading, a, b, other, tolerance, similarity, mate, taken, cost)
    count = 0
    for i in range(na):
        if mate[i] >= 0:
            count += 1
    return count, best

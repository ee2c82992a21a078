"""Minutia Cylinder-Code as it was published, in plain numpy and slow: what the kernels are compared with.

R. Cappelli, M. Ferrara, D. Maltoni, IEEE TPAMI 32(12), 2010; numbers in brackets are its equations. Angles are
turns, clockwise in the image.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

R, NS, ND, SIGMA_S, SIGMA_D = 70.0, 16, 6, 28.0 / 3.0, 2.0 * math.pi / 9.0
OMEGA, MU_PSI, MIN_VC, MIN_M, MIN_ME = 50.0, 0.01, 0.75, 2, 0.60
DELTA_S, DELTA_D = 2 * R / NS, 2 * math.pi / ND

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def wrapped(angle: float) -> float:
    return (angle + math.pi) % (2 * math.pi) - math.pi


def hull(xy: Floats) -> Floats:
    """Corners of the convex hull, by wrapping: the next corner has every other point on its left."""
    first = int(np.lexsort((xy[:, 1], xy[:, 0]))[0])
    corners = [first]
    while True:
        at = corners[-1]
        for candidate in set(range(len(xy))) - {at}:
            edge, to = xy[candidate] - xy[at], xy - xy[at]
            if (edge[0] * to[:, 1] - edge[1] * to[:, 0] >= 0).all():
                break
        if candidate == first:
            return np.asarray(xy[corners])
        corners.append(candidate)


def distance_to_hull(point: Floats, corners: Floats) -> float:
    """0 inside; outside the least distance to an edge."""
    inside, least = True, math.inf
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        edge, to = b - a, point - a
        inside &= bool(edge[0] * to[1] - edge[1] * to[0] >= 0)
        along = min(1.0, max(0.0, float(edge @ to) / float(edge @ edge)))
        least = min(least, float(np.hypot(*(to - along * edge))))
    return 0.0 if inside else least


def cylinders(xy: Floats, turn: Floats) -> tuple[Floats, Bools, Bools]:
    """Contributions [n, ND, NS, NS] (6 to 11), valid cells [n, NS, NS] (9), valid cylinders [n] (section III-A)."""
    corners = hull(xy)
    n = len(xy)
    sums, valid, usable = np.zeros((n, ND, NS, NS)), np.zeros((n, NS, NS), np.bool_), np.zeros(n, np.bool_)
    base = 0
    for m in range(n):
        c, s = math.cos(turn[m]), math.sin(turn[m])
        for i in range(NS):
            for j in range(NS):
                u, v = (i - (NS - 1) / 2) * DELTA_S, (j - (NS - 1) / 2) * DELTA_S
                if math.hypot(u, v) > R:
                    continue
                base += m == 0
                cell = xy[m] + np.array([c * u - s * v, s * u + c * v])
                valid[m, i, j] = distance_to_hull(cell, corners) <= OMEGA
                for t in range(n):
                    apart = float(np.hypot(*(xy[t] - cell)))
                    if t == m or apart > 3 * SIGMA_S:
                        continue
                    near = math.exp(-(apart**2) / (2 * SIGMA_S**2)) / (SIGMA_S * math.sqrt(2 * math.pi))
                    for k in range(ND):
                        angle = -math.pi + (k + 0.5) * DELTA_D
                        away = wrapped(angle - wrapped(turn[m] - turn[t]))
                        root = SIGMA_D * math.sqrt(2)
                        area = math.erf((away + DELTA_D / 2) / root) - math.erf((away - DELTA_D / 2) / root)
                        sums[m, k, i, j] += near * area / 2
        contributing = sum(t != m and math.hypot(*(xy[t] - xy[m])) <= R + 3 * SIGMA_S for t in range(n))
        usable[m] = contributing >= MIN_M and valid[m].sum() >= MIN_VC * base
    return sums, valid, usable


def similarity(bits_a: Bools, valid_a: Bools, bits_b: Bools, valid_b: Bools) -> float:
    """Of two cylinders whose minutiae point the same way (17), for bit cylinders (19)."""
    base = sum(
        math.hypot((i - (NS - 1) / 2) * DELTA_S, (j - (NS - 1) / 2) * DELTA_S) <= R
        for i in range(NS)
        for j in range(NS)
    )
    common = valid_a & valid_b
    if common.sum() < MIN_ME * base:
        return 0.0
    a, b = bits_a[:, common], bits_b[:, common]
    whole = math.sqrt(a.sum()) + math.sqrt(b.sum())
    return 1 - math.sqrt((a ^ b).sum()) / whole if whole else 0.0


def logistic(value: float, mu: float, tau: float) -> float:
    return 1 / (1 + math.exp(-tau * (value - mu)))


def pair_count(na: int, nb: int) -> int:
    """(18)"""
    return 4 + math.floor(logistic(min(na, nb), 20, 0.4) * (12 - 4) + 0.5)


def relaxed(
    start: Floats, pairs: list[tuple[int, int]], xy_a: Floats, turn_a: Floats, xy_b: Floats, turn_b: Floats
) -> Floats:
    """Similarities after five steps (20 to 24)."""
    n = len(start)

    def radial(xy: Floats, turn: Floats, one: int, other: int) -> float:
        return wrapped(turn[one] - math.atan2(*(xy[one] - xy[other])[::-1]))

    rho = np.zeros((n, n))
    for t, (r, c) in enumerate(pairs):
        for k, (r2, c2) in enumerate(pairs):
            if t == k:
                continue
            d1 = abs(np.hypot(*(xy_a[r] - xy_a[r2])) - np.hypot(*(xy_b[c] - xy_b[c2])))
            d2 = abs(wrapped(wrapped(turn_a[r] - turn_a[r2]) - wrapped(turn_b[c] - turn_b[c2])))
            d3 = abs(wrapped(radial(xy_a, turn_a, r, r2) - radial(xy_b, turn_b, c, c2)))
            rho[t, k] = logistic(float(d1), 5, -8 / 5)
            rho[t, k] *= logistic(d2, math.pi / 12, -30) * logistic(d3, math.pi / 12, -30)
    now = start.copy()
    for _ in range(5):
        now = 0.5 * now + 0.5 * (rho @ now) / (n - 1)
    return now


def global_score(start: Floats, after: Floats, count: int) -> float:
    """Mean of the `count` that lost least of theirs (section IV, LSS-R)."""
    best = np.argsort(-after / start, kind="stable")[:count]
    return float(after[best].sum() / count)

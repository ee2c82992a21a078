"""What two impressions both show, once one is moved onto the other: which minutiae, and how large an area."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from likeness.fingerprint import parameters as p
from likeness.fingerprint.cylinders import borders, outside
from likeness.fingerprint.kernel import Arrays, kernel

_MARGIN = p.OVERLAP_MARGIN


@kernel
def shared_area(one: NDArray[np.float32], edges: NDArray[np.float64]) -> float:
    """Square pixels of what a convex polygon float32 [h, 2] has in common with the half planes float64 [e, 3].

    Each half plane cuts the polygon (I. Sutherland, G. Hodgman, CACM 17(1), 1974); the margin by which hulls
    understate what an impression shows is added along what is left.
    """
    if one.shape[0] < 3 or edges.shape[0] < 3:
        return 0.0
    now = np.empty((one.shape[0] + edges.shape[0] + 1, 2), np.float64)
    nxt = np.empty_like(now)
    n = one.shape[0]
    now[:n] = one
    for e in range(edges.shape[0]):
        m = 0
        for i in range(n):
            j = i + 1 if i + 1 < n else 0
            di = edges[e, 0] * now[i, 0] + edges[e, 1] * now[i, 1] + edges[e, 2]
            dj = edges[e, 0] * now[j, 0] + edges[e, 1] * now[j, 1] + edges[e, 2]
            if di <= 0.0 and m < nxt.shape[0]:
                nxt[m] = now[i]
                m += 1
            if (di < 0.0 < dj or dj < 0.0 < di) and m < nxt.shape[0]:
                share = di / (di - dj)
                nxt[m, 0] = now[i, 0] + share * (now[j, 0] - now[i, 0])
                nxt[m, 1] = now[i, 1] + share * (now[j, 1] - now[i, 1])
                m += 1
        now, nxt = nxt, now
        n = m
    area = around = 0.0
    for i in range(n):
        j = i + 1 if i + 1 < n else 0
        area += now[i, 0] * now[j, 1] - now[j, 0] * now[i, 1]
        around += math.sqrt((now[j, 0] - now[i, 0]) ** 2 + (now[j, 1] - now[i, 1]) ** 2)
    return 0.5 * abs(area) + _MARGIN * around


@kernel
def moved_hull(a: Arrays, motion: NDArray[np.float64]) -> NDArray[np.float32]:
    """Corners of a's hull under a motion, float32 [h, 2]."""
    c, s = math.cos(motion[0]), math.sin(motion[0])
    moved = np.empty_like(a.hull)
    for i in range(a.hull.shape[0]):
        moved[i, 0] = c * a.hull[i, 0] - s * a.hull[i, 1] + motion[1]
        moved[i, 1] = s * a.hull[i, 0] + c * a.hull[i, 1] + motion[2]
    return moved


@kernel
def _out_of(
    xy: NDArray[np.float32], edges: NDArray[np.float64], hull: NDArray[np.float32]
) -> NDArray[np.float64]:
    """How far points float32 [n, 2] lie outside a convex hull with these edges, float64 [n]; negative inside."""
    n = xy.shape[0]
    out = np.full(n, -np.inf, np.float64)
    if edges.shape[0] == 0:
        for i in range(n):
            out[i] = outside(float(xy[i, 0]), float(xy[i, 1]), hull)
    # Point by point within edge by edge, so that the loop becomes vector instructions.
    for e in range(edges.shape[0]):
        across, down, least = edges[e, 0], edges[e, 1], edges[e, 2]
        for i in range(n):
            out[i] = max(out[i], across * xy[i, 0] + down * xy[i, 1] + least)
    return out


@kernel
def inside(
    xy: NDArray[np.float32], trust: NDArray[np.float32], edges: NDArray[np.float64], hull: NDArray[np.float32]
) -> tuple[float, float]:
    """How many minutiae float32 [n, 2] lie in a hull with these edges, and the sum of their trust float32 [n].

    In it, or out of it by no more than `OVERLAP_MARGIN`.
    """
    out = _out_of(xy, edges, hull)
    count = total = 0.0
    for i in range(xy.shape[0]):
        if out[i] <= _MARGIN:
            count += 1.0
            total += trust[i]
    return count, total


@kernel
def overlap(
    bent: NDArray[np.float32], a: Arrays, b: Arrays, motion: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """What both impressions show, under the motion of a onto b.

    Written: `out` float64 [5]: minutiae of a inside b's hull, minutiae of b inside a's, the shared area in square
    pixels, and the sums of the trust of those minutiae of a and of b.
    """
    moved = moved_hull(a, motion)
    edges, others = borders(moved), borders(b.hull)
    out[0], out[3] = inside(bent, a.trust, others, b.hull)
    out[1], out[4] = inside(b.xy, b.trust, edges, moved)
    out[2] = shared_area(moved, others)

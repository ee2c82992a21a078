"""Minutia cylinders as bits: what surrounds each minutia, as seen from it.

MCC (see `parameters`), sections III-A and III-D. Angles here are clockwise turns in the image's own axes (x to the
right, y downwards): a minutia of turn t points along (cos t, sin t).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from likeness.fingerprint import parameters as p
from likeness.fingerprint.kernel import kernel

_R = p.RADIUS
_CELLS = p.CELLS
_SECTIONS = p.SECTIONS
_STEP = 2.0 * p.RADIUS / p.CELLS
_SIGMA = p.SIGMA_SPACE
_REACH = 3.0 * p.SIGMA_SPACE
_SPACE = 1.0 / (p.SIGMA_SPACE * math.sqrt(2.0 * math.pi))
_DEPTH = 2.0 * math.pi / p.SECTIONS
_SIGMA_D = p.SIGMA_DIRECTION
_THRESHOLD = p.BIT_THRESHOLD
_MARGIN = p.HULL_MARGIN
_MIN_VALID = p.MIN_VALID_CELLS
_MIN_NEIGHBOURS = p.MIN_NEIGHBOURS
_WORDS = p.WORDS
_MASK_WORDS = p.MASK_WORDS
_TAU = 2.0 * math.pi


def _base() -> NDArray[np.bool_]:
    """Which cells lie in the base of the cylinder, bool [CELLS, CELLS]."""
    centre = _STEP * (np.arange(_CELLS) - (_CELLS - 1) / 2)
    return centre[:, None] ** 2 + centre[None, :] ** 2 <= _R * _R


BASE_CELLS = int(_base().sum())
"""Cells in the base of a cylinder."""
_BASE_CELLS = BASE_CELLS


@kernel
def convex_hull(xy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Corners of the convex hull of points float32 [n, 2], counter-clockwise in (x, y): float32 [h, 2].

    Andrew's monotone chain. Fewer than three points come back as they are.
    """
    n = xy.shape[0]
    order = np.argsort(xy[:, 0].astype(np.float64) * 1e5 + xy[:, 1])
    if n < 3:
        return xy[order]
    chain = np.empty((2 * n + 1, 2), np.float32)
    k = 0
    for half in range(2):
        start = k
        for step in range(n):
            i = order[step] if half == 0 else order[n - 1 - step]
            while k - start >= 2 and (
                (chain[k - 1, 0] - chain[k - 2, 0]) * (xy[i, 1] - chain[k - 2, 1])
                - (chain[k - 1, 1] - chain[k - 2, 1]) * (xy[i, 0] - chain[k - 2, 0])
                <= 0.0
            ):
                k -= 1
            chain[k, 0] = xy[i, 0]
            chain[k, 1] = xy[i, 1]
            k += 1
        k -= 1
    return chain[: max(k, 1)].copy()


@kernel
def outside(x: float, y: float, hull: NDArray[np.float32]) -> float:
    """How far a point lies outside a convex hull float32 [h, 2], pixels; negative inside: minus the depth."""
    h = hull.shape[0]
    if h == 0:
        return np.inf
    inside = h >= 3
    depth = -np.inf
    nearest = np.inf
    for i in range(h):
        ax, ay = float(hull[i, 0]), float(hull[i, 1])
        j = i + 1 if i + 1 < h else 0
        ex, ey = float(hull[j, 0]) - ax, float(hull[j, 1]) - ay
        length2 = ex * ex + ey * ey
        px, py = x - ax, y - ay
        along = 0.0
        if length2 > 0.0:
            out = (px * ey - py * ex) / math.sqrt(length2)
            depth = max(depth, out)
            if out > 0.0:
                inside = False
            along = min(1.0, max(0.0, (px * ex + py * ey) / length2))
        dx, dy = px - along * ex, py - along * ey
        nearest = min(nearest, dx * dx + dy * dy)
    return depth if inside else math.sqrt(nearest)


@kernel
def borders(hull: NDArray[np.float32]) -> NDArray[np.float64]:
    """The edges of a convex hull float32 [h, 2] as half planes, float64 [h, 3].

    A point's distance out of edge e is e[0] x + e[1] y + e[2], negative inside. Two corners or fewer have none.
    """
    h = hull.shape[0]
    if h < 3:
        return np.empty((0, 3), np.float64)
    edges = np.empty((h, 3), np.float64)
    for i in range(h):
        ax, ay = float(hull[i, 0]), float(hull[i, 1])
        j = i + 1 if i + 1 < h else 0
        ex, ey = float(hull[j, 0]) - ax, float(hull[j, 1]) - ay
        length = math.sqrt(ex * ex + ey * ey) + 1e-12
        edges[i, 0], edges[i, 1] = ey / length, -ex / length
        edges[i, 2] = (ay * ex - ax * ey) / length
    return edges


@kernel
def _directional(turn: float) -> float:
    """G_D: the area of the directional Gaussian under one section at this distance (equation 11)."""
    turn -= _TAU * math.floor((turn + math.pi) / _TAU)
    scale = 1.0 / (_SIGMA_D * math.sqrt(2.0))
    return 0.5 * (math.erf((turn + 0.5 * _DEPTH) * scale) - math.erf((turn - 0.5 * _DEPTH) * scale))


@kernel
def build_cylinders(
    xy: NDArray[np.float32],
    turn: NDArray[np.float32],
    hull: NDArray[np.float32],
    bits: NDArray[np.uint64],
    masks: NDArray[np.uint64],
    valid: NDArray[np.uint8],
) -> None:
    """Fill the cylinders of a template.

    `xy` float32 [n, 2], `turn` float32 [n], `hull` float32 [h, 2]. Written: `bits` uint64 [24, n], where bit b of
    word 6 w + k is that of section k, cell (i, j) with 16 i + j = 64 w + b; `masks` uint64 [4, n], bit 16 i + j set
    where the cell is valid; `valid` uint8 [n], 1 where the cylinder may be compared. Words of different minutiae
    lie side by side, so that a processor compares several at once.
    """
    n = xy.shape[0]
    sums = np.empty((_SECTIONS, _CELLS, _CELLS), np.float32)
    across = np.empty(_CELLS, np.float32)
    height = np.empty(_SECTIONS, np.float32)
    half = 0.5 * (_CELLS - 1)
    one = np.uint64(1)
    for m in range(n):
        mx, my = float(xy[m, 0]), float(xy[m, 1])
        c, s = math.cos(turn[m]), math.sin(turn[m])
        sums[:] = 0.0
        neighbours = 0
        for t in range(n):
            if t == m:
                continue
            dx, dy = float(xy[t, 0]) - mx, float(xy[t, 1]) - my
            if dx * dx + dy * dy > (_R + _REACH) ** 2:
                continue
            neighbours += 1
            u, v = c * dx + s * dy, -s * dx + c * dy
            relative = float(turn[m]) - float(turn[t])
            for k in range(_SECTIONS):
                height[k] = _directional((k + 0.5) * _DEPTH - math.pi - relative)
            low_j = max(0, math.ceil((v - _REACH) / _STEP + half))
            high_j = min(_CELLS - 1, math.floor((v + _REACH) / _STEP + half))
            for j in range(low_j, high_j + 1):
                dv = (j - half) * _STEP - v
                across[j] = math.exp(-dv * dv / (2.0 * _SIGMA * _SIGMA))
            low_i = max(0, math.ceil((u - _REACH) / _STEP + half))
            high_i = min(_CELLS - 1, math.floor((u + _REACH) / _STEP + half))
            for i in range(low_i, high_i + 1):
                du = (i - half) * _STEP - u
                along = _SPACE * math.exp(-du * du / (2.0 * _SIGMA * _SIGMA))
                for j in range(low_j, high_j + 1):
                    dv = (j - half) * _STEP - v
                    if du * du + dv * dv <= _REACH * _REACH:
                        spatial = along * across[j]
                        for k in range(_SECTIONS):
                            sums[k, i, j] += spatial * height[k]
        everywhere = outside(mx, my, hull) + _R <= _MARGIN
        cells = 0
        bits[:, m] = 0
        masks[:, m] = 0
        for i in range(_CELLS):
            u = (i - half) * _STEP
            for j in range(_CELLS):
                v = (j - half) * _STEP
                if u * u + v * v > _R * _R:
                    continue
                if not everywhere and outside(mx + c * u - s * v, my + s * u + c * v, hull) > _MARGIN:
                    continue
                cells += 1
                place = i * _CELLS + j
                flag = one << np.uint64(place & 63)
                masks[place >> 6, m] |= flag
                for k in range(_SECTIONS):
                    if sums[k, i, j] > _THRESHOLD:
                        bits[_SECTIONS * (place >> 6) + k, m] |= flag
        valid[m] = neighbours >= _MIN_NEIGHBOURS and cells >= _MIN_VALID * _BASE_CELLS

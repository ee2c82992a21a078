"""Everything that is measured between two templates, by one compiled pass: the ground of the score."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from likeness.fingerprint import parameters as p
from likeness.fingerprint.consensus import agree, overlap
from likeness.fingerprint.kernel import kernel
from likeness.fingerprint.similarity import (
    best_pairs,
    compatibilities,
    global_score,
    local_similarities,
    pair_count,
    relax,
    turned,
)

_SEEDS = p.SEEDS
_MIN_AREA = p.MIN_OVERLAP_AREA
_NEAR2, _WIDE2, _WIDE_SHARE = p.RESIDUAL_NEAR**2, p.RESIDUAL_WIDE**2, p.RESIDUAL_WIDE_SHARE
_CORE, _TAIL, _TAIL_SHARE = p.ANGLE_CORE, p.ANGLE_TAIL, p.ANGLE_TAIL_SHARE
_ALIKE = p.ALIKE_FROM
_TAU = 2.0 * math.pi

MEASURES = (
    "relaxed",
    "local",
    "pairs",
    "overlap_a",
    "overlap_b",
    "area",
    "surprise",
    "pair_similarity",
    "pair_cylinders",
    "residual",
    "turn_residual",
    "alike",
    "count_a",
    "count_b",
    "supported",
)
"""What `measure` writes, in order: the relaxed global similarity (LSS-R) and that of the same number of pairs
before relaxation; pairs in the consensus; minutiae of either side in the overlap, and its area in square pixels;
the log likelihood ratio of the pairs' residuals against minutiae strewn at random as densely; the sum of the
similarities of paired cylinders, and how many could be compared; mean squared residual in square pixels, and of
turn in square radians; the sum of what similarities exceed `ALIKE_FROM` by; minutiae of either side; relaxed
similarity inside the consensus."""

Floats = NDArray[np.float32]
Words = NDArray[np.uint64]


@kernel
def _surprise(d2: float, turn: float, density: float) -> float:
    """Log likelihood ratio of one pair: residual d2 and turn of a mate against those of a chance neighbour."""
    near = (1.0 - _WIDE_SHARE) / (_TAU * _NEAR2) * math.exp(-d2 / (2.0 * _NEAR2))
    near += _WIDE_SHARE / (_TAU * _WIDE2) * math.exp(-d2 / (2.0 * _WIDE2))
    t2 = turn * turn
    root = math.sqrt(_TAU)
    towards = (1.0 - _TAIL_SHARE) / (root * _CORE) * math.exp(-t2 / (2.0 * _CORE * _CORE))
    towards += _TAIL_SHARE / (root * _TAIL) * math.exp(-t2 / (2.0 * _TAIL * _TAIL))
    return math.log(near * towards * _TAU / density)


@kernel
def measure(
    xy_a: Floats,
    turn_a: Floats,
    hull_a: Floats,
    bits_a: Words,
    masks_a: Words,
    valid_a: NDArray[np.uint8],
    xy_b: Floats,
    turn_b: Floats,
    hull_b: Floats,
    bits_b: Words,
    masks_b: Words,
    valid_b: NDArray[np.uint8],
    out: NDArray[np.float64],
    motion: NDArray[np.float64],
    mate: NDArray[np.int32],
) -> None:
    """Compare two templates, both with at least one minutia.

    Written: `out` float64 [15], see `MEASURES`; `motion` float64 [3] and `mate` int32 [na], see `consensus.agree`.
    """
    na, nb = turn_a.shape[0], turn_b.shape[0]
    similarity = np.empty((na, nb), np.float32)
    local_similarities(bits_a, masks_a, valid_a, turn_a, bits_b, masks_b, valid_b, turn_b, similarity)
    top = best_pairs(similarity, min(na, nb))
    rows, columns = top // nb, top % nb
    start = np.empty(top.shape[0], np.float32)
    for i in range(top.shape[0]):
        start[i] = similarity[rows[i], columns[i]]
    relaxed = relax(start, compatibilities(rows, columns, xy_a, turn_a, xy_b, turn_b))
    count = pair_count(na, nb)
    out[:] = 0.0
    out[0] = global_score(start, relaxed, count)
    out[1] = start[:count].mean()
    best = np.argsort(-relaxed)[:_SEEDS]
    bent = np.empty((na, 2), np.float32)
    out[2] = agree(xy_a, turn_a, xy_b, turn_b, similarity, rows[best], columns[best], motion, bent, mate)
    shared = np.empty(3, np.float64)
    overlap(bent, hull_a, xy_b, hull_b, motion, shared)
    out[3:6] = shared
    density = max(shared[1], 1.0) / max(shared[2], _MIN_AREA)
    for i in range(na):
        j = mate[i]
        if j < 0:
            continue
        dx, dy = float(bent[i, 0] - xy_b[j, 0]), float(bent[i, 1] - xy_b[j, 1])
        turn = turned(float(turn_a[i]) + motion[0] - float(turn_b[j]))
        out[6] += _surprise(dx * dx + dy * dy, turn, density)
        out[9] += dx * dx + dy * dy
        out[10] += turn * turn
        if valid_a[i] != 0 and valid_b[j] != 0:
            out[7] += similarity[i, j]
            out[8] += 1.0
            out[11] += max(0.0, float(similarity[i, j]) - _ALIKE)
    out[9] /= max(out[2], 1.0)
    out[10] /= max(out[2], 1.0)
    out[12], out[13] = na, nb
    for i in range(top.shape[0]):
        if mate[rows[i]] == columns[i]:
            out[14] += relaxed[i]


@kernel
def measure_many(
    xy_a: Floats,
    turn_a: Floats,
    hull_a: Floats,
    bits_a: Words,
    masks_a: Words,
    valid_a: NDArray[np.uint8],
    xy: Floats,
    turn: Floats,
    hull: Floats,
    bits: Words,
    masks: Words,
    valid: NDArray[np.uint8],
    starts: NDArray[np.int64],
    hull_starts: NDArray[np.int64],
    out: NDArray[np.float64],
) -> None:
    """Compare one template with many that lie behind each other.

    Candidate k has minutiae starts[k] to starts[k + 1] and hull corners hull_starts[k] to hull_starts[k + 1].
    Written: `out` float64 [k, 15], see `MEASURES`; all 0 where either side has no minutiae.
    """
    motion = np.zeros(3, np.float64)
    mate = np.empty(max(turn_a.shape[0], 1), np.int32)
    for k in range(starts.shape[0] - 1):
        low, high = starts[k], starts[k + 1]
        corner, end = hull_starts[k], hull_starts[k + 1]
        out[k, :] = 0.0
        if high == low or turn_a.shape[0] == 0:
            continue
        measure(
            xy_a,
            turn_a,
            hull_a,
            bits_a,
            masks_a,
            valid_a,
            xy[low:high],
            turn[low:high],
            hull[corner:end],
            bits[low:high],
            masks[low:high],
            valid[low:high],
            out[k],
            motion,
            mate,
        )

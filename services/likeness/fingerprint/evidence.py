"""Everything that is measured between two templates, by one compiled pass: the ground of the score."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from likeness.fingerprint import parameters as p
from likeness.fingerprint.consensus import agree
from likeness.fingerprint.kernel import Arrays, kernel, nth
from likeness.fingerprint.minutiae import MinutiaKind
from likeness.fingerprint.overlap import overlap
from likeness.fingerprint.similarity import (
    best_pairs,
    global_score,
    local_similarities,
    pair_count,
    relaxed_pairs,
    trusted,
    turned,
)

_SEEDS = p.SEEDS
_MIN_AREA = p.MIN_OVERLAP_AREA
_NEAR2, _WIDE2, _WIDE_SHARE = p.RESIDUAL_NEAR**2, p.RESIDUAL_WIDE**2, p.RESIDUAL_WIDE_SHARE
_CORE, _TAIL, _TAIL_SHARE = p.ANGLE_CORE, p.ANGLE_TAIL, p.ANGLE_TAIL_SHARE
_SIMILAR_FROM = p.SIMILAR_FROM
_ENDING = int(MinutiaKind.ENDING)
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
    "excess",
    "count_a",
    "count_b",
    "supported",
    "screen_relaxed",
    "screen_worth",
    "compared",
    "trust_a",
    "trust_b",
    "trust_pairs_a",
    "trust_pairs_b",
    "kinds_known",
    "kinds_equal",
    "kinds_chance",
    "worth",
    "screen_local",
    "screen_share",
)
"""What `measure` writes, in order: the relaxed global similarity (LSS-R) and that of the same number of pairs
before relaxation; pairs in the consensus; minutiae of either side in the overlap, and its area in square pixels;
the log likelihood ratio of the pairs' residuals against minutiae strewn at random as densely, each pair's times
four times the product of their trust; the sum of the similarities of paired cylinders, and how many could be
compared; mean squared residual in square pixels, and of turn in square radians; the sum of what similarities exceed
`SIMILAR_FROM` by; minutiae of either side; relaxed similarity inside the consensus; of the cheap stage the relaxed
similarity and what the pairs of its best motion are worth; 1 after a full comparison, 0 after the cheap stage; the
sums of the trust of either side's minutiae in the overlap, and of those paired; of how many pairs both kinds are
known, in how many they agree, and the share in which they would by chance; what the pairs of the best motion
proposed are worth; of the cheap stage the similarity before relaxation, and of the trust in the minutiae looked at
that both show the share in those paired, a geometric mean of both sides with 1 added to what both show. The cheap
stage leaves all others at 0, a full comparison those of the cheap stage."""


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
    a: Arrays,
    b: Arrays,
    out: NDArray[np.float64],
    motion: NDArray[np.float64],
    mate: NDArray[np.int32],
) -> None:
    """Compare two templates in full, both with at least one minutia.

    Written: `out` float64 [28], see `MEASURES`; `motion` float64 [3] and `mate` int32 [na], see `consensus.agree`.
    """
    na, nb = a.turn.shape[0], b.turn.shape[0]
    out[:] = 0.0
    motion[:] = 0.0
    mate[:na] = -1
    out[12], out[13], out[17] = na, nb, 1.0
    plain = np.empty((na, nb), np.float32)
    local_similarities(a, b, plain)
    similarity = trusted(plain, a, b)
    rows, columns, start, relaxed = relaxed_pairs(similarity, best_pairs(similarity, min(na, nb)), a, b)
    count = pair_count(na, nb)
    out[1] = start[:count].mean()
    out[0] = global_score(start, relaxed, count)
    best = np.argsort(-relaxed)[:_SEEDS]
    bent = np.empty((na, 2), np.float32)
    out[2], out[25] = agree(a, b, similarity, rows[best], columns[best], motion, bent, mate)
    _judge(a, b, plain, motion, bent, mate, out)
    for i in range(rows.shape[0]):
        if mate[rows[i]] == columns[i]:
            out[14] += relaxed[i]


@kernel
def _endings(kind: NDArray[np.uint8]) -> float:
    """The share of ridge endings among the minutiae whose kind is known, one of either added."""
    endings, known = 1.0, 2.0
    for one in kind:
        known += 1.0 if one != 0 else 0.0
        endings += 1.0 if one == _ENDING else 0.0
    return endings / known


@kernel
def _chance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """The share of pairs drawn at random in which kinds uint8 [n] and [m] agree."""
    a, b = _endings(one), _endings(other)
    return a * b + (1.0 - a) * (1.0 - b)


@kernel
def _judge(
    a: Arrays,
    b: Arrays,
    similarity: NDArray[np.float32],
    motion: NDArray[np.float64],
    bent: NDArray[np.float32],
    mate: NDArray[np.int32],
    out: NDArray[np.float64],
) -> None:
    """What the pairs of the consensus show; writes measures 3 to 11 and 18 to 24."""
    shared = np.empty(5, np.float64)
    overlap(bent, a, b, motion, shared)
    out[3:6] = shared[:3]
    out[18:20] = shared[3:]
    out[24] = _chance(a.kind, b.kind)
    density = max(shared[1], 1.0) / max(shared[2], _MIN_AREA)
    for i in range(mate.shape[0]):
        j = mate[i]
        if j < 0:
            continue
        dx, dy = float(bent[i, 0] - b.xy[j, 0]), float(bent[i, 1] - b.xy[j, 1])
        turn = turned(float(a.turn[i]) + motion[0] - float(b.turn[j]))
        out[6] += 4.0 * a.trust[i] * b.trust[j] * _surprise(dx * dx + dy * dy, turn, density)
        out[9] += dx * dx + dy * dy
        out[10] += turn * turn
        out[20] += a.trust[i]
        out[21] += b.trust[j]
        if a.kind[i] != 0 and b.kind[j] != 0:
            out[22] += 1.0
            out[23] += 1.0 if a.kind[i] == b.kind[j] else 0.0
        if a.valid[i] != 0 and b.valid[j] != 0:
            out[7] += similarity[i, j]
            out[8] += 1.0
            out[11] += max(0.0, float(similarity[i, j]) - _SIMILAR_FROM)
    out[9] /= max(out[2], 1.0)
    out[10] /= max(out[2], 1.0)


@kernel
def measure_many(
    a: Arrays, many: Arrays, starts: NDArray[np.int64], corners: NDArray[np.int64], out: NDArray[np.float64]
) -> None:
    """Compare one template in full with many that lie behind each other.

    `many`, `starts` and `corners` as of `kernel.nth`. Written: `out` float64 [k, 28], see `MEASURES`; all 0 where
    either side has no minutiae.
    """
    motion = np.zeros(3, np.float64)
    mate = np.empty(max(a.turn.shape[0], 1), np.int32)
    for k in range(starts.shape[0] - 1):
        out[k, :] = 0.0
        low, count = starts[k], starts[k + 1] - starts[k]
        if count > 0 and a.turn.shape[0] > 0:
            measure(a, nth(many, starts, corners, k, low, count), out[k], motion, mate)

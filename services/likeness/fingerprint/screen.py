"""The cheap stage of the cascade: what two templates have in common, judged by the best minutiae of each.

A dense template costs as much as a sparse one here: its less trusted and outer minutiae are left out, which are
mostly spurious or beyond what another impression shows.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from likeness.fingerprint import parameters as p
from likeness.fingerprint.consensus import best_motion, ordered
from likeness.fingerprint.cylinders import borders
from likeness.fingerprint.kernel import Arrays, kernel
from likeness.fingerprint.overlap import inside, moved_hull
from likeness.fingerprint.similarity import (
    best_pairs,
    compatibilities,
    global_score,
    pair_count,
    relax,
    rough_similarities,
    trusted,
)

_CORE, _REACH = p.CORE, p.CORE_REACH
_SCREENED, _SEEDS = p.SCREENED_PAIRS, p.SCREEN_SEEDS
_LEVELS = 256


@kernel
def _level(a: Arrays, i: int) -> int:
    """How much minutia i is worth having, in steps: first whether its cylinder can be compared, then by its trust
    and by how near it lies to the middle."""
    far = math.sqrt(a.xy[i, 0] ** 2 + a.xy[i, 1] ** 2) / _REACH
    share = 0.5 * (float(a.trust[i]) + 1.0 - min(far, 1.0))
    return int((_LEVELS - 1) * share) + (_LEVELS if a.valid[i] != 0 else 0)


@kernel
def _chosen(a: Arrays, count: int) -> NDArray[np.int64]:
    """The places int64 [count] of the minutiae most worth having, ascending; of equal ones the first."""
    n = a.turn.shape[0]
    levels = np.empty(n, np.int64)
    bins = np.zeros(2 * _LEVELS, np.int64)
    for i in range(n):
        levels[i] = _level(a, i)
        bins[levels[i]] += 1
    cut, above = 2 * _LEVELS - 1, 0
    while above + bins[cut] < count:
        above += bins[cut]
        cut -= 1
    places = np.empty(count, np.int64)
    k, equal = 0, count - above
    for i in range(n):
        if levels[i] > cut or (levels[i] == cut and equal > 0):
            equal -= 1 if levels[i] == cut else 0
            places[k] = i
            k += 1
    return places


@kernel
def core(a: Arrays) -> Arrays:
    """The `CORE` minutiae of a template that are most worth having, and their cylinders; all where it has fewer."""
    if a.turn.shape[0] <= _CORE:
        return a
    places = _chosen(a, _CORE)
    xy = np.empty((_CORE, 2), np.float32)
    bits = np.empty((a.bits.shape[0], _CORE), np.uint64)
    masks = np.empty((a.masks.shape[0], _CORE), np.uint64)
    for k in range(_CORE):
        xy[k] = a.xy[places[k]]
    for w in range(bits.shape[0]):
        for k in range(_CORE):
            bits[w, k] = a.bits[w, places[k]]
    for w in range(masks.shape[0]):
        for k in range(_CORE):
            masks[w, k] = a.masks[w, places[k]]
    return Arrays(xy, a.turn[places], a.hull, bits, masks, a.valid[places], a.kind[places], a.trust[places])


@kernel
def _paired_share(
    a: Arrays, b: Arrays, motion: NDArray[np.float64], placed: NDArray[np.float32], mate: NDArray[np.int32]
) -> float:
    """Of the trust in the minutiae that both show, the share in those paired: the geometric mean of both sides.

    1 is added to what both show, so that an overlap of two or three minutiae is not perfect by chance.
    """
    moved = moved_hull(a, motion)
    in_a = inside(placed, a.trust, borders(b.hull), b.hull)[1]
    in_b = inside(b.xy, b.trust, borders(moved), moved)[1]
    paired_a = paired_b = 0.0
    for i in range(mate.shape[0]):
        if mate[i] >= 0:
            paired_a += a.trust[i]
            paired_b += b.trust[mate[i]]
    return math.sqrt(paired_a * paired_b / ((in_a + 1.0) * (in_b + 1.0)))


@kernel
def screen(a: Arrays, b: Arrays, out: NDArray[np.float64]) -> None:
    """What tells whether a full comparison is worth its time; a and b as of `core`.

    Written: measures 15, 16, 26 and 27, see `evidence.MEASURES`.
    """
    na, nb = a.turn.shape[0], b.turn.shape[0]
    rough = np.empty((na, nb), np.float32)
    rough_similarities(a, b, rough)
    similarity = trusted(rough, a, b)
    top = best_pairs(similarity, _SCREENED)
    rows, columns = top // nb, top % nb
    start = similarity.ravel()[top]
    relaxed = relax(start, compatibilities(rows, columns, a.xy, a.turn, b.xy, b.turn))
    count = pair_count(na, nb)
    out[15] = global_score(start, relaxed, count)
    out[26] = start[:count].mean()
    best = np.argsort(-relaxed)[:_SEEDS]
    motion, placed, mate = np.empty(3, np.float64), np.empty((na, 2), np.float32), np.empty(na, np.int32)
    other = ordered(b.xy, b.turn)
    out[16] = best_motion(a, b, other, similarity, rows[best], columns[best], motion, placed, mate)
    out[27] = _paired_share(a, b, motion, placed, mate)

"""The cheap stage of the cascade: what two templates have in common, judged by the best minutiae of each.

A dense template costs as much as a sparse one here: its less trusted and outer minutiae are left out, which are
mostly spurious or beyond what another impression shows.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.fingerprint import parameters as p
from likeness.fingerprint.consensus import best_motion, columns
from likeness.fingerprint.cylinders import BASE_CELLS, borders
from likeness.fingerprint.kernel import Arrays, kernel, nth
from likeness.fingerprint.overlap import inside, moved_hull
from likeness.fingerprint.similarity import (
    global_score,
    ones,
    pair_count,
    relaxed_pairs,
    trusted,
)

_CORE, _REACH = p.CORE, p.CORE_REACH
_SCREENED, _SEEDS = p.SCREENED_PAIRS, p.SCREEN_SEEDS
_LEVELS = 256
_WORDS, _MASK_WORDS, _SECTIONS = p.WORDS, p.MASK_WORDS, p.SECTIONS
_MIN_CELLS = p.MIN_MATCHABLE * BASE_CELLS
_MAX_TURN, _ROUND = np.float32(p.MAX_TURN), np.float32(2.0 * math.pi)
_NONE, _ONE = np.float32(0.0), np.float32(1.0)


@kernel
def _level(a: Arrays, i: int) -> int:
    """How much minutia i is worth having, in steps: first whether its cylinder can be compared, then by its trust
    and by how near it lies to the middle."""
    far = math.sqrt(a.xy[i, 0] ** 2 + a.xy[i, 1] ** 2) / _REACH
    share = 0.5 * (float(a.trust[i]) + 1.0 - min(far, 1.0))
    return max(0, min(_LEVELS - 1, int((_LEVELS - 1) * share))) + (_LEVELS if a.valid[i] != 0 else 0)


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
    """The `CORE` minutiae of a template that are most worth having, all where it has fewer, and their cylinders.

    `bits` and `masks` are `CORE` wide however many there are, with zeros behind the last.
    """
    n = a.turn.shape[0]
    places = _chosen(a, _CORE) if n > _CORE else np.arange(n)
    bits, masks = np.zeros((_WORDS, _CORE), np.uint64), np.zeros((_MASK_WORDS, _CORE), np.uint64)
    for w in range(_WORDS):
        for k in range(places.shape[0]):
            bits[w, k] = a.bits[w, places[k]]
    for w in range(_MASK_WORDS):
        for k in range(places.shape[0]):
            masks[w, k] = a.masks[w, places[k]]
    xy = np.empty((places.shape[0], 2), np.float32)
    for k in range(places.shape[0]):
        xy[k, 0], xy[k, 1] = a.xy[places[k], 0], a.xy[places[k], 1]
    return Arrays(xy, a.turn[places], a.hull, bits, masks, a.valid[places], a.kind[places], a.trust[places])


@kernel
def _lengths(bits: NDArray[np.uint64]) -> NDArray[np.float32]:
    """The Euclidean length of every cylinder's bits, float32 [CORE], of bits uint64 [24, CORE]."""
    held = np.zeros(_CORE, np.int64)
    for w in range(_WORDS):
        words = bits[w]
        for j in range(_CORE):
            held[j] += ones(words[j])
    return np.sqrt(held.astype(np.float32))


@kernel
def _differing(
    own: NDArray[np.uint64],
    mask: Any,
    bits: NDArray[np.uint64],
    masks: NDArray[np.uint64],
    counts: NDArray[np.int64],
) -> None:
    """Add of one word of each section the bits that differ, and in the lower half the cells valid in both.

    As `similarity._count`, for all of a core: a known number of whole vectors, no window that ends anywhere.
    """
    a0, a1, a2, a3, a4, a5 = own[0], own[1], own[2], own[3], own[4], own[5]
    for j in range(_CORE):
        common = mask & masks[j]
        d0, d1, d2 = a0 ^ bits[0, j], a1 ^ bits[1, j], a2 ^ bits[2, j]
        d3, d4, d5 = a3 ^ bits[3, j], a4 ^ bits[4, j], a5 ^ bits[5, j]
        differ = ones(d0 & common) + ones(d1 & common) + ones(d2 & common)
        differ += ones(d3 & common) + ones(d4 & common) + ones(d5 & common)
        counts[j] += ones(common) + (differ << 32)


@kernel
def rough_similarities(a: Arrays, b: Arrays, out: NDArray[np.float32]) -> None:
    """As `similarity.local_similarities`, of two cores; out float32 [na, nb].

    The length of each cylinder is that of all its bits, which is counted once: two cylinders then seem more similar
    where some cells are valid in one of them alone.
    """
    length_a, length_b = _lengths(a.bits), _lengths(b.bits)
    counts, own = np.empty(_CORE, np.int64), np.empty(_SECTIONS, np.uint64)
    for i in range(a.turn.shape[0]):
        counts[:] = 0
        for m in range(_MASK_WORDS):
            for k in range(_SECTIONS):
                own[k] = a.bits[_SECTIONS * m + k, i]
            others = b.bits[_SECTIONS * m : _SECTIONS * (m + 1)]
            _differing(own, a.masks[m, i], others, b.masks[m], counts)
        row, turn = out[i], a.turn[i]
        for j in range(b.turn.shape[0]):
            apart = abs(turn - b.turn[j])
            apart = min(apart, _ROUND - apart)
            held = counts[j]
            whole = max(length_a[i] + length_b[j], _ONE)
            similarity = _ONE - np.sqrt(np.float32(held >> 32)) / whole
            usable = (a.valid[i] != 0) & (b.valid[j] != 0) & ((held & 0xFFFFFFFF) >= _MIN_CELLS)
            row[j] = similarity if usable & (apart <= _MAX_TURN) else _NONE


@kernel
def _few_best(similarity: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """As `similarity.best_pairs`, by keeping the best so far in order: faster for 12 of 1,600, slower for 35 of
    1,225 and more."""
    flat = similarity.ravel()
    count = min(count, flat.shape[0])
    places, values = np.empty(count, np.int64), np.full(count, -_ONE, np.float32)
    for i in range(flat.shape[0]):
        value = flat[i]
        if value <= values[count - 1]:
            continue
        k = count - 1
        while k > 0 and values[k - 1] < value:
            values[k], places[k] = values[k - 1], places[k - 1]
            k -= 1
        values[k], places[k] = value, i
    return places


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
    """What shows whether a full comparison is worth its time; a and b as of `core`.

    Written: measures 15, 16, 26 and 27, see `evidence.MEASURES`.
    """
    na, nb = a.turn.shape[0], b.turn.shape[0]
    rough = np.empty((na, nb), np.float32)
    rough_similarities(a, b, rough)
    similarity = trusted(rough, a, b)
    rows, others, start, relaxed = relaxed_pairs(similarity, _few_best(similarity, _SCREENED), a, b)
    count = pair_count(na, nb)
    out[15] = global_score(start, relaxed, count)
    out[26] = start[:count].mean()
    best = np.argsort(-relaxed)[:_SEEDS]
    motion, placed, mate = np.empty(3, np.float64), np.empty((na, 2), np.float32), np.empty(na, np.int32)
    side = columns(b.xy, b.turn)
    out[16] = best_motion(a, b, side, similarity, rows[best], others[best], motion, placed, mate)
    out[27] = _paired_share(a, b, motion, placed, mate)


@kernel
def screen_many(
    a: Arrays, many: Arrays, starts: NDArray[np.int64], corners: NDArray[np.int64], out: NDArray[np.float64]
) -> None:
    """As `evidence.measure_many` by the cheap stage; a is a core, and many are cores of at least one minutia."""
    for k in range(starts.shape[0] - 1):
        screen(a, nth(many, starts, corners, k, _CORE * k, _CORE), out[k])

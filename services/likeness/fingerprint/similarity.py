"""Local similarity of minutiae by their cylinders, and its relaxation (LSS-R).

MCC (see `parameters`), sections III-D and IV.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.fingerprint import parameters as p
from likeness.fingerprint.cylinders import BASE_CELLS
from likeness.fingerprint.kernel import Arrays, kernel

_MASK_WORDS, _SECTIONS = p.MASK_WORDS, p.SECTIONS
_MIN_CELLS = p.MIN_MATCHABLE * BASE_CELLS
_NONE, _ONE = np.float32(0.0), np.float32(1.0)
_MAX_TURN = p.MAX_TURN
_TAU = 2.0 * math.pi
_MIN_PAIRS, _MAX_PAIRS, _MU_PAIRS, _TAU_PAIRS = p.MIN_PAIRS, p.MAX_PAIRS, p.MU_PAIRS, p.TAU_PAIRS
_DOUBT = np.float32(p.DOUBT)
_WEIGHT, _STEPS = p.RELAX_WEIGHT, p.RELAX_STEPS
_FAR, _FAR_TURNED = p.FAR_APART, p.FAR_TURNED
_ABOUT_FAR, _ABOUT_TURNED = np.float32(1.01 * p.FAR_APART), np.float32(1.01 * p.FAR_TURNED)
_ABOUT_ALIGNED = np.float32(math.cos(1.01 * p.FAR_TURNED))
_ROUND = np.float32(2.0 * math.pi)
_MU_D, _TAU_D, _MU_A, _TAU_A = p.MU_DISTANCE, p.TAU_DISTANCE, p.MU_ANGLE, p.TAU_ANGLE

_M1 = np.uint64(0x5555555555555555)
_M2 = np.uint64(0x3333333333333333)
_M4 = np.uint64(0x0F0F0F0F0F0F0F0F)
_H01 = np.uint64(0x0101010101010101)
_S1, _S2, _S4, _S56 = np.uint64(1), np.uint64(2), np.uint64(4), np.uint64(56)


@kernel
def ones(x: Any) -> Any:
    """The bits set in one uint64 word (written so that the compiler sees a population count)."""
    x = x - ((x >> _S1) & _M1)
    x = (x & _M2) + ((x >> _S2) & _M2)
    x = (x + (x >> _S4)) & _M4
    return np.int64((x * _H01) >> _S56)


@kernel
def turned(a: float) -> float:
    """An angle brought to [-pi, pi)."""
    return a - _TAU * math.floor((a + math.pi) / _TAU)


@kernel
def first_from(values: NDArray[np.float32], value: float) -> int:
    """The place of the first of the ascending values float32 [n] that is at least `value`; n if there is none."""
    low, high = 0, values.shape[0]
    while low < high:
        middle = (low + high) >> 1
        if values[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _window(turn: NDArray[np.float32], middle: float) -> tuple[int, int, int, int]:
    """Which of the ascending angles float32 [n] in [0, 2 pi) lie within `MAX_TURN` of `middle`: two ranges."""
    n = turn.shape[0]
    low, high = middle - _MAX_TURN, middle + _MAX_TURN
    first, last = first_from(turn, low), first_from(turn, high)
    if low < 0.0:
        return first, last, max(last, first_from(turn, low + _TAU)), n
    if high >= _TAU:
        return 0, min(first, first_from(turn, high - _TAU)), first, n
    return first, last, n, n


@kernel
def _count(
    own: NDArray[np.uint64],
    mask: Any,
    bits: NDArray[np.uint64],
    masks: NDArray[np.uint64],
    start: int,
    stop: int,
    counts: NDArray[np.int64],
) -> None:
    """Add what one word of each section of one cylinder has in common with those of the cylinders start to stop.

    `own` uint64 [6] and `mask`: the cylinder's words; `bits` uint64 [6, n] and `masks` uint64 [n]: the others'.
    `counts` int64 [n] holds four sums of 16 bits each, from the lowest: cells valid in both, bits of the one and of
    the other among them, bits that differ. One array is written and few are read, so that the loop becomes vector
    instructions, with a population count of eight words at once where the processor has one.
    """
    a0, a1, a2, a3, a4, a5 = own[0], own[1], own[2], own[3], own[4], own[5]
    for j in range(
        np.uint64(start), np.uint64(stop)
    ):  # unsigned: a place that cannot be counted from the end
        common = mask & masks[j]
        b0, b1, b2 = bits[0, j] & common, bits[1, j] & common, bits[2, j] & common
        b3, b4, b5 = bits[3, j] & common, bits[4, j] & common, bits[5, j] & common
        c0, c1, c2, c3, c4, c5 = a0 & common, a1 & common, a2 & common, a3 & common, a4 & common, a5 & common
        in_a = ones(c0) + ones(c1) + ones(c2) + ones(c3) + ones(c4) + ones(c5)
        in_b = ones(b0) + ones(b1) + ones(b2) + ones(b3) + ones(b4) + ones(b5)
        differ = ones(c0 ^ b0) + ones(c1 ^ b1) + ones(c2 ^ b2) + ones(c3 ^ b3) + ones(c4 ^ b4) + ones(c5 ^ b5)
        counts[j] += ones(common) + (in_a << 16) + (in_b << 32) + (differ << 48)


@kernel
def local_similarities(a: Arrays, b: Arrays, out: NDArray[np.float32]) -> None:
    """Similarity of every cylinder of a with every one of b, float32 [na, nb] in 0..1 (equation 17).

    0 where two cylinders cannot be compared: one is not valid, too few cells are valid in both, or the minutiae
    point too differently. b's minutiae are in order of their turn.
    """
    out[:] = 0.0
    counts = np.empty(b.turn.shape[0], np.int64)
    own = np.empty(_SECTIONS, np.uint64)
    for i in range(a.turn.shape[0]):
        if a.valid[i] == 0:
            continue
        start, stop, start2, stop2 = _window(b.turn, float(a.turn[i]))
        for part in range(2):
            if part == 1:
                start, stop = start2, stop2
            if start >= stop:
                continue
            counts[start:stop] = 0
            for m in range(_MASK_WORDS):
                for k in range(_SECTIONS):
                    own[k] = a.bits[_SECTIONS * m + k, i]
                others = b.bits[_SECTIONS * m : _SECTIONS * (m + 1)]
                _count(own, a.masks[m, i], others, b.masks[m], start, stop, counts)
            row = out[i]
            for j in range(np.uint64(start), np.uint64(stop)):
                held = counts[j]
                in_a, in_b = np.float32((held >> 16) & 0xFFFF), np.float32((held >> 32) & 0xFFFF)
                whole = np.sqrt(in_a) + np.sqrt(in_b)
                value = _ONE - np.sqrt(np.float32(held >> 48)) / max(whole, _ONE)
                usable = (b.valid[j] != 0) & ((held & 0xFFFF) >= _MIN_CELLS) & (whole > _NONE)
                row[j] = value if usable else _NONE


@kernel
def trusted(similarity: NDArray[np.float32], a: Arrays, b: Arrays) -> NDArray[np.float32]:
    """Similarities float32 [na, nb] that count less where a minutia is trusted less, not in the paper."""
    out = np.empty_like(similarity)
    of_b = _ONE - _DOUBT * (_ONE - b.trust)
    for i in range(similarity.shape[0]):
        of_a = _ONE - _DOUBT * (_ONE - a.trust[i])
        for j in range(similarity.shape[1]):
            out[i, j] = similarity[i, j] * of_a * of_b[j]
    return out


@kernel
def pair_count(na: int, nb: int) -> int:
    """n_P: how many local similarities make the global one (equation 18)."""
    share = 1.0 / (1.0 + math.exp(-_TAU_PAIRS * (min(na, nb) - _MU_PAIRS)))
    return _MIN_PAIRS + math.floor(share * (_MAX_PAIRS - _MIN_PAIRS) + 0.5)


@kernel
def best_pairs(similarity: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """The `count` greatest elements of float32 [na, nb] as flat positions int64 [count], greatest first."""
    flat = similarity.ravel()
    total = flat.shape[0]
    count = min(count, total)
    bins = np.zeros(1025, np.int64)
    for v in flat:
        if v > 0.0:
            bins[int(v * 1024.0)] += 1
    bins[0] = total - bins[1:].sum()
    level = 1024
    seen = bins[1024]
    while level > 0 and seen < count:
        level -= 1
        seen += bins[level]
    candidates = np.empty(seen, np.int64)
    values = np.empty(seen, np.float32)
    k = 0
    for i in range(total):
        if int(flat[i] * 1024.0) >= level:
            candidates[k] = i
            values[k] = -flat[i]
            k += 1
    return candidates[np.argsort(values, kind="mergesort")[:count]]


@kernel
def _fits(value: float, mu: float, tau: float) -> float:
    """Z: the logistic function of the paper (equation 5)."""
    return 1.0 / (1.0 + math.exp(-tau * (value - mu)))


@kernel
def compatibilities(
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    xy_a: NDArray[np.float32],
    turn_a: NDArray[np.float32],
    xy_b: NDArray[np.float32],
    turn_b: NDArray[np.float32],
) -> NDArray[np.float32]:
    """How well each two pairs of minutiae fit one rigid motion, float32 [n, n] in 0..1 (equation 23).

    At [k, i] stands how much pair k supports pair i, by the radial angles at i. 0 where distances differ by more
    than `FAR_APART`, or directions or both radial angles by more than `FAR_TURNED`: what the equation has
    there is less than 1e-6. Two pairs are first judged by vector instructions, in single precision.
    """
    n = rows.shape[0]
    rho = np.zeros((n, n), np.float32)
    ax, ay, at = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    bx, by, bt = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    for i in range(n):
        ax[i], ay[i], at[i] = xy_a[rows[i], 0], xy_a[rows[i], 1], turn_a[rows[i]]
        bx[i], by[i], bt[i] = xy_b[columns[i], 0], xy_b[columns[i], 1], turn_b[columns[i]]
    c, s = np.cos(bt - at), np.sin(bt - at)
    near = np.empty(n, np.uint8)
    for i in range(n):
        for k in range(i):
            ux, uy, vx, vy = ax[i] - ax[k], ay[i] - ay[k], bx[i] - bx[k], by[i] - by[k]
            u, v = np.sqrt(ux * ux + uy * uy), np.sqrt(vx * vx + vy * vy)
            turn = abs((at[i] - at[k]) - (bt[i] - bt[k]))
            turn = min(turn, abs(turn - _ROUND), abs(turn - _ROUND - _ROUND))
            dot, cross = ux * vx + uy * vy, ux * vy - uy * vx
            aligned = max(c[i] * dot + s[i] * cross, c[k] * dot + s[k] * cross) >= _ABOUT_ALIGNED * u * v
            near[k] = (abs(u - v) <= _ABOUT_FAR) & (turn <= _ABOUT_TURNED) & aligned
        for k in range(i):
            if near[k] == 0:
                continue
            dx, dy = float(ax[i] - ax[k]), float(ay[i] - ay[k])
            ex, ey = float(bx[i] - bx[k]), float(by[i] - by[k])
            d1 = abs(math.sqrt(dx * dx + dy * dy) - math.sqrt(ex * ex + ey * ey))
            d2 = abs(turned((at[i] - at[k]) - (bt[i] - bt[k])))
            between = math.atan2(dy * ex - dx * ey, dx * ex + dy * ey)  # of the two lines from k to i
            d3 = abs(turned((float(at[i]) - float(bt[i])) - between))
            d4 = abs(turned((float(at[k]) - float(bt[k])) - between))
            if d1 > _FAR or d2 > _FAR_TURNED or min(d3, d4) > _FAR_TURNED:
                continue
            z = _fits(d1, _MU_D, _TAU_D) * _fits(d2, _MU_A, _TAU_A)
            rho[k, i] = z * _fits(d3, _MU_A, _TAU_A)
            rho[i, k] = z * _fits(d4, _MU_A, _TAU_A)
    return rho


@kernel
def relax(start: NDArray[np.float32], rho: NDArray[np.float32]) -> NDArray[np.float64]:
    """Local similarities float64 [n] after the relaxation by their `compatibilities` (equation 22)."""
    n = start.shape[0]
    now = start.astype(np.float64)
    if n < 2:
        return now
    support = np.empty(n, np.float64)
    for _ in range(_STEPS):
        support[:] = 0.0
        for k in range(n):
            row, weight = rho[k], now[k]
            for i in range(n):
                support[i] += row[i] * weight
        for i in range(n):
            now[i] = _WEIGHT * now[i] + (1.0 - _WEIGHT) * support[i] / (n - 1)
    return now


@kernel
def relaxed_pairs(
    similarity: NDArray[np.float32], top: NDArray[np.int64], a: Arrays, b: Arrays
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], NDArray[np.float64]]:
    """The pairs at flat positions int64 [n] of similarities float32 [na, nb]: whose they are in a and in b, their
    similarities, and those after the relaxation, each [n]."""
    nb = b.turn.shape[0]
    rows, columns = top // nb, top % nb
    start = similarity.ravel()[top]
    return rows, columns, start, relax(start, compatibilities(rows, columns, a.xy, a.turn, b.xy, b.turn))


@kernel
def global_score(start: NDArray[np.float32], relaxed: NDArray[np.float64], count: int) -> float:
    """Mean of the relaxed similarities of the `count` pairs that lost least of theirs (LSS-R)."""
    n = start.shape[0]
    if n == 0:
        return 0.0
    loss = np.empty(n, np.float64)
    for i in range(n):
        loss[i] = -relaxed[i] / start[i] if start[i] > 0.0 else 0.0
    order = np.argsort(loss, kind="mergesort")
    total = 0.0
    for i in range(min(count, n)):
        total += relaxed[order[i]]
    return total / count

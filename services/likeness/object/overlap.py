"""Whether two photographs agree wherever both show something, or only at what frames two different things.

Two pages of one shop, two forms, two stills of one camera share header, lines and print, and the transform between
them is exact; what they frame differs. Blur, compression and noise thin out what agrees everywhere, and text or a
sticker covers a part in which some still agrees, or a small one; another thing in the same frame empties one
rectangle of all agreement. Where two photographs do not lie edge on edge there is no such rectangle to be expected,
and each place that the inliers surround is asked by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.object import parameters as p
from likeness.object.local import Details
from likeness.object.rectangles import emptied
from likeness.object.verify import Verification, hull, within_hull

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

_AT_ONCE = 96  # points whose neighbourhoods are looked at together


@dataclass(frozen=True, eq=False, slots=True)
class _Side:
    """The details of one photograph that the other one covers, where the candidate shows them.

    `at` float32 [n, 2] in units of 1/`LONGEST_SIDE` of the candidate; `agrees` bool [n] marks those that have a
    counterpart at their place.
    """

    at: Floats
    agrees: Flags


def contradicted(probe: Details, candidate: Details, found: Verification) -> float:
    """The share of what both should show where next to nothing agrees: 0..1.

    Both should show all that the two have in common where the transform lays one photograph edge on edge onto the
    other, as copies and frames do; else what the inliers surround, and there with less that may differ.
    """
    if found.transform is None or len(found.pairs) < p.FEWEST_INLIERS:
        return 0.0
    whole = _edge_on_edge(probe, candidate, found.pairs)
    transform = found.transform if whole is None else whole
    forth, back = _moved(transform, probe.xy), _moved(np.asarray(np.linalg.inv(transform)), candidate.xy)
    ours, theirs = np.flatnonzero(_inside(forth, candidate)), np.flatnonzero(_inside(back, probe))
    units = [max(details.width, details.height) / p.LONGEST_SIDE for details in (probe, candidate)]
    scale = max(1.0, _enlarged(transform) * units[0] / units[1])
    at = [(forth[ours] / units[1]).astype(np.float32), (candidate.xy[theirs] / units[1]).astype(np.float32)]
    agrees = [_among(ours, found.pairs[:, 0], probe), _among(theirs, found.pairs[:, 1], candidate)]
    c, q = _pairs(at[1], at[0], p.SAME_PLACE * scale)
    same = _same_details(probe, candidate, found.pairs, ours[q], theirs[c])
    agrees[0][q[same]], agrees[1][c[same]] = True, True
    one, other = (_Side(*side) for side in zip(at, agrees, strict=True))
    if whole is not None:
        strongest = (one.at[: p.MAX_DETAILS], one.agrees[: p.MAX_DETAILS])
        size = (candidate.width / units[1], candidate.height / units[1])
        return emptied((strongest, (other.at, other.agrees)), size)
    outline = hull(candidate.xy[found.pairs[:, 1]])
    surrounded = within_hull(outline, candidate.xy[theirs])
    return min(1.0, p.SURROUNDED * _share(other, one, scale, surrounded))


def _share(side: _Side, other: _Side, scale: float, counted: Flags) -> float:
    """The share of the area around the counted details of a side where next to nothing agrees."""
    if not counted.any():
        return 0.0
    held, agreeing, there, answered, close = _around(side.at[counted], side, other, scale)
    known = (held >= p.FEW_IN_PLACE) & (there >= p.FEW_IN_PLACE)
    if not known.any():
        return 0.0
    empty = known & _too_few(agreeing, held, _usual(agreeing[known], held[known]))
    empty &= _too_few(answered, there, _usual(answered[known], there[known]))
    # A detail among many stands for little area.
    area = 1.0 / close
    return float((area * empty).sum() / area.sum())


def _usual(agreeing: Ints, held: Ints) -> float:
    """The share of the details that agree where two photographs show the same: the better quarter of places."""
    shares = np.sort(agreeing / held)
    place = 0.75 * (len(shares) - 1)
    low, high = shares[int(place)], shares[int(np.ceil(place))]
    return float(low + (high - low) * (place - int(place)))


def _too_few(agreeing: Ints, held: Ints, usual: float) -> Flags:
    """In which places next to nothing agrees of what is to be expected where the same is shown: bool [n]."""
    expected = held * usual
    return np.asarray(
        (expected >= p.EXPECTED_IN_PLACE) & (agreeing <= p.NEXT_TO_NOTHING * expected), np.bool_
    )


def _same_details(
    probe: Details, candidate: Details, pairs: NDArray[np.int64], q: NDArray[np.int64], c: NDArray[np.int64]
) -> Flags:
    """Which of the details q and c, int64 [n], may be one: by turn, size and code, as the inliers have them."""
    turns = np.deg2rad(candidate.turn[pairs[:, 1]] - probe.turn[pairs[:, 0]])
    turn = np.rad2deg(np.angle(np.exp(1j * turns).mean()))
    octave = np.median(candidate.octave[pairs[:, 1]] - probe.octave[pairs[:, 0]])
    off = np.mod(candidate.turn[c] - probe.turn[q] - turn + 180.0, 360.0) - 180.0
    sized = np.abs(candidate.octave[c] - probe.octave[q] - octave) < p.AGREEING_OCTAVE
    likely = (np.abs(off) < p.AGREEING_TURN) & sized
    apart = candidate.codes[c[likely]].astype(np.float32) - probe.codes[q[likely]].astype(np.float32)
    likely[likely] = np.einsum("ij,ij->i", apart, apart) < p.SAME_CODE**2
    return np.asarray(likely, np.bool_)


def _among(places: NDArray[np.int64], chosen: NDArray[np.int64], details: Details) -> Flags:
    """Which of the places, int64 [n], of details are among the chosen, int64 [m]: bool [n]."""
    flags = np.zeros(len(details), np.bool_)
    flags[chosen] = True
    return flags[places]


def _enlarged(transform: NDArray[np.float64]) -> float:
    """By how much a homography enlarges at the origin, roughly as anywhere else."""
    return float(np.sqrt(abs(np.linalg.det(transform[:2, :2] / transform[2, 2]))))


def _edge_on_edge(probe: Details, candidate: Details, pairs: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """What lays one photograph edge on edge onto the other, float64 [3, 3]; None if few inliers agree with it."""
    stretch = np.array([candidate.width / probe.width, candidate.height / probe.height])
    unit = max(candidate.width, candidate.height) / p.LONGEST_SIDE
    off = np.linalg.norm(probe.xy[pairs[:, 0]] * stretch - candidate.xy[pairs[:, 1]], axis=1) / unit
    return np.diag([*stretch, 1.0]) if (off < p.REPROJECTION).mean() >= p.EDGE_ON_EDGE else None


def _moved(transform: NDArray[np.float64], xy: Floats) -> NDArray[np.float64]:
    """Points float32 [n, 2] by a homography float64 [3, 3]; those on its horizon go far away."""
    x, y, w = transform @ np.column_stack([xy, np.ones(len(xy))]).T
    w = np.where(np.abs(w) < 1e-9, 1e-9, w)
    return np.stack([x / w, y / w], axis=1)


def _inside(xy: NDArray[np.float64], details: Details) -> Flags:
    """Which points lie in the photograph."""
    return np.asarray(((xy >= 0) & (xy <= (details.width, details.height))).all(1), np.bool_)


def _around(at: Floats, side: _Side, other: _Side, scale: float) -> Ints:
    """Around points float32 [n, 2]: the details of a side, those that agree, the same of the other, those close.

    int64 [5, n]; only the side's own may be close.
    """
    own, apart = len(side.at), len(other.at)
    kinds = np.zeros((own + apart, 4), np.float32)
    kinds[:own, 0], kinds[:own, 1] = 1.0, side.agrees
    kinds[own:, 2], kinds[own:, 3] = 1.0, other.agrees
    found = np.zeros((len(at), 5), np.float32)
    reach, close = p.PLACE * scale, p.PLACE_DETAIL * scale
    for here, there, squared in _neighbourhoods(at, np.concatenate([side.at, other.at]), reach):
        found[here, :4] = (squared < reach**2).astype(np.float32) @ kinds[there]
        found[here, 4] = (squared < close**2).astype(np.float32) @ kinds[there, 0]
    return found.T.astype(np.int64)


def _pairs(a: Floats, b: Floats, reach: float) -> tuple[Ints, Ints]:
    """The places of points float32 [n, 2] and [m, 2] that are nearer to each other: int64 [k] each."""
    first, second = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for here, there, apart in _neighbourhoods(a, b, reach):
        rows, columns = np.divmod(np.flatnonzero(apart < reach**2), max(1, len(there)))
        first.append(here[rows])
        second.append(there[columns])
    return np.concatenate(first), np.concatenate(second)


def _neighbourhoods(a: Floats, b: Floats, reach: float) -> Iterator[tuple[Ints, Ints, Floats]]:
    """Places of points float32 [n, 2], those of [m, 2] that may be within reach of them, their squared distances.

    int64 [i], int64 [j] and float32 [i, j], from left to right: few at a time, since most are out of reach, and to
    take a large array from the system costs more than to fill it.
    """
    first, second = a[:, 0].argsort(), b[:, 0].argsort()
    (ax, ay), (bx, by) = np.ascontiguousarray(a[first].T), np.ascontiguousarray(b[second].T)
    for start in range(0, len(a), _AT_ONCE):
        x, y = ax[start : start + _AT_ONCE], ay[start : start + _AT_ONCE]
        # A little more than reach, so that rounding leaves none out.
        left, right = np.searchsorted(bx, (x[0] - 1.001 * reach, x[-1] + 1.001 * reach))
        across = np.subtract.outer(x, bx[left:right])
        down = np.subtract.outer(y, by[left:right])
        np.square(across, out=across)
        across += np.square(down, out=down)
        yield first[start : start + _AT_ONCE], second[left:right], across

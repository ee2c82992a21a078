"""Whether two photographs agree wherever both show something, or only at what frames two different things.

Two pages of one shop, two forms, two stills of one camera share header, lines and print, and the transform between
them is exact; what they frame differs. So each place that both photographs cover is asked: as many details agree
here as the rest of what agrees makes likely, or next to none? Blur, compression and noise thin out what agrees
everywhere; another thing in the same frame empties one part of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.object import parameters as p
from likeness.object.local import Details
from likeness.object.verify import Verification, hull, within_hull

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, slots=True)
class _Side:
    """The details of one photograph that the other one covers, where the candidate shows them.

    `at` float32 [n, 2] in units of 1/`LONGEST_SIDE` of the candidate; `agrees` bool [n] marks those that have a
    counterpart at their place.
    """

    at: Floats
    agrees: Flags


def contradicted(probe: Details, candidate: Details, found: Verification) -> float:
    """The share of the area with details, of what both should show, where next to nothing agrees: 0..1.

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
    agrees = [np.isin(ours, found.pairs[:, 0]), np.isin(theirs, found.pairs[:, 1])]
    q, c = np.nonzero(_squared(*at) < (p.SAME_PLACE * scale) ** 2)
    same = _alike(probe, candidate, found.pairs, ours[q], theirs[c])
    agrees[0][q[same]], agrees[1][c[same]] = True, True
    one, other = (_Side(*side) for side in zip(at, agrees, strict=True))
    if whole is None:
        outline = hull(candidate.xy[found.pairs[:, 1]])
        surrounded = within_hull(outline, candidate.xy[theirs])
        return min(1.0, p.SURROUNDED * _share(other, one, scale, surrounded, bare=False))
    strongest = np.arange(len(ours)) < p.MAX_DETAILS
    return max(
        _share(other, one, scale, np.ones(len(theirs), np.bool_), bare=True),
        _share(one, other, scale, strongest, bare=True),
    )


def _share(side: _Side, other: _Side, scale: float, counted: Flags, *, bare: bool) -> float:
    """The share of the area around the counted details of a side where next to nothing agrees.

    `bare`: where the other side has no details counts too, if the two agree clearly elsewhere: a copy would not
    have lost them there alone.
    """
    if not counted.any():
        return 0.0
    own, apart = _squared(side.at[counted], side.at), _squared(side.at[counted], other.at)
    reach = (p.PLACE * scale) ** 2
    held, agreeing = (own < reach).sum(1), (own[:, side.agrees] < reach).sum(1)
    there, answered = (apart < reach).sum(1), (apart[:, other.agrees] < reach).sum(1)
    known = (held >= p.FEW_IN_PLACE) & (there >= p.FEW_IN_PLACE)
    if not known.any():
        return 0.0
    empty = known & _too_few(agreeing, held, known) & _too_few(answered, there, known)
    if bare and np.quantile(agreeing[known] / held[known], 0.75) >= p.CLEAR:
        empty |= (there < p.FEW_IN_PLACE) & (held >= p.FEW_IN_PLACE) & _too_few(agreeing, held, known)
    # A detail among many stands for little area.
    area = 1.0 / (own < (p.PLACE_DETAIL * scale) ** 2).sum(1)
    return float((area * empty).sum() / area.sum())


def _too_few(agreeing: NDArray[np.int64], held: NDArray[np.int64], known: Flags) -> Flags:
    """Of which places next to nothing agrees of what is to be expected where the same is shown: bool [n].

    The better quarter of the known places says what that is.
    """
    expected = held * np.quantile(agreeing[known] / held[known], 0.75)
    return np.asarray(
        (expected >= p.EXPECTED_IN_PLACE) & (agreeing <= p.NEXT_TO_NOTHING * expected), np.bool_
    )


def _alike(
    probe: Details, candidate: Details, pairs: NDArray[np.int64], q: NDArray[np.int64], c: NDArray[np.int64]
) -> Flags:
    """Which of the details q and c, int64 [n], may be one: by turn, size and code, as the inliers have them."""
    turns = np.deg2rad(candidate.turn[pairs[:, 1]] - probe.turn[pairs[:, 0]])
    turn = np.rad2deg(np.angle(np.exp(1j * turns).mean()))
    octave = np.median(candidate.octave[pairs[:, 1]] - probe.octave[pairs[:, 0]])
    off = np.mod(candidate.turn[c] - probe.turn[q] - turn + 180.0, 360.0) - 180.0
    sized = np.abs(candidate.octave[c] - probe.octave[q] - octave) < p.AGREEING_OCTAVE
    apart = candidate.codes[c].astype(np.float32) - probe.codes[q].astype(np.float32)
    near = np.einsum("ij,ij->i", apart, apart) < p.SAME_CODE**2
    return np.asarray((np.abs(off) < p.AGREEING_TURN) & sized & near, np.bool_)


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


def _squared(a: Floats, b: Floats) -> Floats:
    """Squared distances of points float32 [n, 2] and [m, 2]: float32 [n, m]."""
    return np.asarray(np.subtract.outer(a[:, 0], b[:, 0]) ** 2 + np.subtract.outer(a[:, 1], b[:, 1]) ** 2)

"""Whether two photographs show one object: details that match each other and agree on one view of a plane.

Mutual nearest neighbours with a ratio test, a homography by USAC with MAGSAC++ scores (Barath et al., CVPR 2020),
and a check that the transform is one a camera can make. Inliers alone prove nothing, since two photographs may
share a bed-sheet: how much of the object they surround counts as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from likeness.imaging.opencv import cv2
from likeness.object import parameters as p
from likeness.object.local import Details

Floats = NDArray[np.float32]

_CELLS = 24  # a photograph's sides in cells, in which several inliers count once
_SOME_WEIGHT = 0.15  # of an inlier that may span the hull
_CORNERS = 3  # of a hull with an area


@dataclass(frozen=True, eq=False, slots=True)
class Verification:
    """What agrees between two photographs.

    `pairs` int64 [n, 2]: places of the inliers in both; `transform` float64 [3, 3] from the probe's pixels to the
    candidate's, None if there is none. `matches` were there before the transform was looked for.

    The rest goes by the weights of the inliers. `share` is theirs in all matches. `spread` counts the cells of a
    grid over the probe that hold inliers, each by the heaviest. `area` is the share of the probe's, or if that is
    larger of the candidate's, photograph that the hull of those with some weight covers. `agreement` is the share
    of the details inside that hull that are inliers, of the photograph where it is larger: what surrounds an object
    and is not part of it, such as a background, agrees around the object and not in it.
    """

    pairs: NDArray[np.int64]
    transform: NDArray[np.float64] | None = None
    matches: int = 0
    share: float = 0.0
    spread: float = 0.0
    area: float = 0.0
    agreement: float = 0.0


NOTHING = Verification(np.zeros((0, 2), np.int64))


def verify(probe: Details, candidate: Details, weights: Floats | None = None) -> Verification:
    """What the two agree on; without pairs where no sound transform explains enough matches.

    `weights` float32 [n] in 0..1 say how much a detail of the probe counts; all 1 if they are None. Those that
    count for little take no part, so that an object is seen that moved before a background which did not.
    """
    found = matches(probe.codes, candidate.codes)
    known = found if weights is None else found[weights[found[:, 0]] >= _SOME_WEIGHT]
    pairs = agreeing(probe, candidate, known)
    nothing = replace(NOTHING, matches=len(found))
    if len(pairs) < p.FEWEST_MATCHES:
        return nothing
    units = [max(details.width, details.height) / p.LONGEST_SIDE for details in (probe, candidate)]
    one = probe.xy[pairs[:, 0]] / units[0]
    other = candidate.xy[pairs[:, 1]] / units[1]
    transform, inliers = _homography(one, other)
    if transform is None or inliers.sum() < p.FEWEST_INLIERS or not _is_sound(transform, one[inliers]):
        return nothing
    scaling = [np.diag([unit, unit, 1.0]) for unit in units]
    whole = scaling[1] @ transform @ np.linalg.inv(scaling[0])
    held = replace(nothing, pairs=pairs[inliers], transform=whole)
    return weighed(held, probe, candidate, np.ones(len(probe), np.float32) if weights is None else weights)


def weighed(found: Verification, probe: Details, candidate: Details, weights: Floats) -> Verification:
    """The same inliers by other weights; see `verify`.

    All weights are lowered by their mean: where most of what agrees is known to be clutter, the rest likely is too.
    """
    held = found.pairs
    if not len(held):
        return found
    weight = weights[held[:, 0]]
    weight = weight * weight.mean()
    area, agreement = _covered(probe, candidate, held, weight)
    return replace(
        found,
        share=float(weight.sum()) / found.matches,
        spread=_spread(probe.xy[held[:, 0]], probe, weight),
        area=area,
        agreement=agreement,
    )


def _covered(
    probe: Details, candidate: Details, held: NDArray[np.int64], weight: Floats
) -> tuple[float, float]:
    """Area and agreement, see `Verification`."""
    counted = held[weight >= _SOME_WEIGHT]
    if len(counted) < _CORNERS:
        return 0.0, 0.0
    areas, agreements = [], []
    for details, places in ((probe, counted[:, 0]), (candidate, counted[:, 1])):
        outline = hull(details.xy[places])
        areas.append(float(cv2.contourArea(outline)) / max(1, details.width * details.height))
        agreements.append(min(1.0, float(weight.sum()) / max(1, inside(outline, details.xy))))
    return max(areas), max(agreements)


def matches(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Places of codes that are each other's nearest, and clearly nearer than the next: int64 [n, 2]."""
    if len(one) < 2 or len(other) < 2:
        return np.zeros((0, 2), np.int64)
    squared = _squared_distances(one.astype(np.float32), other.astype(np.float32))
    nearest = squared.argmin(1)
    place = np.arange(len(one))
    best = squared[place, nearest]
    mutual = best == squared.min(0)[nearest]
    squared[place, nearest] = np.inf
    clear = best < p.MATCH_RATIO**2 * squared.min(1)
    return np.asarray(np.stack([place, nearest], axis=1)[mutual & clear], np.int64)


def _squared_distances(a: Floats, b: Floats) -> Floats:
    """Between all rows of float32 [n, d] and [m, d] that hold codes: float32 [n, m], exact.

    The lengths are columns of the same product, so that nothing is passed over twice; every partial sum is a whole
    number under 2^24.
    """
    lengths = np.einsum("ij,ij->i", a, a)[:, None], np.einsum("ij,ij->i", b, b)[:, None]
    left = np.hstack([a, lengths[0], np.ones_like(lengths[0])])
    right = np.hstack([-2.0 * b, np.ones_like(lengths[1]), lengths[1]])
    return np.asarray(left @ right.T, np.float32)


def agreeing(probe: Details, candidate: Details, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The matches near the most frequent turn and change of size; most false ones go here."""
    if len(pairs) < p.FEWEST_MATCHES:
        return pairs
    turn = np.mod(candidate.turn[pairs[:, 1]] - probe.turn[pairs[:, 0]], 360.0)
    octave = candidate.octave[pairs[:, 1]] - probe.octave[pairs[:, 0]]
    apart = np.abs(turn[:, None] - turn[None])
    near = np.minimum(apart, 360.0 - apart) < p.AGREEING_TURN
    near &= np.abs(octave[:, None] - octave[None]) < p.AGREEING_OCTAVE
    return np.asarray(pairs[near[near.sum(1).argmax()]])


def _homography(one: Floats, other: Floats) -> tuple[NDArray[np.float64] | None, NDArray[np.bool_]]:
    try:
        found, mask = cv2.findHomography(
            one, other, cv2.USAC_MAGSAC, p.REPROJECTION, maxIters=p.MAX_ITERATIONS, confidence=p.CONFIDENCE
        )
    except cv2.error:
        found, mask = None, None
    if found is None or mask is None:
        return None, np.zeros(len(one), np.bool_)
    return np.asarray(found, np.float64), np.asarray(mask).reshape(-1) != 0


def _is_sound(transform: NDArray[np.float64], at: Floats) -> bool:
    """Whether a camera could see it so: no mirroring, no horizon through the inliers, bounded scale and shear."""
    homogeneous = np.column_stack([at, np.ones(len(at))]) @ transform.T
    depth = homogeneous[:, 2]
    if not np.isfinite(homogeneous).all() or (np.abs(depth) < 1e-9).any() or np.ptp(np.sign(depth)) != 0:
        return False
    x, y, w = transform @ np.array([*at.mean(0), 1.0])
    if abs(w) < 1e-9:
        return False
    # The derivative at the centre of the inliers says how much it enlarges and shears there.
    top = transform[:2, :2] * w - np.outer([x, y], transform[2, :2])
    values = np.linalg.svd(top / w**2, compute_uv=False)
    if np.linalg.det(top) <= 0 or values[1] <= 0:
        return False
    within = 1 / p.LARGEST_SCALE < np.sqrt(values[0] * values[1]) < p.LARGEST_SCALE
    return bool(within and values[0] / values[1] < p.LARGEST_SHEAR)


def _spread(xy: Floats, details: Details, weights: Floats) -> float:
    """The sum over the cells of a grid of their heaviest inlier."""
    side = max(details.width, details.height)
    cells = (xy * (_CELLS / side)).astype(np.int64)
    _, place = np.unique(cells[:, 0] * (_CELLS + 1) + cells[:, 1], return_inverse=True)
    heaviest = np.zeros(int(place.max()) + 1, np.float32)
    np.maximum.at(heaviest, place, weights)
    return float(heaviest.sum())


def hull(xy: Floats) -> Floats:
    """Corners of the convex hull of points float32 [n, 2]: float32 [h, 2]."""
    return np.asarray(cv2.convexHull(np.ascontiguousarray(xy, np.float32)), np.float32).reshape(-1, 2)


def inside(outline: Floats, xy: Floats) -> int:
    """How many points float32 [n, 2] lie in or on a convex outline float32 [h, 2]."""
    return int(within_hull(outline, xy).sum())


def within_hull(outline: Floats, xy: Floats) -> NDArray[np.bool_]:
    """Which points float32 [n, 2] lie in or on a convex outline float32 [h, 2]: bool [n]."""
    edge = np.roll(outline, -1, axis=0) - outline
    (x, y), (corner_x, corner_y) = np.ascontiguousarray(xy.T), outline.T
    side = edge[:, :1] * (y - corner_y[:, None]) - edge[:, 1:] * (x - corner_x[:, None])
    slack = 1e-3 * max(1.0, float(np.abs(side).max(initial=0.0)))
    return np.asarray((side >= -slack).all(0) | (side <= slack).all(0), np.bool_)

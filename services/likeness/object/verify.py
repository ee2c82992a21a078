"""Whether two photographs show one object: details that match each other and agree on one view of a plane.

Mutual nearest neighbours with a ratio test, a homography by USAC with MAGSAC++ scores (Barath et al., CVPR 2020),
and a check that the transform is one a camera can make. Inliers alone prove nothing, since two photographs may
share a bed-sheet: how much of the object they surround counts as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.imaging.opencv import cv2
from likeness.object import parameters as p
from likeness.object.local import Details

Floats = NDArray[np.float32]

_CELLS = 24  # a photograph's sides in cells, in which several inliers count once


@dataclass(frozen=True, eq=False, slots=True)
class Verification:
    """What agrees between two photographs.

    `pairs` int64 [n, 2]: places of the inliers in both; `transform` float64 [3, 3] from the probe's pixels to the
    candidate's, None if there is none. `spread` counts the cells of a grid over the probe that hold inliers; `area`
    is the share of the probe's, or if that is larger of the candidate's, photograph that their hull covers.
    """

    pairs: NDArray[np.int64]
    transform: NDArray[np.float64] | None = None
    spread: int = 0
    area: float = 0.0


NOTHING = Verification(np.zeros((0, 2), np.int64))


def verify(probe: Details, candidate: Details) -> Verification:
    """What the two agree on; `NOTHING` where no sound transform explains enough matches."""
    pairs = agreeing(probe, candidate, matches(probe.codes, candidate.codes))
    if len(pairs) < p.FEWEST_MATCHES:
        return NOTHING
    units = [max(details.width, details.height) / p.LONGEST_SIDE for details in (probe, candidate)]
    one = probe.xy[pairs[:, 0]] / units[0]
    other = candidate.xy[pairs[:, 1]] / units[1]
    transform, inliers = _homography(one, other)
    if transform is None or inliers.sum() < p.FEWEST_INLIERS or not _is_sound(transform, one[inliers]):
        return NOTHING
    held = pairs[inliers]
    scaling = [np.diag([unit, unit, 1.0]) for unit in units]
    return Verification(
        held,
        scaling[1] @ transform @ np.linalg.inv(scaling[0]),
        _spread(probe.xy[held[:, 0]], probe),
        max(_hull_share(probe.xy[held[:, 0]], probe), _hull_share(candidate.xy[held[:, 1]], candidate)),
    )


def matches(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Places of codes that are each other's nearest, and clearly nearer than the next: int64 [n, 2]."""
    if len(one) < 2 or len(other) < 2:
        return np.zeros((0, 2), np.int64)
    a, b = one.astype(np.float32), other.astype(np.float32)
    squared = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2.0 * (a @ b.T)
    nearest = squared.argmin(1)
    place = np.arange(len(a))
    best = squared[place, nearest]
    squared[place, nearest] = np.inf
    second = squared.min(1)
    squared[place, nearest] = best
    mutual = squared.argmin(0)[nearest] == place
    clear = best < p.MATCH_RATIO**2 * np.maximum(second, 1e-6)
    return np.asarray(np.stack([place, nearest], axis=1)[mutual & clear], np.int64)


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


def _spread(xy: Floats, details: Details) -> int:
    side = max(details.width, details.height)
    cells = (xy * (_CELLS / side)).astype(np.int64)
    return len(np.unique(cells[:, 0] * (_CELLS + 1) + cells[:, 1]))


def hull(xy: Floats) -> Floats:
    """Corners of the convex hull of points float32 [n, 2]: float32 [h, 2]."""
    return np.asarray(cv2.convexHull(np.ascontiguousarray(xy, np.float32)), np.float32).reshape(-1, 2)


def _hull_share(xy: Floats, details: Details) -> float:
    return float(cv2.contourArea(hull(xy))) / float(max(1, details.width * details.height))

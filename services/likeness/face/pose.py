"""Head pose from five landmarks, in closed form.

The landmarks are taken for a weak-perspective picture (orthographic and scaled) of a mean head in three dimensions:
the least squares camera is a 2x3 matrix, and the rotation nearest to it is the pose (POS, the first step of
DeMenthon and Davis, "Model-Based Object Pose in 25 Lines of Code", IJCV 15, 1995).

Limits: heads differ, above all in the nose; five points tell yaw and pitch to about ten degrees near the front
and less well beyond forty, where detectors place the hidden eye by habit. Pitch is measured from the mean press
photograph, not from the Frankfurt plane.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.face.parameters import MEAN_HEAD

_HEAD = np.array(MEAN_HEAD)
_CENTRED = _HEAD - _HEAD.mean(axis=0)
_SOLVE = np.linalg.pinv(_CENTRED)  # [3, 5]: landmarks to the least squares camera
_VANISHING = 1e-9  # pixels per millimetre; landmarks that coincide have no pose


@dataclass(frozen=True, slots=True)
class Pose:
    """Degrees; 0, 0, 0 looks into the camera. The head is turned by yaw first, then nods, then tilts.

    `yaw` positive: turned to the right of the image. `pitch` positive: looking down. `roll` positive: clockwise as
    seen in the image.
    """

    yaw: float
    pitch: float
    roll: float


def estimate(landmarks: NDArray[np.floating]) -> Pose:
    """The pose that five landmarks [5, 2] suggest (order and limits as above)."""
    points = np.asarray(landmarks, np.float64)
    camera = (_SOLVE @ (points - points.mean(axis=0))).T
    left, scales, right = np.linalg.svd(camera, full_matrices=False)
    if not np.isfinite(scales).all() or scales[1] < _VANISHING:
        return Pose(0.0, 0.0, 0.0)
    x_row, y_row = left @ right
    z_row = np.cross(x_row, y_row)
    return Pose(
        yaw=math.degrees(math.atan2(-z_row[0], z_row[2])),
        pitch=math.degrees(math.asin(min(max(-z_row[1], -1.0), 1.0))),
        roll=math.degrees(math.atan2(-x_row[1], y_row[1])),
    )

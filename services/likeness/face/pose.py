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
_SOLVE = np.linalg.pinv(_HEAD - _HEAD.mean(axis=0)).T  # [5, 3]: landmarks to the least squares camera
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
    camera = np.asarray(landmarks, np.float64).T @ _SOLVE  # wherever the head is: the columns add up to 0
    # The rotation nearest to the camera C is (C C')^(-1/2) C; the root of a 2x3 matrix's square has a closed form.
    (a, b, c), (d, e, f) = camera.tolist()
    xx, xy, yy = a * a + b * b + c * c, a * d + b * e + c * f, d * d + e * e + f * f
    # The product of its two scales by Lagrange's identity; xx * yy - xy * xy is mostly rounding on a line.
    product = math.hypot(b * f - c * e, c * d - a * f, a * e - b * d)
    if not math.isfinite(product) or product <= _VANISHING * math.sqrt(xx + yy):
        return Pose(0.0, 0.0, 0.0)
    whole = product * math.sqrt(xx + yy + 2 * product)
    own_x, own_y, cross = (yy + product) / whole, (xx + product) / whole, -xy / whole
    x_row = (own_x * a + cross * d, own_x * b + cross * e, own_x * c + cross * f)
    y_row = (cross * a + own_y * d, cross * b + own_y * e, cross * c + own_y * f)
    z_row = (
        x_row[1] * y_row[2] - x_row[2] * y_row[1],
        x_row[2] * y_row[0] - x_row[0] * y_row[2],
        x_row[0] * y_row[1] - x_row[1] * y_row[0],
    )
    return Pose(
        yaw=math.degrees(math.atan2(-z_row[0], z_row[2])),
        pitch=math.degrees(math.asin(min(max(-z_row[1], -1.0), 1.0))),
        roll=math.degrees(math.atan2(-x_row[1], y_row[1])),
    )

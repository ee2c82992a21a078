"""YuNet: anchor-free, one row per cell.

Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20, 2023; the
decoding as in libfacedetection.train and in OpenCV's FaceDetectorYN.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from likeness.face.detect import Floats
from likeness.face.detectors.anchors import OneShot, probabilities

_MAX_LOG_SIZE = 10.0  # a box of e^10 strides is wider than any picture; beyond it exp overflows


class YuNet(OneShot):
    """Outputs cls, obj, bbox (shift of the centre, logarithm of the size) and kps; score = sqrt(cls x obj)."""

    WIDTHS: ClassVar[tuple[int, ...]] = (1, 1, 4, 10)
    NAMES: ClassVar[tuple[str, ...]] = ("cls", "obj", "bbox", "kps")

    def scores(self, kinds: list[Floats]) -> Floats:
        """The geometric mean of class and object probability."""
        joint: Floats = np.sqrt(probabilities(kinds[0][:, 0]) * probabilities(kinds[1][:, 0]))
        return joint

    def boxes(self, values: Floats, corners: Floats, stride: int) -> Floats:
        """Centre and size, in strides, as sides in pixels."""
        centre = corners + values[:, :2] * stride
        half = np.exp(np.minimum(values[:, 2:], _MAX_LOG_SIZE)) * (stride / 2)
        return np.concatenate([centre - half, centre + half], axis=1)

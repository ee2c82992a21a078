"""SCRFD: distances from a cell's corner to the four sides of the face, one or more anchors per cell.

Guo et al., "Sample and Computation Redistribution for Efficient Face Detection", ICLR 2022; the decoding as in
InsightFace, whose anchor centres are the corners of the cells.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from likeness.face.detect import Floats
from likeness.face.detectors.anchors import OneShot, probabilities


class Scrfd(OneShot):
    """Outputs score, bbox (distances to left, top, right, bottom) and kps, all in strides."""

    WIDTHS: ClassVar[tuple[int, ...]] = (1, 4, 10)
    NAMES: ClassVar[tuple[str, ...]] = ("score", "bbox", "kps")

    def scores(self, kinds: list[Floats]) -> Floats:
        """The probability of a face."""
        return probabilities(kinds[0][:, 0])

    def boxes(self, values: Floats, corners: Floats, stride: int) -> Floats:
        """Distances, in strides, as sides in pixels."""
        distance = values * stride
        return np.concatenate([corners - distance[:, :2], corners + distance[:, 2:]], axis=1)

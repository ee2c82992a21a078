"""The aligned face: what a recogniser looks at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from likeness.face.detect import Detection, Pixels
from likeness.imaging.geometry import similarity, warp


def chip(image: Pixels, face: Detection, template: NDArray[np.floating], size: tuple[int, int]) -> Pixels:
    """The face turned, scaled and shifted so that its landmarks lie as near to the template as they can.

    Args:
        image: uint8 [height, width, 3], RGB.
        face: its landmarks in the picture.
        template: where the landmarks belong, [5, 2] pixels of the chip.
        size: (width, height) of the chip.

    Returns:
        uint8 [height, width, 3], RGB; black where the picture ends.
    """
    return warp(image, similarity(face.landmarks, template), size)

"""The squares of a photograph that the network embeds: all of it; of a probe also its mirror image and parts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from likeness.domain.samples import Box
from likeness.imaging.opencv import cv2
from likeness.object import parameters as p

Pixels = NDArray[np.uint8]


def cropped(image: Pixels, region: Box | None) -> Pixels:
    """The part of a photograph uint8 [h, w, 3] inside a region, at least one pixel; all of it without one."""
    if region is None:
        return image
    height, width = image.shape[:2]
    left, top = min(max(0, round(region.x)), width - 1), min(max(0, round(region.y)), height - 1)
    right = max(left + 1, min(width, round(region.x + region.width)))
    bottom = max(top + 1, min(height, round(region.y + region.height)))
    return image[top:bottom, left:right]


def square(image: Pixels, side: int) -> Pixels:
    """A photograph squeezed to uint8 [side, side, 3]; enlarged ones are interpolated."""
    shrinks = min(image.shape[:2]) >= side
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(image), (side, side), interpolation=how), np.uint8)


def of_reference(image: Pixels, side: int) -> list[Pixels]:
    """One square, so that a reference takes one row of the index."""
    return [square(image, side)]


def of_probe(image: Pixels, side: int) -> list[Pixels]:
    """The whole, its mirror image, and the parts where one object among others may be: middle and corners."""
    whole = square(image, side)
    height, width = image.shape[:2]
    high, wide = max(1, round(height * p.PART)), max(1, round(width * p.PART))
    down, right = height - high, width - wide
    places = ((down // 2, right // 2), (0, 0), (0, right), (down, 0), (down, right))
    parts = [square(image[top : top + high, left : left + wide], side) for top, left in places]
    return [whole, np.ascontiguousarray(whole[:, ::-1]), *parts]

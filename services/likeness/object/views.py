"""The squares of a photograph that the network embeds: all of it and parts; of a probe its mirror image too.

A network that sees a whole photograph knows a quarter of it hardly, and hardly an object that takes a quarter: so
parts of a reference meet the probe that is a part, and parts of a probe the reference that is one thing in it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from likeness.domain.samples import Box
from likeness.imaging.opencv import cv2
from likeness.object import parameters as p

Pixels = NDArray[np.uint8]

REFERENCE = 5
"""Squares of a reference, and the first of a probe: the whole and its corners."""
_QUARTER_TURNS = (1, 2, 3)
_MIDDLES = (p.MOST, p.PART)
COARSE = REFERENCE + 1 + len(_QUARTER_TURNS) + len(_MIDDLES)
"""First squares of a probe that parts of references are compared with: those of a reference, the whole mirrored and
turned, and its middles. Smaller parts of a probe are compared with wholes alone: a part of an object in a small
part of a photograph is beyond what the network knows, and strangers would be found by it."""


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
    """The whole and its corners: `REFERENCE` squares."""
    return [square(one, side) for one in (image, *grid(image, p.PART, 2))]


def of_probe(image: Pixels, side: int) -> list[Pixels]:
    """Those of a reference; the whole mirrored and turned; then middles and parts that may be the object."""
    coarse = of_reference(image, side)
    whole = coarse[0]
    moved = [whole[:, ::-1], *(np.rot90(whole, turns) for turns in _QUARTER_TURNS)]
    grids = (*((share, 1) for share in _MIDDLES), *p.SMALL_PARTS)
    parts = [part for share, count in grids for part in grid(image, share, count)]
    return [*coarse, *map(np.ascontiguousarray, moved), *(square(part, side) for part in parts)]


def grid(image: Pixels, share: float, count: int) -> list[Pixels]:
    """Parts uint8 [h, w, 3] with that share of both sides, `count` rows of `count`, from border to border.

    One alone is the middle.
    """
    height, width = image.shape[:2]
    high, wide = max(1, round(height * share)), max(1, round(width * share))
    places = np.linspace(0.0, 1.0, count) if count > 1 else np.array([0.5])
    tops = np.rint(places * (height - high)).astype(int).tolist()
    lefts = np.rint(places * (width - wide)).astype(int).tolist()
    return [image[top : top + high, left : left + wide] for top in tops for left in lefts]

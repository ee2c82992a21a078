"""Colours and opacity to what is seen on white, some rows at a time so that no second picture is held."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from likeness.imaging.opencv import cv2
from likeness.imaging.parameters import BAND_PIXELS

Pixels = NDArray[np.uint8]

_WHITE = 255


def bands(rows: int, width: int) -> Iterator[slice]:
    """The rows of a picture in bands of about `BAND_PIXELS` pixels."""
    step = max(1, BAND_PIXELS // max(width, 1))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def over_white(colour: Pixels, opacity: Pixels, *, associated: bool = False) -> Pixels:
    """Colours laid over white.

    Args:
        colour: uint8 [rows, width, 3].
        opacity: uint8 [rows, width]; 255 is opaque.
        associated: whether the colours were multiplied by the opacity already.

    Returns:
        uint8 [rows, width, 3].
    """
    shares = cv2.merge([np.ascontiguousarray(opacity)] * 3)
    whole = np.ascontiguousarray(colour)
    seen = whole if associated else cv2.multiply(whole, shares, scale=1 / _WHITE)
    return np.asarray(cv2.add(seen, cv2.bitwise_not(shares)), dtype=np.uint8)


def without_inks(inks: Pixels) -> Pixels:
    """Cyan, magenta, yellow and black [rows, width, 4] as RGB, by the customary formula without a profile."""
    light = cv2.bitwise_not(np.ascontiguousarray(inks))
    black = cv2.merge([np.ascontiguousarray(light[:, :, 3])] * 3)
    return np.asarray(
        cv2.multiply(np.ascontiguousarray(light[:, :, :3]), black, scale=1 / _WHITE), dtype=np.uint8
    )

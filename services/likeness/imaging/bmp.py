"""The pixels of a bitmap of 16 or 32 bits, whose colour masks decoders ignore or take for the usual ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from likeness.imaging import layers
from likeness.imaging.headers.parts import BmpLayout

Pixels = NDArray[np.uint8]
Words = NDArray[np.unsignedinteger]


def read(data: bytes, layout: BmpLayout, width: int, height: int) -> Pixels:
    """The picture over white, uint8 [height, width, 3], RGB, upright.

    Opacity that is 0 everywhere was left unwritten, and the picture is opaque.
    """
    row_bytes = (width * layout.depth + 31) // 32 * 4
    rows = np.frombuffer(data, np.uint8, row_bytes * height, layout.offset).reshape(height, row_bytes)
    words: Words = rows[:, : width * layout.depth // 8].view(f"<u{layout.depth // 8}")
    if not layout.top_down:
        words = words[::-1]
    *colours, opacity = layout.masks
    transparent = opacity and any((words[band] & opacity).any() for band in layers.bands(height, width))
    picture = np.empty((height, width, 3), np.uint8)
    for band in layers.bands(height, width):
        colour = np.dstack([_channel(words[band], mask) for mask in colours])
        if transparent:
            colour = layers.over_white(colour, _channel(words[band], opacity))
        picture[band] = colour
    return picture


def _channel(words: Words, mask: int) -> Pixels:
    """The values under a mask, scaled to 0..255."""
    if mask == 0:
        return np.zeros(words.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    most = mask >> shift
    values = (words & mask).astype(np.uint32) >> shift
    return ((values * 255 + most // 2) // most).astype(np.uint8)

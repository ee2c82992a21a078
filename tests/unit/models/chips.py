"""Chips that anyone can make again: pictures by formula and from the frozen generator of numpy.

`dlib_descriptors.json` holds dlib's own descriptors of them, from
`dlib.face_recognition_model_v1(WEIGHTS).compute_face_descriptor(chip)`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

SIDE = 150

Chip = npt.NDArray[np.uint8]


def _noise(seed: int) -> Chip:
    return np.random.RandomState(seed).randint(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)


def _blocks(seed: int, count: int) -> Chip:
    coarse = np.random.RandomState(seed).randint(0, 256, (count, count, 3)).astype(np.uint8)
    return coarse.repeat(SIDE // count, 0).repeat(SIDE // count, 1)


def _ramp() -> Chip:
    y, x, channel = np.ogrid[:SIDE, :SIDE, :3]
    return np.asarray((x * (3 + channel) + y * (5 - channel)) % 256, np.uint8)


def _drawn_face() -> Chip:
    """An oval with eyes, nose and mouth, softly shaded: the network sees something like a face."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float64)

    def blob(at_x: float, at_y: float, wide: float, high: float) -> npt.NDArray[np.float64]:
        return np.asarray(np.exp(-(((x - at_x) / wide) ** 2) - ((y - at_y) / high) ** 2))

    light = 60.0 + 130.0 * (((x - 74) / 52) ** 2 + ((y - 74) / 68) ** 2 < 1)
    for feature in ((47, 47, 11, 5), (100, 47, 11, 5), (74, 77, 7, 10), (74, 105, 24, 5)):
        light -= 95 * blob(*feature)
    tint = np.array([1.0, 0.82, 0.7])
    return np.asarray(np.clip(np.rint(light[..., None] * tint), 0, 255), np.uint8)


CHIPS: dict[str, Callable[[], Chip]] = {
    "noise": lambda: _noise(7),
    "fine blocks": lambda: _blocks(1, 30),
    "coarse blocks": lambda: _blocks(2, 6),
    "ramp": _ramp,
    "drawn face": _drawn_face,
    "black": lambda: np.zeros((SIDE, SIDE, 3), np.uint8),
    "white": lambda: np.full((SIDE, SIDE, 3), 255, np.uint8),
}

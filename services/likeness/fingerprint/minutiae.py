"""Minutiae as every part of the product sees them, whatever record they came in.

One convention: pixels at 500 dpi, x to the right, y downwards, as the impression is looked at; angles in radians,
counter-clockwise as seen from the positive x axis, so that a minutia points along (cos a, -sin a). The direction is
that of ISO/IEC 19794-2:2005, 6.4.3: along the ridge for an ending, along the valley for a bifurcation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

DPI = 500
"""Pixels per inch of every coordinate in the product."""


UNKNOWN = 0
"""Finger position code of ISO/IEC 19794-2 for a finger that nobody named; it may be any."""

_PLAIN_THUMBS = {11: 1, 12: 6}
_LAST = 10


def position_of(code: int) -> int:
    """The finger that a position code names, 1 right thumb .. 10 left little finger, else `UNKNOWN`.

    ANSI/NIST-ITL names the plain impressions of the thumbs apart from the rolled ones (11 and 12); impressions of
    several fingers, palms and extra digits name no one finger.
    """
    if code in _PLAIN_THUMBS:
        return _PLAIN_THUMBS[code]
    return code if 1 <= code <= _LAST else UNKNOWN


def fingers_of(codes: Iterable[int]) -> frozenset[int]:
    """The fingers, 1..10, of an impression that may be one of several, by their position codes; empty for any.

    It may be any where nothing is listed, where a code names no one finger, and where all ten are listed.
    """
    fingers = frozenset(position_of(code) for code in codes)
    return frozenset() if UNKNOWN in fingers or len(fingers) == _LAST else fingers


class MinutiaKind(IntEnum):
    """The type of a minutia, numbered as in ISO/IEC 19794-2:2005, 6.4.2."""

    OTHER = 0
    ENDING = 1
    BIFURCATION = 2


@dataclass(frozen=True, eq=False, slots=True)
class Minutiae:
    """The minutiae of one impression; `n` may be 0.

    `xy` float32 [n, 2], pixels at 500 dpi; `angle` float32 [n], radians in [0, 2 pi); `kind` uint8 [n], see
    `MinutiaKind`; `quality` uint8 [n], 1..100, 0 where the record does not state it.
    """

    xy: NDArray[np.float32]
    angle: NDArray[np.float32]
    kind: NDArray[np.uint8]
    quality: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.angle)


@dataclass(frozen=True, slots=True)
class Extended:
    """One block of extended data, stored as it came. `identifier` as in ISO/IEC 19794-2:2005, 6.5.1."""

    identifier: int
    data: bytes


@dataclass(frozen=True, eq=False, slots=True)
class FingerView:
    """One impression of one finger.

    `position`: finger position code of ISO/IEC 19794-2 (0 unknown, 1 right thumb .. 10 left little finger).
    `possible`: the fingers, 1..10, that it may be where the record lists several and not all; `position` is then 0.
    `impression`: impression type code as the record had it. `number` distinguishes views of one finger.
    `width`, `height`: pixels at 500 dpi, 0 where unknown. `quality`: 0..100, None where the record does not state
    it. `scale`: pixels at 500 dpi for one pixel of the record, across and down; 1 also where it does not state its
    resolution.
    """

    minutiae: Minutiae
    position: int = 0
    impression: int = 0
    number: int = 0
    width: int = 0
    height: int = 0
    quality: int | None = None
    extended: tuple[Extended, ...] = ()
    scale: tuple[float, float] = (1.0, 1.0)
    possible: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Remark:
    """What is wrong with a record that could be read all the same: a constant, and what was found, for a person."""

    reason: str
    message: str


@dataclass(frozen=True, eq=False, slots=True)
class Record:
    """What one record held. `standard` names the format that was read, for example `ISO/IEC 19794-2:2005`."""

    standard: str
    views: tuple[FingerView, ...] = field(default=())
    remarks: tuple[Remark, ...] = ()

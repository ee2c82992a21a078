"""The record formats by name, and what all of them share."""

from __future__ import annotations

import math
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from likeness.fingerprint.formats.cursor import Cursor, malformed, too_much
from likeness.fingerprint.minutiae import DPI, Extended, Minutiae, MinutiaKind

MAX_VIEWS = 64
"""Views of one record: ten fingers, several impressions of each."""
MAX_MINUTIAE = 255
"""Minutiae of one view: what one byte counts in the binary formats."""

UNKNOWN_QUALITY = 254
"""ISO/IEC 19794-2:2011, 8.4.9: quality was not reported."""

_CM_PER_INCH = 2.54
_NOMINAL = (196, 197)  # pixels per cm that stand for 500 per inch, which is 196.85
_COARSEST, _FINEST = 40, 1600  # pixels per cm, 100 to 4000 per inch
_EIGHTH = 2.0 * math.pi


class Standard(StrEnum):
    """What can be read and written."""

    ISO_2005 = "ISO/IEC 19794-2:2005"
    ISO_2011 = "ISO/IEC 19794-2:2011"
    INCITS_2004 = "ANSI/INCITS 378-2004"
    INCITS_2009 = "ANSI/INCITS 378-2009"
    TYPE_9_INCITS = "ANSI/NIST-ITL Type-9 (INCITS 378 block)"
    TYPE_9_EFS = "ANSI/NIST-ITL Type-9 (EFS block)"


def scales(cursor: Cursor, across: str, down: str) -> tuple[float, float]:
    """Pixels at 500 dpi for one pixel of the record, across and down, by the next two numbers, pixels per cm.

    0 is written for unknown: one that is unknown is as the other, and both are 500 dpi.

    Args:
        cursor: the record.
        across: the clause of the first number.
        down: the clause of the second.

    Raises:
        SampleRejected: no scanner has such a resolution.
    """
    found = [_scale(cursor, cursor.number(2, clause), clause) for clause in (across, down)]
    return either(found[0], found[1])


def either(across: float | None, down: float | None) -> tuple[float, float]:
    """Both scales; one that is not known is as the other, and 1 where neither is."""
    known = next((one for one in (across, down) if one is not None), 1.0)
    return known if across is None else across, known if down is None else down


def _scale(cursor: Cursor, per_cm: int, clause: str) -> float | None:
    if per_cm == 0:
        return None
    if per_cm in _NOMINAL:
        return 1.0
    if not _COARSEST <= per_cm <= _FINEST:
        raise cursor.wrong(clause, f"{per_cm} pixels per cm is no resolution of a fingerprint")
    return DPI / (per_cm * _CM_PER_INCH)


def minutiae_of(cursor: Cursor, count: int, size: int, degrees: float, clause: str) -> Minutiae:
    """The next `count` minutiae of `size` bytes: type and x, y, angle in steps of `degrees`, and a sixth byte of
    quality. Coordinates are as in the record."""
    raw = np.frombuffer(cursor.take(count * size, clause), np.uint8).reshape(count, size).astype(np.int64)
    xy = np.stack([(raw[:, 0] & 0x3F) << 8 | raw[:, 1], (raw[:, 2] & 0x3F) << 8 | raw[:, 3]], axis=1)
    angle = np.mod(np.deg2rad(raw[:, 4] * degrees), _EIGHTH)
    quality = raw[:, 5] if size > 5 else np.zeros(count, np.int64)
    return Minutiae(
        xy=xy.astype(np.float32),
        angle=angle.astype(np.float32),
        kind=np.where(raw[:, 0] >> 6 > MinutiaKind.BIFURCATION, MinutiaKind.OTHER, raw[:, 0] >> 6).astype(
            np.uint8
        ),
        quality=np.where(quality <= 100, quality, 0).astype(np.uint8),
    )


def scaled(minutiae: Minutiae, factors: tuple[float, float]) -> Minutiae:
    """The same minutiae with their coordinates multiplied, across and down.

    Angles stay as recorded: an extractor may have taken them before or after it made the pixels square. A record of
    unequal resolutions is warned of, see `quality`.
    """
    return Minutiae(
        minutiae.xy * np.array(factors, np.float32), minutiae.angle, minutiae.kind, minutiae.quality
    )


def side(pixels: int, largest: int = 0xFFFF) -> int:
    """A width or height as a field of the record holds it."""
    return min(pixels, largest)


def packed(minutiae: Minutiae, size: int, degrees: float) -> bytes:
    """What `minutiae_of` reads; coordinates are rounded and limited to 14 bits."""
    n = min(len(minutiae), MAX_MINUTIAE)
    xy = np.clip(np.rint(minutiae.xy[:n]), 0, 0x3FFF).astype(np.int64)
    steps = round(360.0 / degrees)
    rows: NDArray[np.uint8] = np.zeros((n, size), np.uint8)
    rows[:, 0] = minutiae.kind[:n].astype(np.int64) << 6 | xy[:, 0] >> 8
    rows[:, 1] = xy[:, 0] & 0xFF
    rows[:, 2] = xy[:, 1] >> 8
    rows[:, 3] = xy[:, 1] & 0xFF
    rows[:, 4] = np.mod(np.rint(np.rad2deg(minutiae.angle[:n].astype(np.float64)) / degrees), steps)
    if size > 5:
        rows[:, 5] = minutiae.quality[:n]
    return rows.tobytes()


_BLOCK_HEADER = 4
"""Bytes of type and length before the data of an extended block."""


def extended_data(cursor: Cursor, clause: str) -> tuple[Extended, ...]:
    """The extended data of a view: a length, then blocks of type, length and bytes (ISO/IEC 19794-2:2005, 7.5).

    By the text of the standards a block's length counts its own header of 4 bytes (also ANSI/INCITS 378-2004, 6.6),
    by the example of ISO/IEC 19794-2:2005 the data alone, and both are written. The reading that fills the area to
    the byte is taken; where both do, as where blocks are empty, that of the text.
    """
    start = cursor.offset
    area = cursor.part(cursor.number(2, clause), clause)
    data = area.data[area.offset : area.end]
    for counted in (_BLOCK_HEADER, 0):
        blocks = _blocks(data, counted)
        if blocks is not None:
            return blocks
    raise malformed(
        cursor.name,
        start,
        clause,
        f"the blocks in {len(data)} bytes of extended data do not fill them, whether or not their lengths count "
        "their headers",
    )


def _blocks(data: bytes, counted: int) -> tuple[Extended, ...] | None:
    """The blocks that fill the data, where lengths count so many bytes of their header; None if they do not."""
    blocks = []
    at = 0
    while at < len(data):
        identifier, length = data[at : at + 2], int.from_bytes(data[at + 2 : at + 4], "big") - counted
        at += _BLOCK_HEADER
        if length < 0 or at + length > len(data):
            return None
        blocks.append(Extended(int.from_bytes(identifier, "big"), data[at : at + length]))
        at += length
    return tuple(blocks)


def extended_bytes(blocks: tuple[Extended, ...]) -> bytes:
    """What `extended_data` reads."""
    body = b"".join(
        b.identifier.to_bytes(2, "big") + (len(b.data) + 4).to_bytes(2, "big") + b.data for b in blocks
    )
    return len(body).to_bytes(2, "big") + body


def quality_of(value: int) -> int | None:
    """A quality byte as 0..100, or None where none was reported."""
    return value if value <= 100 else None


def check_views(cursor: Cursor, count: int, clause: str) -> None:
    """Raise SampleRejected for more views than a record needs."""
    if count > MAX_VIEWS:
        raise too_much(cursor.name, cursor.offset, clause, f"{count} views, more than {MAX_VIEWS}")

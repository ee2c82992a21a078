"""ANSI/INCITS 378 finger minutiae records, editions 2004 and 2009. Angles come in steps of 2 degrees."""

from __future__ import annotations

from likeness.fingerprint.formats.cursor import Cursor
from likeness.fingerprint.formats.standards import (
    UNKNOWN_QUALITY,
    Standard,
    check_views,
    extended_bytes,
    extended_data,
    minutiae_of,
    packed,
    quality_of,
    scaled,
    scales,
    side,
)
from likeness.fingerprint.minutiae import FingerView, Record

MAGIC_2004 = b"FMR\0 20\0"
MAGICS_2009 = (b"FMR\0" + b"030\0", b"FMR\0" + b"035\0")
"""The edition of 2009 and its amendment 1."""

_STEP = 2.0
_500_DPI = 197
_LONGEST_SHORT = 0xFFFF
_UNKNOWN_VENDOR = b"\0\x18"


def declared_2004(data: bytes) -> int:
    """The length that the record declares, in bytes (6.4.4: 2 bytes, or 2 of zero and 4)."""
    return int.from_bytes(data[8:10], "big") or int.from_bytes(data[10:14], "big")


def read_2004(data: bytes, name: str) -> Record:
    """ANSI/INCITS 378-2004, clause 6."""
    header = "ANSI/INCITS 378-2004, 6.4"
    cursor = Cursor(data, name, 8)
    if cursor.number(2, header) == 0:
        cursor.take(4, header)
    cursor.take(6, header)  # CBEFF product identifier, capture equipment
    width, height = cursor.number(2, header), cursor.number(2, header)
    factors = scales(cursor, "ANSI/INCITS 378-2004, 6.4.9", "ANSI/INCITS 378-2004, 6.4.10")
    count = cursor.number(1, header)
    check_views(cursor, count, "ANSI/INCITS 378-2004, 6.4.11")
    cursor.take(1, header)
    views = tuple(_view_2004(cursor, width, height, factors) for _ in range(count))
    cursor.finish("ANSI/INCITS 378-2004, 6.4.4")
    return Record(Standard.INCITS_2004, views)


def _view_2004(cursor: Cursor, width: int, height: int, factors: tuple[float, float]) -> FingerView:
    header = "ANSI/INCITS 378-2004, 6.5.1"
    position, kinds = cursor.number(1, header), cursor.number(1, header)
    quality, count = cursor.number(1, header), cursor.number(1, header)
    minutiae = minutiae_of(cursor, count, 6, _STEP, "ANSI/INCITS 378-2004, 6.5.2")
    return FingerView(
        minutiae=scaled(minutiae, factors),
        scale=factors,
        position=position,
        impression=kinds & 0x0F,
        number=kinds >> 4,
        width=round(width * factors[0]),
        height=round(height * factors[1]),
        quality=quality_of(quality),
        extended=extended_data(cursor, "ANSI/INCITS 378-2004, 6.6"),
    )


def write_2004(record: Record) -> bytes:
    """A record of the 2004 edition at 500 dpi; the largest width and height of the views stand for all."""
    body = b"".join(
        bytes(
            [
                view.position & 0xFF,
                (view.number & 0x0F) << 4 | view.impression & 0x0F,
                UNKNOWN_QUALITY if view.quality is None else view.quality,
                min(len(view.minutiae), 255),
            ]
        )
        + packed(view.minutiae, 6, _STEP)
        + extended_bytes(view.extended)
        for view in record.views
    )
    width = max((view.width for view in record.views), default=0)
    height = max((view.height for view in record.views), default=0)
    numbers = (0, 0, 0, side(width), side(height), _500_DPI, _500_DPI)
    fixed = b"".join(n.to_bytes(2, "big") for n in numbers) + bytes([len(record.views), 0])
    total = len(MAGIC_2004) + 2 + len(fixed) + len(body)
    length = total.to_bytes(2, "big") if total <= _LONGEST_SHORT else b"\0\0" + (total + 4).to_bytes(4, "big")
    return MAGIC_2004 + length + fixed + body


def read_2009(data: bytes, name: str) -> Record:
    """ANSI/INCITS 378-2009, clause 6, and its amendment 1."""
    header = "ANSI/INCITS 378-2009, 6.4"
    cursor = Cursor(data, name, 8)
    cursor.take(4, "ANSI/INCITS 378-2009, 6.4.4")  # the length, see `formats.read`
    cursor.take(7, header)  # product identifier, compliance, capture equipment
    count = cursor.number(1, header)
    check_views(cursor, count, "ANSI/INCITS 378-2009, 6.4.8")
    cursor.take(1, header)
    views = tuple(_view_2009(cursor) for _ in range(count))
    cursor.finish("ANSI/INCITS 378-2009, 6.4.4")
    return Record(Standard.INCITS_2009, views)


def _view_2009(cursor: Cursor) -> FingerView:
    header = "ANSI/INCITS 378-2009, 6.5.1"
    position, number, impression = (cursor.number(1, header) for _ in range(3))
    quality = cursor.number(1, header)
    cursor.take(4, header)  # who computed the quality
    width, height = cursor.number(2, header), cursor.number(2, header)
    factors = scales(cursor, header, header)
    count = cursor.number(1, header)
    minutiae = minutiae_of(cursor, count, 6, _STEP, "ANSI/INCITS 378-2009, 6.5.2")
    return FingerView(
        minutiae=scaled(minutiae, factors),
        scale=factors,
        position=position,
        impression=impression,
        number=number,
        width=round(width * factors[0]),
        height=round(height * factors[1]),
        quality=quality_of(quality),
        extended=extended_data(cursor, "ANSI/INCITS 378-2009, 6.6"),
    )


def write_2009(record: Record) -> bytes:
    """A record of the 2009 edition at 500 dpi."""
    body = b""
    for view in record.views:
        quality = UNKNOWN_QUALITY if view.quality is None else view.quality
        body += bytes([view.position & 0xFF, view.number & 0x0F, view.impression & 0xFF, quality])
        body += _UNKNOWN_VENDOR + b"\0\0"
        shape = (side(view.width), side(view.height), _500_DPI, _500_DPI)
        body += b"".join(n.to_bytes(2, "big") for n in shape)
        body += bytes([min(len(view.minutiae), 255)]) + packed(view.minutiae, 6, _STEP)
        body += extended_bytes(view.extended)
    fixed = _UNKNOWN_VENDOR + b"\0\0\0\0\0" + bytes([len(record.views), 0])
    magic = MAGICS_2009[0]
    return magic + (len(magic) + 4 + len(fixed) + len(body)).to_bytes(4, "big") + fixed + body

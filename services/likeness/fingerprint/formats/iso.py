"""ISO/IEC 19794-2 finger minutiae records, editions 2005 and 2011."""

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

MAGIC_2005 = b"FMR\0 20\0"
MAGIC_2011 = b"FMR\0" + b"030\0"

_STEP = 360.0 / 256.0  # degrees, 2005: 7.4.2.4
_500_DPI = 197  # pixels per cm
_HEADER_2005 = 24
_HEADER_2011 = 15
_LEAST_REPRESENTATION = 34  # bytes of a representation without quality records or minutiae


def declared(data: bytes) -> int:
    """The length that the record declares, in bytes (7.3.4; 8.3.4 in the edition of 2011)."""
    return int.from_bytes(data[8:12], "big")


def is_2011(data: bytes) -> bool:
    """Whether a record that begins as those of 2011 is ISO's: its representations fill it, but for NULs."""
    cursor = Cursor(data, "", 8)
    if cursor.left < 7:
        return False
    cursor.take(4, "")
    count = cursor.number(2, "")
    cursor.take(1, "")
    for _ in range(count):
        if cursor.left < 4:
            return False
        length = cursor.number(4, "")
        if length < _LEAST_REPRESENTATION or length - 4 > cursor.left:
            return False
        cursor.take(length - 4, "")
    return count > 0 and cursor.only_nul_left


def read_2005(data: bytes, name: str) -> Record:
    """ISO/IEC 19794-2:2005, clause 7."""
    cursor = Cursor(data, name, 12)
    header = "ISO/IEC 19794-2:2005, 7.3"
    cursor.take(2, header)  # capture equipment
    width, height = cursor.number(2, header), cursor.number(2, header)
    factors = scales(cursor, "ISO/IEC 19794-2:2005, 7.3.8", "ISO/IEC 19794-2:2005, 7.3.9")
    count = cursor.number(1, "ISO/IEC 19794-2:2005, 7.3.10")
    check_views(cursor, count, "ISO/IEC 19794-2:2005, 7.3.10")
    cursor.take(1, header)
    views = tuple(_view_2005(cursor, width, height, factors) for _ in range(count))
    cursor.finish("ISO/IEC 19794-2:2005, 7.3.4")
    return Record(Standard.ISO_2005, views)


def _view_2005(cursor: Cursor, width: int, height: int, factors: tuple[float, float]) -> FingerView:
    header = "ISO/IEC 19794-2:2005, 7.4.1"
    position, kinds = cursor.number(1, header), cursor.number(1, header)
    quality, count = cursor.number(1, header), cursor.number(1, header)
    minutiae = minutiae_of(cursor, count, 6, _STEP, "ISO/IEC 19794-2:2005, 7.4.2")
    return FingerView(
        minutiae=scaled(minutiae, factors),
        scale=factors,
        position=position,
        impression=kinds & 0x0F,
        number=kinds >> 4,
        width=round(width * factors[0]),
        height=round(height * factors[1]),
        quality=quality_of(quality),
        extended=extended_data(cursor, "ISO/IEC 19794-2:2005, 7.5"),
    )


def write_2005(record: Record) -> bytes:
    """A record of the 2005 edition at 500 dpi; the largest width and height of the views stand for all."""
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
    numbers = (0, side(width), side(height), _500_DPI, _500_DPI)
    fixed = b"".join(n.to_bytes(2, "big") for n in numbers) + bytes([len(record.views), 0])
    return MAGIC_2005 + (_HEADER_2005 + len(body)).to_bytes(4, "big") + fixed + body


def read_2011(data: bytes, name: str) -> Record:
    """ISO/IEC 19794-2:2011, clause 8."""
    header = "ISO/IEC 19794-2:2011, 8.3"
    cursor = Cursor(data, name, 12)
    count = cursor.number(2, header)
    check_views(cursor, count, header)
    certified = cursor.number(1, header)
    views = []
    for _ in range(count):
        length = cursor.number(4, "ISO/IEC 19794-2:2011, 8.4.2")
        if length < 4:
            raise cursor.wrong("ISO/IEC 19794-2:2011, 8.4.2", f"a representation of {length} bytes")
        views.append(_view_2011(cursor.part(length - 4, "ISO/IEC 19794-2:2011, 8.4.2"), bool(certified)))
    cursor.finish("ISO/IEC 19794-2:2011, 8.3")
    return Record(Standard.ISO_2011, tuple(views))


def _view_2011(cursor: Cursor, certified: bool) -> FingerView:
    header = "ISO/IEC 19794-2:2011, 8.4"
    cursor.take(14, header)  # date and time, technology, vendor and type of the capture device
    qualities = [cursor.take(5, header)[0] for _ in range(cursor.number(1, header))]
    if certified:
        cursor.take(3 * cursor.number(1, header), header)
    position, number = cursor.number(1, header), cursor.number(1, header)
    factors = scales(cursor, "ISO/IEC 19794-2:2011, 8.4.13", "ISO/IEC 19794-2:2011, 8.4.14")
    impression = cursor.number(1, header)
    width, height = cursor.number(2, header), cursor.number(2, header)
    size = cursor.number(1, header) >> 4
    if size not in (5, 6):
        raise cursor.wrong("ISO/IEC 19794-2:2011, 8.4.18", f"minutiae of {size} bytes; there are 5 and 6")
    count = cursor.number(1, header)
    minutiae = minutiae_of(cursor, count, size, _STEP, "ISO/IEC 19794-2:2011, 8.5")
    extended = extended_data(cursor, "ISO/IEC 19794-2:2011, 8.6")
    if cursor.left:
        raise cursor.wrong("ISO/IEC 19794-2:2011, 8.4.2", f"{cursor.left} bytes follow the extended data")
    return FingerView(
        minutiae=scaled(minutiae, factors),
        scale=factors,
        position=position,
        impression=impression,
        number=number,
        width=round(width * factors[0]),
        height=round(height * factors[1]),
        quality=next((q for q in qualities if q <= 100), None),
        extended=extended,
    )


def write_2011(record: Record) -> bytes:
    """A record of the 2011 edition at 500 dpi, without capture time, device and certificates."""
    parts = []
    for view in record.views:
        quality = b"\0" if view.quality is None else bytes([1, view.quality, 0, 0, 0, 0])
        shape = [_500_DPI, _500_DPI]
        body = b"\xff" * 9 + b"\0" * 5 + quality + bytes([view.position & 0xFF, view.number & 0xFF])
        body += b"".join(n.to_bytes(2, "big") for n in shape) + bytes([view.impression & 0xFF])
        body += b"".join(side(n, 0x3FFF).to_bytes(2, "big") for n in (view.width, view.height))
        body += bytes([6 << 4, min(len(view.minutiae), 255)]) + packed(view.minutiae, 6, _STEP)
        body += extended_bytes(view.extended)
        parts.append((len(body) + 4).to_bytes(4, "big") + body)
    joined = b"".join(parts)
    head = (_HEADER_2011 + len(joined)).to_bytes(4, "big") + len(parts).to_bytes(2, "big") + b"\0"
    return MAGIC_2011 + head + joined

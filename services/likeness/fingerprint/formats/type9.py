"""The minutiae of ANSI/NIST-ITL Type-9 records, alone or in a transaction.

Two blocks are read: the INCITS 378 one (fields 9.126 to 9.150; pixels, origin at the top left, angles in steps of 2
degrees) and that of the Extended Feature Set (9.300 and following; units of 10 micrometres, origin at the top left
of the region of interest, angles in degrees). Both count angles counter-clockwise from the right, as we do. The
legacy fields 9.005 to 9.012 have another origin and direction and are refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from likeness.domain.errors import SampleRejected
from likeness.fingerprint.formats.cursor import malformed, several, too_much
from likeness.fingerprint.formats.standards import MAX_MINUTIAE, MAX_VIEWS, Standard, either, side
from likeness.fingerprint.minutiae import (
    DPI,
    FingerView,
    Minutiae,
    MinutiaKind,
    Record,
    Remark,
    fingers_of,
    position_of,
)

FILE, GROUP, RECORD, UNIT = b"\x1c", b"\x1d", b"\x1e", b"\x1f"
"""FS, GS, RS, US: they end a record, a field, a subfield and an item (ANSI/NIST-ITL 1-2011, 5.2)."""

_PADDING = b"\0\r\n "
"""What may follow the last record, where a file has a fixed size or passed through an editor."""
_SLACK = 32
"""Bytes by which the length of a record may be off, where its separator says otherwise."""
_TEXT_TYPES = (1, 2, 9)
"""Records of text alone, in which the separator of records stands at the end and nowhere else."""
_MAX_FIELDS = 1000
_MAX_RECORDS = 1000
_PIXELS_PER_UNIT = DPI / 2540.0  # one unit of the EFS is 10 micrometres
_NUMBER = re.compile(rb"-?\d{1,9}(?:\.\d{1,6})?")
_TAG = re.compile(rb"0?(\d{1,2})\.(\d{1,4}):")
"""Field numbers have three digits or more since 2007; before that, in ANSI/NIST-ITL 1-2000, two were usual."""
_KINDS_INCITS = {
    b"1": MinutiaKind.ENDING,
    b"2": MinutiaKind.BIFURCATION,
    b"E": MinutiaKind.ENDING,
    b"B": MinutiaKind.BIFURCATION,
}
_KINDS_EFS = {b"E": MinutiaKind.ENDING, b"B": MinutiaKind.BIFURCATION}

Items = list[list[bytes]]
"""The subfields of a field, each a list of items."""


def is_type_9(data: bytes) -> bool:
    """Whether the data begins as a tagged record of the standard does."""
    return re.match(rb"0?(1|9)\.0{0,3}1:", data) is not None


def read(data: bytes, name: str) -> Record:
    """Every Type-9 record as one view; records of other types are passed over by the length they declare.

    Raises:
        SampleRejected: it breaks the standard or a limit, or another transaction follows.
    """
    views: list[FingerView] = []
    standards: list[Standard] = []
    corrected: list[_Extent] = []
    offset = 0
    for _ in range(_MAX_RECORDS):
        if not data[offset:].strip(_PADDING):
            break
        extent = _extent(data, name, offset)
        if extent.declared != extent.length:
            corrected.append(extent)
        if extent.kind == 1 and offset:
            raise several(name, f"several transactions, the second from byte {offset}")
        if extent.kind == 9:
            if len(views) == MAX_VIEWS:
                raise too_much(
                    name, offset, "ANSI/NIST-ITL 1-2011, 8.9", f"more than {MAX_VIEWS} Type-9 records"
                )
            standard, view = _view(_fields(data, name, offset, offset + extent.length), name, offset)
            standards.append(standard)
            views.append(view)
        offset += extent.length
    else:
        raise too_much(name, offset, "ANSI/NIST-ITL 1-2011, 5.3", f"more than {_MAX_RECORDS} records")
    if not views:
        raise malformed(name, 0, "ANSI/NIST-ITL 1-2011, 8.9", "there is no Type-9 record with minutiae in it")
    return Record(standards[0], tuple(views), _remarks(corrected, name))


class _Extent(NamedTuple):
    """A record: where it begins, its type (0 for a binary one), and its length in bytes, declared and real."""

    offset: int
    kind: int
    declared: int
    length: int


def _remarks(corrected: Sequence[_Extent], name: str) -> tuple[Remark, ...]:
    if not corrected:
        return ()
    first = corrected[0]
    message = (
        f"{name} (ANSI/NIST-ITL) has {len(corrected)} records of a wrong length, the first at byte {first.offset}: "
        f"it declares {first.declared} bytes and has {first.length}; each ends at its separator, so it was read."
    )
    return (Remark("RECORD_LENGTH_WRONG", message),)


def _extent(data: bytes, name: str, offset: int) -> _Extent:
    """The record that begins here.

    A tagged record has its length in its first field; the binary ones of types 3 to 8 in their first four bytes.
    """
    tag = _TAG.match(data, offset)
    clause = "ANSI/NIST-ITL 1-2011, 5.3"
    if tag is None:
        length = declared = int.from_bytes(data[offset : offset + 4], "big")
        kind = 0
    else:
        number = _NUMBER.match(data, tag.end())
        if number is None or int(tag[2]) != 1 or b"." in number[0]:
            raise malformed(name, offset, clause, "a record does not begin with its length (field x.001)")
        length, kind = int(number[0]), int(tag[1])
        declared = length
        if kind in _TEXT_TYPES:
            length = _whole(data, offset, length)
    if not 4 <= length <= len(data) - offset:
        raise malformed(
            name, offset, clause, f"a record of {length} bytes where {len(data) - offset} are left"
        )
    end = offset + length
    if kind in _TEXT_TYPES and end < len(data) and data[end - 1 : end] != FILE:
        raise malformed(
            name, end, clause, f"a record of {length} bytes does not end with the separator of records"
        )
    return _Extent(offset, kind, declared, length)


def _whole(data: bytes, offset: int, length: int) -> int:
    """The length of a record of text: as declared where it ends there, else up to its separator if that is near."""
    end = offset + length
    if data[end - 1 : end] == FILE:
        return length
    found = data.find(FILE, offset) + 1 - offset
    return found if found > 0 and abs(found - length) <= _SLACK else length


def _fields(data: bytes, name: str, start: int, end: int) -> dict[int, Items]:
    fields: dict[int, Items] = {}
    offset = start
    whole = data[start:end].rstrip(FILE)
    if FILE in whole:
        at = start + whole.index(FILE)
        raise malformed(
            name, at, "ANSI/NIST-ITL 1-2011, 5.2", "a separator of records stands inside a record"
        )
    for text in whole.split(GROUP):
        if len(fields) == _MAX_FIELDS:
            raise too_much(name, offset, "ANSI/NIST-ITL 1-2011, 8.9", f"more than {_MAX_FIELDS} fields")
        tag = _TAG.match(text)
        if tag is None or int(tag[1]) != 9:
            raise malformed(name, offset, "ANSI/NIST-ITL 1-2011, 5.2", "a field has no tag of this record")
        number = int(tag[2])
        if number in fields:
            raise malformed(
                name, offset, "ANSI/NIST-ITL 1-2011, 8.9", f"field 9.{number:03} stands in the record twice"
            )
        fields[number] = [part.split(UNIT) for part in text[tag.end() :].split(RECORD)]
        offset += len(text) + 1
    return fields


def _view(fields: dict[int, Items], name: str, offset: int) -> tuple[Standard, FingerView]:
    if 137 in fields or 136 in fields:
        return Standard.TYPE_9_INCITS, _incits(fields, name, offset)
    if 331 in fields or 300 in fields:
        return Standard.TYPE_9_EFS, _efs(fields, name, offset)
    raise SampleRejected(
        f"{name} has a Type-9 record at byte {offset} with neither the INCITS 378 block (9.126-9.150) nor the "
        "Extended Feature Set (9.300 and following); export it with one of them.",
        reason="UNSUPPORTED_FORMAT",
        metadata={"offset": str(offset)},
    )


def _incits(fields: dict[int, Items], name: str, offset: int) -> FingerView:
    """ANSI/NIST-ITL 1-2011, 8.9.5."""
    clause = "ANSI/NIST-ITL 1-2011, 8.9.5"

    def single(field: int, missing: float = 0.0) -> float:
        return _single(fields, field, missing, name, offset)

    unit = single(130, 1)  # 1: per inch, 2: per cm
    per_inch = [single(field) * (2.54 if unit == 2 else 1.0) for field in (131, 132)]
    across, down = either(*(_factor(value, name, offset) for value in per_inch))
    rows = [row for row in fields.get(137, []) if row != [b""]]
    _check_count(len(rows), name, offset)
    values = [[_number(item, name, offset, clause) for item in _items(row, 4, name, offset)] for row in rows]
    quality = [_number(row[5], name, offset, clause) if len(row) > 5 and row[5] else 0.0 for row in rows]
    qualities = [
        _quality(_number(items[0], name, offset, clause)) for items in fields.get(135, []) if items[0]
    ]
    minutiae = _minutiae(
        [(x * across, y * down) for _, x, y, _ in values],
        [2.0 * angle for *_, angle in values],
        [_KINDS_INCITS.get(row[4].strip() if len(row) > 4 else b"", MinutiaKind.OTHER) for row in rows],
        quality,
    )
    position, possible = _position(fields, 134, name, offset)
    return FingerView(
        minutiae=minutiae,
        position=position,
        possible=possible,
        impression=_code(single(3)),
        number=_code(single(133)),
        width=_size(single(128) * across, name, offset),
        height=_size(single(129) * down, name, offset),
        quality=next((quality for quality in qualities if quality is not None), None),
        scale=(across, down),
    )


def _efs(fields: dict[int, Items], name: str, offset: int) -> FingerView:
    """ANSI/NIST-ITL 1-2011, 8.9.7."""
    clause = "ANSI/NIST-ITL 1-2011, 8.9.7"
    rows = [row for row in fields.get(331, []) if row != [b""]]
    _check_count(len(rows), name, offset)
    values = [
        [_number(item, name, offset, clause) for item in _items(row, 3, name, offset, 0)] for row in rows
    ]
    region = fields.get(300, [[]])[0]
    size = [_number(item, name, offset, clause) * _PIXELS_PER_UNIT for item in region[:2] if item]
    minutiae = _minutiae(
        [(x * _PIXELS_PER_UNIT, y * _PIXELS_PER_UNIT) for x, y, _ in values],
        [angle for *_, angle in values],
        [_KINDS_EFS.get(row[3].strip() if len(row) > 3 else b"", MinutiaKind.OTHER) for row in rows],
        [0.0] * len(rows),
    )
    position, possible = _position(fields, 302, name, offset)
    return FingerView(
        minutiae=minutiae,
        position=position,
        possible=possible,
        impression=_code(_single(fields, 3, 0.0, name, offset)),
        width=_size(size[0], name, offset) if len(size) == 2 else 0,
        height=_size(size[1], name, offset) if len(size) == 2 else 0,
    )


def _items(row: list[bytes], count: int, name: str, offset: int, skip: int = 0) -> Sequence[bytes]:
    if len(row) < skip + count:
        raise malformed(name, offset, "ANSI/NIST-ITL 1-2011, 8.9", f"a minutia of {len(row)} items")
    return row[skip : skip + count]


def _position(fields: dict[int, Items], field: int, name: str, offset: int) -> tuple[int, frozenset[int]]:
    """The finger position code of a field that may list several (9.134 FGP, 9.302 FPP), each a subfield.

    A mark of which an examiner says that it is one of several fingers may be each of them: where they are not all
    the same finger the code is 0, and the fingers are the second; none where it may be any.
    """
    codes = [
        _code(_number(items[0], name, offset, "ANSI/NIST-ITL 1-2011, 8.9"))
        for items in fields.get(field, [])
        if items[0].strip()
    ]
    if len({position_of(code) for code in codes}) == 1:
        return codes[0], frozenset()
    return 0, fingers_of(codes)


def _single(fields: dict[int, Items], field: int, missing: float, name: str, offset: int) -> float:
    """The number of a field that has one, or `missing` where it is not there or empty."""
    clause = "ANSI/NIST-ITL 1-2011, 8.9"
    values = {_number(items[0], name, offset, clause) for items in fields.get(field, []) if items[0].strip()}
    if len(values) > 1:
        raise malformed(
            name, offset, clause, f"field 9.{field:03} holds {len(values)} values where there is one"
        )
    return next(iter(values), missing)


def _number(text: bytes, name: str, offset: int, clause: str) -> float:
    if _NUMBER.fullmatch(text.strip()) is None:
        shown = text[:16].decode("ascii", "replace")
        raise malformed(name, offset, clause, f"'{shown}' is not a number")
    return float(text)


def _factor(per_inch: float, name: str, offset: int) -> float | None:
    if per_inch == 0:
        return None
    if abs(per_inch - DPI) < 1:
        return 1.0
    if not 100 <= per_inch <= 4000:
        raise malformed(
            name, offset, "ANSI/NIST-ITL 1-2011, 8.9.5.6", f"{per_inch:g} pixels per inch is no fingerprint's"
        )
    return DPI / per_inch


def _check_count(count: int, name: str, offset: int) -> None:
    if count > MAX_MINUTIAE:
        raise too_much(
            name, offset, "ANSI/NIST-ITL 1-2011, 8.9", f"{count} minutiae, more than {MAX_MINUTIAE}"
        )


def _code(value: float) -> int:
    return int(value) if 0 <= value <= 255 else 0


def _size(pixels: float, name: str, offset: int) -> int:
    if not 0 <= pixels < 1 << 16:
        raise malformed(name, offset, "ANSI/NIST-ITL 1-2011, 8.9", f"a side of {pixels:.0f} pixels")
    return round(pixels)


def _quality(value: float) -> int | None:
    return int(value) if 0 <= value <= 100 else None


def _minutiae(
    xy: Sequence[tuple[float, float]],
    degrees: Sequence[float],
    kinds: Sequence[MinutiaKind],
    quality: Sequence[float],
) -> Minutiae:
    return Minutiae(
        xy=np.array(xy, np.float32).reshape(-1, 2),
        angle=np.mod(np.deg2rad(np.array(degrees, np.float64)), 2 * math.pi).astype(np.float32),
        kind=np.array(kinds, np.uint8),
        quality=np.array([q if 0 <= q <= 100 else 0 for q in quality], np.uint8),
    )


def write(record: Record, *, extended_features: bool) -> bytes:
    """Type-9 records, one per view, with the INCITS 378 block or the Extended Feature Set."""
    lines = _efs_fields if extended_features else _incits_fields
    return b"".join(
        _framed([b"9.002:%d" % (n + 1), b"9.003:%d" % view.impression, b"9.004:U", *lines(view)])
        for n, view in enumerate(record.views)
    )


def _framed(fields: list[bytes]) -> bytes:
    """A record with its own length in its first field, which counts itself."""
    body = GROUP + GROUP.join(fields) + FILE
    length = len(body) + len(b"9.001:")
    length += len(str(length + len(str(length))))
    return b"9.001:%d" % length + body


def _incits_fields(view: FingerView) -> list[bytes]:
    found = view.minutiae
    rows = [
        UNIT.join(
            b"%d" % n for n in (i + 1, round(float(x)), round(float(y)), round(float(angle) / 2) % 180, k, q)
        )
        for i, ((x, y), angle, k, q) in enumerate(
            zip(found.xy, np.rad2deg(found.angle), found.kind, found.quality, strict=True)
        )
    ]
    fields = [
        b"9.128:%d" % side(view.width), b"9.129:%d" % side(view.height), b"9.130:1", b"9.131:500", b"9.132:500",
        b"9.133:%d" % view.number, b"9.134:" + _listed(view),
    ]  # fmt: skip
    if view.quality is not None:
        fields.append(b"9.135:%d" % view.quality)
    fields.append(b"9.136:%d" % len(found))
    return [*fields, b"9.137:" + RECORD.join(rows)] if rows else fields


def _listed(view: FingerView) -> bytes:
    """What `_position` reads."""
    return RECORD.join(b"%d" % code for code in sorted(view.possible) or [view.position])


def _efs_fields(view: FingerView) -> list[bytes]:
    found = view.minutiae
    letters = {MinutiaKind.ENDING: b"E", MinutiaKind.BIFURCATION: b"B"}
    rows = [
        UNIT.join(
            [
                b"%d" % round(float(x) / _PIXELS_PER_UNIT),
                b"%d" % round(float(y) / _PIXELS_PER_UNIT),
                b"%d" % (round(float(angle)) % 360),
                letters.get(MinutiaKind(int(kind)), b"U"),
            ]
        )
        for (x, y), angle, kind in zip(found.xy, np.rad2deg(found.angle), found.kind, strict=True)
    ]
    size = (side(view.width) / _PIXELS_PER_UNIT, side(view.height) / _PIXELS_PER_UNIT)
    fields = [b"9.300:" + UNIT.join(b"%d" % round(n) for n in size), b"9.302:" + _listed(view)]
    return [*fields, b"9.331:" + RECORD.join(rows)] if rows else fields

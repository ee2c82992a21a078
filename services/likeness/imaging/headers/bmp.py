"""Reads the header of a Windows bitmap.

Source: Microsoft, "Bitmap Storage" and BITMAPINFOHEADER (Windows GDI documentation).
"""

from __future__ import annotations

import struct

from likeness.imaging.headers.parts import Format, Header, corrupt, truncated, unpack, unsupported

_LABEL = Format.BMP.label
_U32 = struct.Struct("<I")
_CORE = struct.Struct("<HHHH")  # width, height, planes, bits per pixel
_INFO = struct.Struct("<iiHHI")  # width, height, planes, bits per pixel, compression
_CORE_HEADER = 12
_INFO_HEADERS = frozenset((40, 52, 56, 64, 108, 124))
_DEPTHS = frozenset((1, 4, 8, 16, 24, 32))
_RAW, _RLE8, _RLE4, _BITFIELDS = 0, 1, 2, 3


def plausible(data: bytes) -> bool:
    """Whether bytes that begin with BM go on like a bitmap; many texts begin with those letters."""
    if len(data) < 18:
        return True
    return _U32.unpack_from(data, 14)[0] in _INFO_HEADERS | {_CORE_HEADER}


def read(data: bytes) -> Header:
    """The header of a bitmap that begins with BM.

    Raises:
        Refusal: it is incomplete, damaged or of a kind not decoded.
    """
    (offset,) = unpack(_U32, data, 10, _LABEL)
    (size,) = unpack(_U32, data, 14, _LABEL)
    if size == _CORE_HEADER:
        width, height, planes, depth = unpack(_CORE, data, 18, _LABEL)
        compression = _RAW
    else:
        width, height, planes, depth, compression = unpack(_INFO, data, 18, _LABEL)
    height = abs(height)  # negative: rows run from top to bottom
    if width <= 0 or height == 0 or planes != 1:
        raise corrupt(_LABEL, f"it declares a size of {width} x {height} pixels in {planes} planes")
    if depth not in _DEPTHS or compression not in (_RAW, _RLE8, _RLE4, _BITFIELDS):
        raise unsupported(_LABEL, f"{depth} bits per pixel in compression {compression}")
    if compression in (_RAW, _BITFIELDS):
        row = (width * depth + 31) // 32 * 4
        if offset + row * height > len(data):
            raise truncated(_LABEL, f"after {len(data)} of {offset + row * height} bytes")
    return Header(Format.BMP, width, height)

"""Reads the header of a Windows bitmap.

Source: Microsoft, "Bitmap Storage", BITMAPINFOHEADER, BITMAPV4HEADER, BITMAPV5HEADER (Windows GDI documentation).
"""

from __future__ import annotations

import struct

from likeness.imaging.headers.parts import BmpLayout, Format, Header, corrupt, truncated, unpack, unsupported

_LABEL = Format.BMP.label
_U32 = struct.Struct("<I")
_CORE = struct.Struct("<HHHH")  # width, height, planes, bits per pixel
_INFO = struct.Struct("<iiHHI")  # width, height, planes, bits per pixel, compression
_MASKS_AT = 54  # behind a header of 40 bytes, or within a longer one
_CORE_HEADER, _INFO_HEADER, _V2_HEADER, _OS2_HEADER = 12, 40, 52, 64
_INFO_HEADERS = frozenset((40, 52, 56, 64, 108, 124))
_DEPTHS = frozenset((1, 4, 8, 16, 24, 32))
_RAW, _RLE8, _RLE4, _BITFIELDS, _ALPHA_BITFIELDS = 0, 1, 2, 3, 6
_COMPRESSIONS = {
    _RAW: _DEPTHS,
    _RLE8: frozenset((8,)),
    _RLE4: frozenset((4,)),
    _BITFIELDS: frozenset((16, 32)),
    _ALPHA_BITFIELDS: frozenset((16, 32)),
}
_DEFAULT_MASKS = {16: (0x7C00, 0x03E0, 0x001F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}
_MOST_MASK_BITS = 16


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
    top_down, height = height < 0, abs(height)
    if width <= 0 or height == 0 or planes != 1:
        raise corrupt(_LABEL, f"it declares a size of {width} x {height} pixels in {planes} planes")
    # In the second header of OS/2 compression 3 is a fax code.
    if depth not in _COMPRESSIONS.get(compression, ()) or (size == _OS2_HEADER and compression >= _BITFIELDS):
        raise unsupported(_LABEL, f"{depth} bits per pixel in compression {compression}")
    layout = None
    if compression not in (_RLE8, _RLE4):
        row = (width * depth + 31) // 32 * 4
        if offset + row * height > len(data):
            raise truncated(_LABEL, f"after {len(data)} of {offset + row * height} bytes")
        if depth in _DEFAULT_MASKS:
            layout = BmpLayout(offset, depth, _masks(data, size, depth, compression), top_down)
    return Header(
        Format.BMP, width, height, process="bitmap" if layout is None else "masked bitmap", layout=layout
    )


def _masks(data: bytes, size: int, depth: int, compression: int) -> tuple[int, int, int, int]:
    if compression == _RAW:
        return _DEFAULT_MASKS[depth]
    with_alpha = size > _V2_HEADER or (size == _INFO_HEADER and compression == _ALPHA_BITFIELDS)
    found = [unpack(_U32, data, _MASKS_AT + 4 * n, _LABEL)[0] for n in range(4 if with_alpha else 3)]
    red, green, blue, alpha = (*found, 0)[:4]
    used = 0
    for mask in (red, green, blue, alpha):
        bits = mask // (mask & -mask) if mask else 0
        if mask & used or mask >> depth or bits & (bits + 1):
            raise corrupt(
                _LABEL, f"its colour masks {', '.join(f'{n:#x}' for n in found)} overlap or have gaps"
            )
        if bits.bit_length() > _MOST_MASK_BITS:
            raise unsupported(_LABEL, f"a colour mask of {bits.bit_length()} bits")
        used |= mask
    if not red | green | blue:
        raise corrupt(_LABEL, "its colour masks are empty")
    return red, green, blue, alpha

"""Reads the container of a WebP file.

Source: RFC 9649 (WebP image format): RIFF (2.3), simple lossy (2.5) and lossless (2.6), extended (2.7); the
frame header of VP8 in RFC 6386, 9.1.
"""

from __future__ import annotations

import struct

from likeness.imaging.headers import exif
from likeness.imaging.headers.parts import Format, Header, animated, corrupt, truncated, unpack

MAX_CHUNKS = 1024
"""Chunks in one file; a still picture has fewer than ten."""

_LABEL = Format.WEBP.label
_CHUNK = struct.Struct("<4sI")
_U32 = struct.Struct("<I")
_VP8 = struct.Struct("<3B3B2H")  # frame tag, start code, width and height with scaling in the top two bits
_VP8_START = (0x9D, 0x01, 0x2A)
_VP8L_SIGNATURE = 0x2F
_ANIMATION, _ALPHA = 0x02, 0x10


def read(data: bytes) -> Header:
    """The header of a WebP file that begins with RIFF....WEBP.

    Raises:
        Refusal: it is incomplete, damaged or animated.
    """
    (declared,) = unpack(_U32, data, 4, _LABEL)
    end = declared + 8
    if end > len(data):
        raise truncated(_LABEL, f"after {len(data)} of {end} bytes")
    canvas: tuple[int, int] | None = None
    picture: tuple[int, int] | None = None
    alpha, lossless, orientation, at = False, False, 0, 12
    for _ in range(MAX_CHUNKS):
        if at + _CHUNK.size > end:
            break
        name, length = _CHUNK.unpack_from(data, at)
        body = at + _CHUNK.size
        if body + length > end:
            raise truncated(_LABEL, f"within the chunk at byte {at}")
        match name:
            case b"VP8X":
                canvas, alpha = _extended(data, body)
            case b"ANIM" | b"ANMF":
                raise animated(_LABEL)
            case b"VP8 " if picture is None:
                picture = _lossy(data, body)
            case b"VP8L" if picture is None:
                picture, lossless_alpha = _lossless(data, body)
                lossless, alpha = True, alpha or lossless_alpha
            case b"EXIF" if orientation == 0:
                orientation = exif.orientation(data[body : body + length])
        at = body + length + length % 2
    if picture is None:
        raise corrupt(_LABEL, "it holds no picture")
    if canvas is not None and canvas != picture:
        raise corrupt(_LABEL, f"its picture of {picture} pixels does not fill its canvas of {canvas}")
    process = "lossless WebP" if lossless else "WebP with alpha" if alpha else "WebP"
    return Header(Format.WEBP, *picture, orientation=orientation or 1, alpha=alpha, process=process)


def _extended(data: bytes, at: int) -> tuple[tuple[int, int], bool]:
    low, high = unpack(_U32, data, at, _LABEL)[0], unpack(struct.Struct("<6B"), data, at + 4, _LABEL)
    flags = low & 0xFF
    if flags & _ANIMATION:
        raise animated(_LABEL)
    width = int.from_bytes(bytes(high[:3]), "little") + 1
    height = int.from_bytes(bytes(high[3:]), "little") + 1
    return (width, height), bool(flags & _ALPHA)


def _lossy(data: bytes, at: int) -> tuple[int, int]:
    first, _, _, *start, width, height = unpack(_VP8, data, at, _LABEL)
    if first & 1 or tuple(start) != _VP8_START:
        raise corrupt(_LABEL, "its picture does not begin with a key frame")
    return _checked(width & 0x3FFF, height & 0x3FFF)


def _lossless(data: bytes, at: int) -> tuple[tuple[int, int], bool]:
    signature, bits = unpack(struct.Struct("<BI"), data, at, _LABEL)
    if signature != _VP8L_SIGNATURE:
        raise corrupt(_LABEL, "its lossless picture does not begin with its signature")
    return _checked((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1), bool(bits >> 28 & 1)


def _checked(width: int, height: int) -> tuple[int, int]:
    if width == 0 or height == 0:
        raise corrupt(_LABEL, f"it declares a size of {width} x {height} pixels")
    return width, height

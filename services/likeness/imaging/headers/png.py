"""Reads the container of a PNG file.

Source: W3C PNG specification, third edition (2025): chunks (5), IHDR (11.2.1), acTL (11.3.6.1), eXIf (11.3.4.5).
"""

from __future__ import annotations

import struct
import zlib

from likeness.imaging.headers import exif
from likeness.imaging.headers.parts import Format, Header, animated, corrupt, truncated, unpack

MAX_CHUNKS = 100_000
"""Chunks in one file; writers cut pixel data into pieces of 8 KiB or more, so this is 800 MB of it."""

_LABEL = Format.PNG.label
_CHUNK = struct.Struct(">I4s")
_U32 = struct.Struct(">I")
_SIZE = struct.Struct(">IIBBBBB")  # width, height, depth, colour, compression, filter, interlace
_MAX_CHUNK = (1 << 31) - 1
_OF_PIXELS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
"""Chunks that pixels are made from."""
_ALPHA_COLOURS = frozenset((4, 6))


def read(data: bytes) -> Header:
    """The header of a PNG file that begins with its signature.

    Raises:
        Refusal: it is incomplete, damaged (a checksum fails) or animated.
    """
    at = 8
    width, height, colour = _first(data)
    alpha, orientation, pixels = colour in _ALPHA_COLOURS, 1, False
    for _ in range(MAX_CHUNKS):
        length, body, name = _chunk(data, at)
        match name:
            case b"IEND":
                if not pixels:
                    raise corrupt(_LABEL, "it holds no picture")
                return Header(Format.PNG, width, height, orientation, alpha)
            case b"IHDR" if at != 8:
                raise corrupt(_LABEL, "it declares its size twice")
            case b"acTL":
                if unpack(_U32, data, body, _LABEL)[0] > 1:
                    raise animated("PNG")
            case b"tRNS":
                alpha = True
            case b"eXIf":
                orientation = exif.orientation(data[body : body + length])
            case b"IDAT":
                pixels = True
        at = body + length + 4
    raise corrupt(_LABEL, f"it has more than {MAX_CHUNKS} chunks")


def without_ancillary(data: bytes) -> bytes:
    """A file that `read` accepts, with nothing but what its pixels are made from.

    libpng writes bare lines to standard error about profiles, times and texts that it does not like.
    """
    at, name, parts, left_out = 8, b"", [data[:8]], False
    while name != b"IEND":
        length, name = _CHUNK.unpack_from(data, at)
        end = at + _CHUNK.size + length + 4
        if name in _OF_PIXELS:
            parts.append(data[at:end])
        else:
            left_out = True
        at = end
    return b"".join(parts) if left_out else data


def _first(data: bytes) -> tuple[int, int, int]:
    length, body, name = _chunk(data, 8)
    if name != b"IHDR" or length != _SIZE.size:
        raise corrupt(_LABEL, "it does not begin with its size")
    width, height, _, colour, *_ = unpack(_SIZE, data, body, _LABEL)
    if not (0 < width <= _MAX_CHUNK and 0 < height <= _MAX_CHUNK):
        raise corrupt(_LABEL, f"it declares a size of {width} x {height} pixels")
    return width, height, colour


def _chunk(data: bytes, at: int) -> tuple[int, int, bytes]:
    """Length, offset of the body and name of the chunk at an offset, its checksum verified."""
    if at + _CHUNK.size > len(data):
        raise truncated(_LABEL, "before its last chunk")
    length, name = _CHUNK.unpack_from(data, at)
    body = at + _CHUNK.size
    if length > _MAX_CHUNK:
        raise corrupt(_LABEL, f"the chunk at byte {at} claims {length} bytes")
    if body + length + 4 > len(data):
        raise truncated(_LABEL, f"within the chunk at byte {at}")
    (expected,) = _U32.unpack_from(data, body + length)
    if zlib.crc32(memoryview(data)[at + 4 : body + length]) != expected:
        raise corrupt(_LABEL, f"the checksum of the chunk at byte {at} fails")
    return length, body, name

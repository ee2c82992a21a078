"""Reads the container of a PNG file.

Source: W3C PNG specification, third edition (2025): chunks (5), IHDR (11.2.1), acTL (11.3.6.1), eXIf (11.3.4.5).

The decoder is shown only the chunks that make pixels. libpng reads the others too, and what it finds wrong with a
colour profile or a date it writes to the standard error, without saying which file is meant.
"""

from __future__ import annotations

import struct
import zlib

from likeness.imaging.headers import exif
from likeness.imaging.headers.parts import Format, Header, animated, corrupt, join, truncated, unpack

MAX_CHUNKS = 100_000
"""Chunks in one file; writers cut pixel data into pieces of 8 KiB or more, so this is 800 MB of it."""

_LABEL = Format.PNG.label
_CHUNK = struct.Struct(">I4s")
_U32 = struct.Struct(">I")
_U16 = struct.Struct(">H")
_SIZE = struct.Struct(">IIBBBBB")  # width, height, depth, colour, compression, filter, interlace
_MAX_CHUNK = (1 << 31) - 1
_ALPHA_COLOURS = frozenset((4, 6))
_GREY, _PALETTE = 0, 3
_PIXEL_CHUNKS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
"""Chunks that pixels are made from. libpng writes bare lines to standard error about others that it dislikes."""


def read(data: bytes) -> Header:
    """The header of a PNG file that begins with its signature.

    Raises:
        Refusal: it is incomplete, damaged (a checksum fails) or animated.
    """
    at = 8
    width, height, depth, colour = _first(data)
    alpha, orientation, pixels = colour in _ALPHA_COLOURS, 0, False
    clear: int | None = None
    spans = [(0, at)]
    for _ in range(MAX_CHUNKS):
        length, body, name = _chunk(data, at)
        if name in _PIXEL_CHUNKS and not (
            name == b"tRNS" and colour == _GREY
        ):  # OpenCV drops that without a word
            join(spans, at, body + length + 4)
        match name:
            case b"IEND":
                if not pixels:
                    raise corrupt(_LABEL, "it holds no picture")
                process = _process(depth, colour, alpha or clear is not None)
                return Header(
                    Format.PNG, width, height, orientation or 1, alpha, process, tuple(spans), clear=clear
                )
            case b"IHDR" if at != 8:
                raise corrupt(_LABEL, "it declares its size twice")
            case b"acTL":
                if unpack(_U32, data, body, _LABEL)[0] > 1:
                    raise animated("PNG")
            case b"tRNS" if colour == _GREY:
                (value,) = unpack(_U16, data, body, _LABEL)
                clear = _grey(value, depth)
            case b"tRNS":
                alpha = True
            case b"eXIf" if orientation == 0:
                orientation = exif.orientation(data[body : body + length])
            case b"IDAT":
                pixels = True
        at = body + length + 4
    raise corrupt(_LABEL, f"it has more than {MAX_CHUNKS} chunks")


def _first(data: bytes) -> tuple[int, int, int, int]:
    length, body, name = _chunk(data, 8)
    if name != b"IHDR" or length != _SIZE.size:
        raise corrupt(_LABEL, "it does not begin with its size")
    width, height, depth, colour, *_ = unpack(_SIZE, data, body, _LABEL)
    if not (0 < width <= _MAX_CHUNK and 0 < height <= _MAX_CHUNK):
        raise corrupt(_LABEL, f"it declares a size of {width} x {height} pixels")
    return width, height, depth, colour


def _grey(value: int, depth: int) -> int:
    """A grey value as the decoder returns it: of 16 bits as it is, of fewer scaled to 8."""
    most = (1 << depth) - 1
    return value if depth == 16 else (value & most) * 255 // most


def _process(depth: int, colour: int, alpha: bool) -> str:
    wide = "16-bit " if depth == 16 and colour != _PALETTE else ""
    return f"{wide}PNG with alpha" if alpha else f"{wide}PNG"


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

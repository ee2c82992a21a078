"""Pixels by OpenCV's decoders."""

from __future__ import annotations

import re
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.imaging import layers
from likeness.imaging.headers import Format, Header, Reason, Refusal
from likeness.imaging.headers.parts import truncated, unsupported
from likeness.imaging.opencv import cv2

Pixels = NDArray[np.uint8]

_COLOUR = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
_JPEG_END = b"\xff\xd9"
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_RESTART_WITHIN = 1 << 20  # bytes from the end; an interval is one row of blocks at most
_FILLERS = (b"\xd5" * 64, b"\x2a" * 64)  # as entropy-coded data, two that differ from the first bit on


def read(data: bytes, header: Header) -> Pixels:
    """The picture over white, uint8 [height, width, 3], RGB, as stored; TIFF upright.

    Raises:
        Refusal: the pixels cannot be decoded, or are not those that the header promises.
    """
    if header.spans:
        data = b"".join(data[start:end] for start, end in header.spans)
    if header.unfinished:
        return _to_rgb(_ended(data, header))
    if header.clear is not None:
        return _cleared(_decoded(data, header, cv2.IMREAD_UNCHANGED), header.clear)
    if not header.alpha:
        return _to_rgb(_decoded(data, header, _COLOUR))
    return _composed(_decoded(data, header, cv2.IMREAD_UNCHANGED))


def _decoded(data: bytes, header: Header, flags: int) -> NDArray[Any]:
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except (cv2.error, MemoryError) as error:
        raise _undecodable(header) from error
    if decoded is None:
        raise _undecodable(header)
    if {decoded.shape[0], decoded.shape[1]} != {header.width, header.height}:
        raise Refusal(
            Reason.CORRUPT_IMAGE,
            f"is a damaged {header.format.label} file: it declares {header.width} x {header.height} pixels and "
            f"holds {decoded.shape[1]} x {decoded.shape[0]}",
            "send an undamaged copy",
        )
    return np.asarray(decoded)


def _undecodable(header: Header) -> Refusal:
    if header.format is Format.TIFF:
        return unsupported(header.format.label, "pixels in a coding that is rare or damaged")
    return Refusal(
        Reason.CORRUPT_IMAGE,
        f"is a {header.format.label} file whose pixels cannot be decoded",
        "send an undamaged copy or save it as PNG",
    )


def _ended(data: bytes, header: Header) -> NDArray[Any]:
    """The pixels of a JPEG without end marker, if its last scan is whole.

    Whatever follows a whole scan is ignored; in one that is cut, the missing blocks are made of it.

    Raises:
        Refusal: they are made of it.
    """
    restarts = _RESTART.findall(data, max(0, len(data) - _RESTART_WITHIN))
    following = bytes([0xFF, 0xD0 + ((restarts[-1][1] + 1) & 7 if restarts else 0)])
    one, other = (filler + following + filler + _JPEG_END for filler in _FILLERS)
    expected = _checksum(_decoded(data + one, header, _COLOUR))
    decoded = _decoded(data + other, header, _COLOUR)
    if _checksum(decoded) != expected:
        raise truncated(header.format.label, "within the picture, before its end-of-image marker")
    return decoded


def _checksum(pixels: NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(pixels).data)


def _to_rgb(decoded: NDArray[Any]) -> Pixels:
    """In place, by bands: a conversion of all at once would take a copy of all."""
    for band in layers.bands(*decoded.shape[:2]):
        cv2.cvtColor(decoded[band], cv2.COLOR_BGR2RGB, dst=decoded[band])
    return np.asarray(decoded, dtype=np.uint8)


def _cleared(grey: NDArray[Any], clear: int) -> Pixels:
    """Grey of 8 or 16 bits [height, width], white where it has the value that is transparent."""
    grey[grey == clear] = np.iinfo(grey.dtype).max
    narrow = grey if grey.dtype == np.uint8 else cv2.convertScaleAbs(grey, alpha=1 / 257)
    return np.asarray(cv2.cvtColor(narrow, cv2.COLOR_GRAY2RGB), dtype=np.uint8)


def _composed(decoded: NDArray[Any]) -> Pixels:
    """Blue, green, red and opacity of 8 or 16 bits, or colours that have opacity in name only, over white."""
    height, width = decoded.shape[:2]
    picture = np.empty((height, width, 3), np.uint8)
    for band in layers.bands(height, width):
        stored = decoded[band].reshape(-1, width, decoded.size // (height * width))
        if stored.dtype != np.uint8:
            stored = cv2.convertScaleAbs(stored, alpha=1 / 257).reshape(stored.shape)
        if stored.shape[2] == 4:
            colour = layers.over_white(
                np.asarray(cv2.cvtColor(stored, cv2.COLOR_BGRA2RGB), np.uint8), stored[:, :, 3]
            )
        else:
            colour = np.broadcast_to(stored[:, :, ::-1], (*stored.shape[:2], 3))
        picture[band] = colour
    return picture

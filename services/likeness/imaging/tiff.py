"""The pixels of a TIFF picture, unpacked by its layout.

libtiff, through OpenCV, undoes LZW and PackBits alone: it is shown each strip or tile as a grey picture of bytes.
What the bytes mean is decided here, for every depth, order and arrangement in one way.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from likeness.imaging import layers
from likeness.imaging.headers import tiff as tags
from likeness.imaging.headers.parts import Format, TiffLayout, corrupt, truncated
from likeness.imaging.opencv import cv2

Pixels = NDArray[np.uint8]

_LABEL = Format.TIFF.label


def read(data: bytes, layout: TiffLayout, width: int, height: int) -> Pixels:
    """The picture over white, uint8 [height, width, 3], RGB, as stored.

    Raises:
        Refusal: a strip or tile is damaged or too short.
    """
    picture = np.empty((height, width, 3), np.uint8)
    across, down = -(-width // layout.piece_width), -(-height // layout.piece_height)
    for number in range(across * down):
        row, column = divmod(number, across)
        target = picture[
            row * layout.piece_height : (row + 1) * layout.piece_height,
            column * layout.piece_width : (column + 1) * layout.piece_width,
        ]
        rows = layout.piece_height if layout.tiled else target.shape[0]
        planes = [
            _piece(data, layout, number + plane * across * down, rows)
            for plane in range(layout.samples if layout.planar == 2 else 1)
        ]
        for band in layers.bands(target.shape[0], layout.piece_width):
            parts = [_samples(plane[band], layout)[:, : target.shape[1]] for plane in planes]
            target[band] = _colours(parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2), layout)
    return picture


def _piece(data: bytes, layout: TiffLayout, number: int, rows: int) -> Pixels:
    """The bytes of a strip or tile, uint8 [rows, bytes of a row]."""
    start, length = layout.starts[number], layout.lengths[number]
    samples = layout.samples if layout.planar == 1 else 1
    row_bytes = (layout.piece_width * samples * layout.bits + 7) // 8
    if layout.compression == tags.NONE:
        unpacked = np.frombuffer(data, np.uint8, length, start)
    elif layout.compression in tags.DEFLATE:
        unpacked = _inflated(memoryview(data)[start : start + length], rows * row_bytes)
    else:
        unpacked = _by_libtiff(data[start : start + length], layout.compression, rows, row_bytes)
    if unpacked.size < rows * row_bytes:
        raise truncated(_LABEL, f"within strip or tile {number}")
    return unpacked[: rows * row_bytes].reshape(rows, row_bytes)


def _inflated(packed: memoryview, size: int) -> Pixels:
    try:
        return np.frombuffer(zlib.decompressobj().decompress(packed, size), np.uint8)
    except zlib.error as error:
        raise corrupt(_LABEL, "a strip or tile cannot be unpacked") from error


def _by_libtiff(packed: bytes, compression: int, rows: int, row_bytes: int) -> Pixels:
    """What is packed, as the only strip of a grey TIFF of 8 bits."""
    fields = [(256, row_bytes), (257, rows), (258, 8), (259, compression), (262, 1), (273, 8), (277, 1)]
    fields += [(278, rows), (279, len(packed))]
    directory = struct.pack("<H", len(fields)) + b"".join(
        struct.pack("<HHII", tag, 4, 1, n) for tag, n in fields
    )
    padded = packed + bytes(len(packed) % 2)
    file = struct.pack("<4sI", b"II*\0", 8 + len(padded)) + padded + directory + bytes(4)
    try:
        unpacked = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    except (cv2.error, MemoryError):
        unpacked = None
    if unpacked is None or unpacked.dtype != np.uint8 or unpacked.size != rows * row_bytes:
        raise corrupt(_LABEL, "a strip or tile cannot be unpacked")
    return np.asarray(unpacked, dtype=np.uint8).reshape(-1)


def _samples(packed: Pixels, layout: TiffLayout) -> Pixels:
    """The samples of rows of bytes, uint8 [rows, width, samples]: of 16 bits the top 8, fewer as they are."""
    samples = layout.samples if layout.planar == 1 else 1
    shape = (len(packed), layout.piece_width, samples)
    if layout.bits == 16:
        wide: NDArray[np.uint16] = packed.view(f"{layout.order}u2").reshape(shape)
        if layout.predictor == 2:
            wide = np.add.accumulate(wide, axis=1, dtype=np.uint16)
        return (wide >> 8).astype(np.uint8)
    if layout.bits == 8:
        whole = packed.reshape(shape)
        return np.add.accumulate(whole, axis=1, dtype=np.uint8) if layout.predictor == 2 else whole
    return (
        np.stack(list(_split(packed, layout.bits)), axis=2)
        .reshape(len(packed), -1)[:, : layout.piece_width * samples]
        .reshape(shape)
    )


def _split(packed: Pixels, bits: int) -> Iterator[Pixels]:
    """The first value of each byte, then the second, and so on."""
    for shift in range(8 - bits, -1, -bits):
        yield packed >> np.uint8(shift) & np.uint8((1 << bits) - 1)


def _colours(samples: Pixels, layout: TiffLayout) -> Pixels:
    """Samples over white, uint8 [rows, width, 3], RGB."""
    if layout.bits < 8 and layout.photometric != tags.PALETTE:
        samples = samples * np.uint8(255 // ((1 << layout.bits) - 1))
    match layout.photometric:
        case tags.PALETTE:
            colours, colour = 1, np.frombuffer(layout.palette, np.uint8).reshape(-1, 3)[samples[:, :, 0]]
        case tags.CMYK:
            colours, colour = 4, layers.without_inks(samples[:, :, :4])
        case tags.RGB:
            colours, colour = 3, samples[:, :, :3]
        case photometric:
            grey = samples[:, :, :1]
            colours, colour = 1, np.repeat(~grey if photometric == tags.WHITE_IS_ZERO else grey, 3, axis=2)
    if not layout.alpha:
        return colour
    opacity = samples[:, :, colours]
    if layout.photometric == tags.PALETTE and layout.bits < 8:
        opacity = opacity * np.uint8(255 // ((1 << layout.bits) - 1))
    return layers.over_white(colour, opacity, associated=layout.associated)

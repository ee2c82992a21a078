"""Writers of bitmaps and TIFF files in arrangements that Pillow cannot write."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Samples = NDArray[np.uint8]

WIDTH, HEIGHT = 96, 64
_HALF = HEIGHT // 2  # rows of a strip


def colours() -> Samples:
    """Smooth colour without symmetry, uint8 [64, 96, 3]."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    channels = [x * 255 / WIDTH, y * 255 / HEIGHT, (x + 2 * y) * 255 / (WIDTH + 2 * HEIGHT)]
    return np.stack(channels, axis=2).astype(np.uint8)


def opacity() -> Samples:
    """Transparent on the left to opaque on the right, uint8 [64, 96]."""
    return np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))


def over_white(colour: Samples, alpha: Samples) -> Samples:
    """The colours as they are seen on white paper."""
    share = alpha[:, :, None] / 255
    return np.rint(colour * share + 255 * (1 - share)).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The file that Pillow writes."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def bitmap(
    depth: int, masks: Sequence[int] = (), *, header: int = 40, compression: int = 0, top_down: bool = False
) -> bytes:
    """`colours` and, under a fourth mask, `opacity`, as a bitmap of 16 or 32 bits."""
    usual = (0x7C00, 0x3E0, 0x1F) if depth == 16 else (0xFF0000, 0xFF00, 0xFF)
    used = [*(masks or usual), 0][:4]
    words = sum(
        (channel.astype(np.uint64) * (mask // (mask & -mask)) + 127) // 255 * (mask & -mask)
        for channel, mask in zip([*np.moveaxis(colours(), 2, 0), opacity()], used, strict=True)
        if mask
    )
    rows = np.asarray(words).astype(f"<u{depth // 8}")
    body = (rows if top_down else rows[::-1]).tobytes()
    height = -HEIGHT if top_down else HEIGHT
    start = struct.pack("<IiiHHIIiiII", header, WIDTH, height, 1, depth, compression, len(body), 0, 0, 0, 0)
    if header > 40:
        start = (start + struct.pack("<4I", *used) + bytes(100))[:header]
    elif compression:
        start += struct.pack("<4I", *used)[: 12 if compression == 3 else 16]
    return b"BM" + struct.pack("<IHHI", 14 + len(start) + len(body), 0, 0, 14 + len(start)) + start + body


def tiff(
    samples: Samples,
    photometric: int,
    *,
    bits: int = 8,
    order: str = "<",
    compression: int = 1,
    predictor: int = 1,
    planar: int = 1,
    tile: int = 0,
    fields: Mapping[int, Sequence[int]] | None = None,
) -> bytes:
    """Samples [64, 96, n] as a TIFF of two strips, or of tiles. `fields` are further ones, as LONG or SHORT."""
    planes = [samples] if planar == 1 else [samples[:, :, n : n + 1] for n in range(samples.shape[2])]
    blobs = [
        _packed(_predicted(piece, bits, predictor), bits, order, compression)
        for plane in planes
        for piece in _pieces(plane, tile)
    ]
    starts = [8 + sum(len(blob) for blob in blobs[:n]) for n in range(len(blobs))]
    lengths = [len(blob) for blob in blobs]
    count = samples.shape[2]
    entries: dict[int, Sequence[int]] = {
        256: [WIDTH], 257: [HEIGHT], 258: [bits] * count, 259: [compression], 262: [photometric], 277: [count],
        284: [planar], 317: [predictor],
        **({322: [tile], 323: [tile], 324: starts, 325: lengths} if tile else {}),
        **({} if tile else {273: starts, 278: [_HALF], 279: lengths}),
        **(fields or {}),
    }  # fmt: skip
    body = b"".join(blobs)
    return _with_directory(body + bytes(len(body) % 2), entries, order)


def _pieces(plane: Samples, tile: int) -> Iterator[Samples]:
    if not tile:
        yield from (plane[:_HALF], plane[_HALF:])
        return
    padded = np.pad(plane, ((0, -HEIGHT % tile), (0, -WIDTH % tile), (0, 0)))
    for y in range(0, padded.shape[0], tile):
        for x in range(0, padded.shape[1], tile):
            yield padded[y : y + tile, x : x + tile]


def _predicted(piece: Samples, bits: int, predictor: int) -> NDArray[Any]:
    wide = piece.astype(np.uint16) * 257 if bits == 16 else piece >> (8 - bits)
    return np.diff(wide, axis=1, prepend=wide[:, :1] * 0) if predictor == 2 else wide


def _packed(piece: NDArray[Any], bits: int, order: str, compression: int) -> bytes:
    if bits == 16:
        raw = piece.astype(f"{order}u2").tobytes()
    elif bits == 8:
        raw = piece.astype(np.uint8).tobytes()
    else:
        rows = piece.reshape(len(piece), -1).astype(np.uint8)
        single = np.unpackbits(rows[:, :, None], axis=2)[:, :, -bits:]
        raw = np.packbits(single.reshape(len(rows), -1), axis=1).tobytes()
    return zlib.compress(raw) if compression == 8 else raw


def _with_directory(body: bytes, entries: Mapping[int, Sequence[int]], order: str) -> bytes:
    at = 8 + len(body)
    listed, values = b"", b""
    for tag, numbers in sorted(entries.items()):
        long = tag in (273, 279, 324, 325, 330) or max(numbers) > 0xFFFF
        raw = struct.pack(f"{order}{len(numbers)}{'I' if long else 'H'}", *numbers)
        listed += struct.pack(f"{order}HHI", tag, 4 if long else 3, len(numbers))
        if len(raw) > 4:
            listed += struct.pack(f"{order}I", at + 2 + 12 * len(entries) + 4 + len(values))
            values += raw + bytes(len(raw) % 2)
        else:
            listed += raw.ljust(4, b"\0")
    magic = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(f"{order}H", len(entries)) + listed + bytes(4)
    return magic + struct.pack(f"{order}I", at) + body + directory + values

"""Local details of a photograph: RootSIFT (Lowe, IJCV 2004; Arandjelovic and Zisserman, CVPR 2012), coded small."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.domain.errors import Corrupt
from likeness.domain.samples import Box
from likeness.imaging.opencv import cv2
from likeness.object import parameters as p
from likeness.object.codebook import codebook

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

_MAGIC = b"LKO2"
_HEAD = struct.Struct("<HHHH")
_TURN = 256.0 / 360.0
_SCALE_STEPS = 16.0  # per doubling
_EXTRA_BYTES = 6  # bytes of one detail in addition to its code and word: place 2 x 2, turn 1, octave 1
_MIRRORED = np.arange(128).reshape(4, 4, 8)[::-1][:, :, -np.arange(8) % 8].reshape(-1)
"""Places of a SIFT descriptor in that of the mirrored photograph: rows of cells and turns run the other way."""


@dataclass(frozen=True, eq=False, slots=True)
class Details:
    """The details of one photograph, `n` of them.

    `codes` uint8 [n, d]; `words` int64 [n], the nearest words of the codebook, or none of a probe, which is
    not indexed; `xy` float32 [n, 2], pixels of the
    photograph as it was sent; `turn` float32 [n], degrees; `octave` float32 [n], log2 of the size in those pixels;
    `width` and `height` of the photograph in pixels.
    """

    codes: NDArray[np.uint8]
    words: NDArray[np.int64]
    xy: Floats
    turn: Floats
    octave: Floats
    width: int
    height: int

    def __len__(self) -> int:
        return len(self.codes)

    def to_bytes(self) -> bytes:
        """Magic, counts, then codes, words, coordinates, turns, octaves; coordinates as shares of the sides."""
        sides = np.array([self.width, self.height], np.float32)
        place = np.clip(np.rint(self.xy / sides * 65535), 0, 65535).astype("<u2")
        turn = np.mod(np.rint(self.turn * _TURN), 256).astype(np.uint8)
        octave = np.clip(np.rint((self.octave + 4) * _SCALE_STEPS), 0, 255).astype(np.uint8)
        head = _MAGIC + _HEAD.pack(len(self), len(self.words), self.width, self.height)
        parts = (self.codes, self.words.astype("<u2"), place, turn, octave)
        return head + b"".join(part.tobytes() for part in parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> Details:
        """Read what `to_bytes` wrote.

        Raises:
            Corrupt: the lengths do not add up.
        """
        start = len(_MAGIC) + _HEAD.size
        if len(data) < start or data[: len(_MAGIC)] != _MAGIC:
            raise Corrupt("The details of a stored object template do not begin with their magic number.")
        n, worded, width, height = _HEAD.unpack_from(data, len(_MAGIC))
        d = codebook().dimension
        if worded not in (0, n) or len(data) != start + n * (d + _EXTRA_BYTES) + 2 * worded:
            raise Corrupt("The details of a stored object template do not have the length that they tell.")
        codes = np.frombuffer(data, np.uint8, n * d, start).reshape(n, d)
        words = np.frombuffer(data, "<u2", worded, start + n * d)
        rest = start + n * d + 2 * worded
        place = np.frombuffer(data, "<u2", 2 * n, rest).reshape(n, 2)
        turn = np.frombuffer(data, np.uint8, n, rest + 4 * n)
        octave = np.frombuffer(data, np.uint8, n, rest + 5 * n)
        return cls(
            codes,
            words.astype(np.int64),
            place.astype(np.float32) * (np.array([width, height], np.float32) / np.float32(65535)),
            turn.astype(np.float32) / np.float32(_TURN),
            octave.astype(np.float32) / np.float32(_SCALE_STEPS) - 4,
            width,
            height,
        )


def first(details: Details, count: int) -> Details:
    """The first `count` details, which are spread over the photograph as all are."""
    d, n = details, slice(count)
    return Details(d.codes[n], d.words[n], d.xy[n], d.turn[n], d.octave[n], d.width, d.height)


def coded(
    descriptors: Floats, geometry: Floats, width: int, height: int, *, with_words: bool = True
) -> Details:
    """The details of what `raw` found in a photograph of that size in pixels; words take most of the time."""
    codes = codebook().encode(descriptors)
    words = codebook().nearest(codes) if with_words else np.zeros(0, np.int64)
    return Details(codes, words, geometry[:, :2], geometry[:, 2], geometry[:, 3], width, height)


def mirrored(descriptors: Floats, geometry: Floats, width: int) -> tuple[Floats, Floats]:
    """What `raw` would find in the mirror image, from what it found in the photograph of that width in pixels.

    SIFT is the same in both but for the order of cells and turns, so the mirror image need not be looked at; the
    details found there differ in one in five, by rounding.
    """
    turned = geometry.copy()
    turned[:, 0] = width - 1 - geometry[:, 0]
    turned[:, 2] = np.mod(180.0 - geometry[:, 2], 360.0)
    return descriptors[:, _MIRRORED], turned


def raw(image: Pixels, region: Box | None = None, most: int = p.MAX_DETAILS) -> tuple[Floats, Floats]:
    """The details of a photograph uint8 [h, w, 3] RGB, of a region of it if one is given; at most `most`.

    RootSIFT float32 [n, 128] and x, y, turn in degrees, log2 of the size: float32 [n, 4].
    """
    height, width = image.shape[:2]
    scale = min(p.LONGEST_SIDE / max(height, width), max(1.0, p.SHORTEST_SIDE / min(height, width)))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if scale != 1.0:
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        grey = cv2.resize(grey, size, interpolation=how)
    mask = None
    if region is not None:
        mask = np.zeros(grey.shape, np.uint8)
        left, top = max(0, round(region.x * scale)), max(0, round(region.y * scale))
        right, bottom = round((region.x + region.width) * scale), round((region.y + region.height) * scale)
        mask[top : max(bottom, top + 1), left : max(right, left + 1)] = 255
    sift = cv2.SIFT.create(nfeatures=4 * p.PROBE_DETAILS, contrastThreshold=p.CONTRAST)
    keypoints, found = sift.detectAndCompute(grey, mask)
    if found is None or not keypoints:
        return np.zeros((0, 128), np.float32), np.zeros((0, 4), np.float32)
    rows = np.array([(*k.pt, k.angle, k.size, k.response) for k in keypoints], np.float32)
    chosen = _spread(rows, grey.shape[1], grey.shape[0], most)
    rows, descriptors = rows[chosen], np.asarray(found, np.float32)[chosen]
    descriptors = np.sqrt(descriptors / np.maximum(descriptors.sum(1, keepdims=True), 1e-9))
    geometry = np.column_stack(
        [rows[:, :2] / scale, rows[:, 2], np.log2(np.maximum(rows[:, 3] / scale, 0.1))]
    )
    return descriptors, geometry.astype(np.float32)


def _spread(rows: Floats, width: int, height: int, most: int) -> NDArray[np.int64]:
    """The strongest and largest details, each cell of the grid first with its share; fewer are first of more."""
    order = np.argsort(-rows[:, 4] * rows[:, 3] ** p.COARSE, kind="stable")
    column = np.minimum(rows[:, 0] * p.GRID // max(width, 1), p.GRID - 1).astype(np.int64)
    line = np.minimum(rows[:, 1] * p.GRID // max(height, 1), p.GRID - 1).astype(np.int64)
    cell = (line * p.GRID + column)[order]
    rank = np.empty(len(order), np.int64)
    for one in np.unique(cell):
        inside = np.flatnonzero(cell == one)
        rank[inside] = np.arange(len(inside))
    share = p.MAX_DETAILS // (p.GRID * p.GRID) // 2
    first = np.where(rank < share, 0, 1)
    best = np.lexsort((np.arange(len(order)), first))
    return order[best[:most]]

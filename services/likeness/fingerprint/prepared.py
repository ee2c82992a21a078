"""An impression as it is compared and stored: its minutiae, their cylinders, and the best of them apart."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.domain.errors import Corrupt
from likeness.fingerprint import parameters as p
from likeness.fingerprint.cylinders import build_cylinders, convex_hull
from likeness.fingerprint.kernel import Arrays, kernel
from likeness.fingerprint.minutiae import Minutiae, MinutiaKind
from likeness.fingerprint.screen import core

_HEAD = struct.Struct("<Hii")
_WORDS, _MASK_WORDS = p.WORDS, p.MASK_WORDS
_TURN_STEP = 2.0 * math.pi / 65536.0
_PLACE_STEP = 1.0 / 8.0
_EACH = 4 + 2 + 8 * (p.WORDS + p.MASK_WORDS) + 1 + 1
"""Bytes of a stored minutia: places, turn, bits, masks, validity, and kind with trust: the kind in the two highest
bits. All places come first, then all turns, and so on."""
_PLACE, _TURN, _TRUST = np.float32(_PLACE_STEP), np.float32(_TURN_STEP), np.float32(p.TRUST_STEPS)

Floats = NDArray[np.float32]


@kernel
def _unpacked(raw: NDArray[np.uint8], n: int) -> tuple[Arrays, Arrays]:
    """The n minutiae of a stored finger, uint8 [n * _EACH] behind its head, and their core.

    Its words are read as they lie, by the little-endian processors that there are packages for.
    """
    xy, turn, trust = np.empty((n, 2), np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    bits, masks = np.empty((_WORDS, n), np.uint64), np.empty((_MASK_WORDS, n), np.uint64)
    kind = np.empty(n, np.uint8)
    for i in range(n):
        for k in range(2):
            at = 4 * i + 2 * k
            xy[i, k] = np.float32(np.int16(np.uint16(raw[at]) | np.uint16(raw[at + 1]) << 8)) * _PLACE
        at = 4 * n + 2 * i
        turn[i] = np.float32(np.uint16(raw[at]) | np.uint16(raw[at + 1]) << 8) * _TURN
    first, last = 6 * n, 6 * n + bits.size * 8
    bits.view(np.uint8).ravel()[:] = raw[first:last]
    first, last = last, last + masks.size * 8
    masks.view(np.uint8).ravel()[:] = raw[first:last]
    valid, packed = raw[last : last + n].copy(), raw[last + n : last + 2 * n]
    for i in range(n):
        kind[i], trust[i] = packed[i] >> 6, np.float32(packed[i] & 63) / _TRUST
    arrays = Arrays(xy, turn, convex_hull(xy), bits, masks, valid, kind, trust)
    return arrays, core(arrays)


@dataclass(frozen=True, eq=False, slots=True)
class PreparedFinger:
    """One impression, ready to be compared; `n` minutiae at most `MAX_MINUTIAE`.

    `arrays`: places in pixels at 500 dpi about `centre` (x, y) of the record, and their cylinders; `core`: those
    that the cheap stage looks at, see `screen.core`.
    """

    arrays: Arrays
    core: Arrays
    centre: tuple[int, int]

    def __len__(self) -> int:
        return len(self.arrays.turn)

    @property
    def xy(self) -> Floats:
        """Places float32 [n, 2], pixels about the centre."""
        return self.arrays.xy

    @property
    def turn(self) -> Floats:
        """Directions float32 [n], radians clockwise in the image."""
        return self.arrays.turn

    @property
    def hull(self) -> Floats:
        """Corners of the convex hull float32 [h, 2], pixels about the centre."""
        return self.arrays.hull

    def to_bytes(self) -> bytes:
        """Count and centre, then places in eighths of a pixel, turns, cylinders, and kinds with trust."""
        one = self.arrays
        places = np.rint(one.xy / _PLACE_STEP).astype("<i2")
        turns = np.mod(np.rint(one.turn / _TURN_STEP), 65536).astype("<u2")
        packed = (one.kind << 6 | np.rint(one.trust * p.TRUST_STEPS).astype(np.uint8)).astype("u1")
        parts = (places, turns, one.bits.astype("<u8"), one.masks.astype("<u8"), one.valid, packed)
        head = _HEAD.pack(len(self), *self.centre)
        return head + b"".join(part.tobytes() for part in parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> PreparedFinger:
        """Read what `to_bytes` wrote.

        Raises:
            Corrupt: the length does not match the count, or a kind or a trust is none.
        """
        if len(data) < _HEAD.size:
            raise Corrupt("A stored finger ends inside its head.")
        n, x, y = _HEAD.unpack_from(data)
        if n > p.MAX_MINUTIAE or len(data) != _HEAD.size + n * _EACH:
            raise Corrupt(f"A stored finger of {n} minutiae has {len(data)} bytes.")
        raw = np.frombuffer(data, np.uint8, offset=_HEAD.size)
        packed = raw[len(raw) - n :]  # before a kernel trusts it, which would count outside its bins
        if n and ((packed >> 6).max() > max(MinutiaKind) or (packed & 63).max() > p.TRUST_STEPS):
            raise Corrupt(f"A stored finger of {n} minutiae has one whose kind or trust is none.")
        return cls(*_unpacked(raw, n), (x, y))


def trust_of(quality: NDArray[np.uint8]) -> Floats:
    """How much each minutia of a template is trusted relative to the others, float32 [n] in steps of `TRUST_STEPS`.

    Of the minutiae whose quality uint8 [n] is known, above 0, the share whose quality is less and half of those
    whose quality is the same; one half where it is unknown.
    """
    known = np.sort(quality[quality > 0])
    less, no_more = np.searchsorted(known, quality, "left"), np.searchsorted(known, quality, "right")
    share = np.where(quality > 0, (less + no_more) / (2.0 * max(len(known), 1)), 0.5)
    return np.asarray(np.rint(share * p.TRUST_STEPS) / p.TRUST_STEPS, np.float32)


def prepare(minutiae: Minutiae) -> PreparedFinger:
    """Describe the minutiae of one impression; of more than `MAX_MINUTIAE` the best by quality take part.

    Places, turns and trust are rounded as a stored template has them, so that a template and its copy have the same
    score.
    """
    chosen = np.argsort(-minutiae.quality.astype(np.int16), kind="stable")[: p.MAX_MINUTIAE]
    n = len(chosen)
    steps = np.mod(np.rint(-minutiae.angle[chosen] / _TURN_STEP), 65536)
    order = np.lexsort((minutiae.xy[chosen, 1], minutiae.xy[chosen, 0], steps))
    chosen, steps = chosen[order], steps[order]
    centre = np.rint(minutiae.xy[chosen].mean(axis=0)).astype(np.int64) if n else np.zeros(2, np.int64)
    limit = 32767 * _PLACE_STEP
    places = np.clip(minutiae.xy[chosen] - centre, -limit, limit)
    xy = (np.rint(places / _PLACE_STEP) * _PLACE_STEP).astype(np.float32).reshape(n, 2)
    turn = (steps.astype(np.float32) * _TURN).astype(np.float32)
    hull = convex_hull(xy) if n else np.zeros((0, 2), np.float32)
    bits = np.zeros((p.WORDS, n), np.uint64)
    masks = np.zeros((p.MASK_WORDS, n), np.uint64)
    valid = np.zeros(n, np.uint8)
    if n:
        build_cylinders(xy, turn, hull, bits, masks, valid)
    kind, trust = minutiae.kind[chosen].astype(np.uint8), trust_of(minutiae.quality[chosen])
    arrays = Arrays(xy, turn, hull, bits, masks, valid, kind, trust)
    return PreparedFinger(arrays, core(arrays), (int(centre[0]), int(centre[1])))

"""Compares the minutiae of one impression with those of many others.

The comparison reads as the method does: cylinders describe each minutia's surroundings, their similarities are
relaxed by how well pairs fit each other, the best pairs propose a motion of one impression onto the other, the
minutiae that agree with it are counted and measured, and a fusion of what was measured is the score.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.domain.errors import Corrupt
from likeness.fingerprint import parameters as p
from likeness.fingerprint.cylinders import build_cylinders, convex_hull
from likeness.fingerprint.evidence import MEASURES, measure, measure_many
from likeness.fingerprint.fusion import Fusion, fusion
from likeness.fingerprint.minutiae import Minutiae

_HEAD = struct.Struct("<HH")
_TURN_STEP = 2.0 * math.pi / 65536.0
_PLACE_STEP = 1.0 / 8.0

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False, slots=True)
class Prepared:
    """One impression, ready to be compared; `n` minutiae at most `MAX_MINUTIAE`.

    `xy` float32 [n, 2], pixels at 500 dpi about `centre` (x, y) of the record; `turn` float32 [n], radians
    clockwise in the image; `hull` float32 [h, 2]; `bits` uint64 [n, 24], `masks` uint64 [n, 4], `valid` uint8
    [n]: see `cylinders`.
    """

    xy: Floats
    turn: Floats
    centre: tuple[int, int]
    hull: Floats
    bits: NDArray[np.uint64]
    masks: NDArray[np.uint64]
    valid: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.turn)

    def to_bytes(self) -> bytes:
        """Count and centre, then places in eighths of a pixel, turns and cylinders."""
        places = np.rint(self.xy / _PLACE_STEP).astype("<i2")
        turns = np.mod(np.rint(self.turn / _TURN_STEP), 65536).astype("<u2")
        parts = (places, turns, self.bits.astype("<u8"), self.masks.astype("<u8"), self.valid)
        head = _HEAD.pack(len(self), 0) + struct.pack("<ii", *self.centre)
        return head + b"".join(part.tobytes() for part in parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> Prepared:
        """Read what `to_bytes` wrote.

        Raises:
            Corrupt: the length is not that of the count it tells.
        """
        start = _HEAD.size + 8
        if len(data) < start:
            raise Corrupt("A stored finger ends inside its head.")
        n, _ = _HEAD.unpack_from(data)
        each = 4 + 2 + 8 * (p.WORDS + p.MASK_WORDS) + 1
        if n > p.MAX_MINUTIAE or len(data) != start + n * each:
            raise Corrupt(f"A stored finger of {n} minutiae has {len(data)} bytes.")
        x, y = struct.unpack_from("<ii", data, _HEAD.size)
        places = np.frombuffer(data, "<i2", 2 * n, start).reshape(n, 2)
        turns = np.frombuffer(data, "<u2", n, start + 4 * n)
        bits = np.frombuffer(data, "<u8", n * p.WORDS, start + 6 * n).reshape(n, p.WORDS)
        masks_at = start + 6 * n + 8 * n * p.WORDS
        masks = np.frombuffer(data, "<u8", n * p.MASK_WORDS, masks_at).reshape(n, p.MASK_WORDS)
        valid = np.frombuffer(data, np.uint8, n, masks_at + 8 * n * p.MASK_WORDS)
        xy = places.astype(np.float32) * np.float32(_PLACE_STEP)
        turn = turns.astype(np.float32) * np.float32(_TURN_STEP)
        return cls(xy, turn, (x, y), convex_hull(xy), bits.copy(), masks.copy(), valid.copy())


def prepare(minutiae: Minutiae) -> Prepared:
    """Describe the minutiae of one impression; of more than `MAX_MINUTIAE` the best by quality take part.

    Places and turns are rounded as a stored template has them, so that a template and its copy score alike.
    """
    kept = np.argsort(-minutiae.quality.astype(np.int16), kind="stable")[: p.MAX_MINUTIAE]
    n = len(kept)
    centre = np.rint(minutiae.xy[kept].mean(axis=0)).astype(np.int64) if n else np.zeros(2, np.int64)
    limit = 32767 * _PLACE_STEP
    places = np.clip(minutiae.xy[kept] - centre, -limit, limit)
    xy = (np.rint(places / _PLACE_STEP) * _PLACE_STEP).astype(np.float32).reshape(n, 2)
    steps = np.mod(np.rint(-minutiae.angle[kept] / _TURN_STEP), 65536)
    turn = (steps.astype(np.float32) * np.float32(_TURN_STEP)).astype(np.float32)
    hull = convex_hull(xy) if n else np.zeros((0, 2), np.float32)
    bits = np.zeros((n, p.WORDS), np.uint64)
    masks = np.zeros((n, p.MASK_WORDS), np.uint64)
    valid = np.zeros(n, np.uint8)
    if n:
        build_cylinders(xy, turn, hull, bits, masks, valid)
    return Prepared(xy, turn, (int(centre[0]), int(centre[1])), hull, bits, masks, valid)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The score of two impressions, a log-odds, and the parts that it was made of."""

    score: float
    parts: dict[str, float]


@dataclass(frozen=True, eq=False, slots=True)
class Pairing:
    """`pairs` int64 [k, 2]: places in the two templates; `motion`: turn in radians, then the shift in pixels, that
    bring the probe onto the candidate, both taken about their own centres."""

    pairs: NDArray[np.int64]
    motion: tuple[float, float, float]


class Matcher:
    """Compares one impression with many; holds nothing that changes, so any thread may call it."""

    def __init__(self, fused: Fusion | None = None) -> None:
        """`fused`: the shipped fusion where none is given."""
        self._fusion = fused or fusion()

    @property
    def version(self) -> str:
        """The version of the fusion, as written into templates and answers."""
        return self._fusion.version

    def compare(self, probe: Prepared, candidates: Sequence[Prepared]) -> list[Comparison]:
        """The score of the probe with each candidate, in order."""
        if not candidates:
            return []
        measured = measures(probe, candidates)
        scores = self._fusion.score(measured)
        return [Comparison(float(score), _parts(row)) for score, row in zip(scores, measured, strict=True)]

    def pair(self, probe: Prepared, candidate: Prepared) -> Pairing:
        """The minutiae that lie upon each other, and the motion that brings them there."""
        if not len(probe) or not len(candidate):
            return Pairing(np.zeros((0, 2), np.int64), (0.0, 0.0, 0.0))
        out, motion = np.zeros(len(MEASURES)), np.zeros(3)
        mate = np.full(len(probe), -1, np.int32)
        measure(*_arrays(probe), *_arrays(candidate), out, motion, mate)
        paired = np.flatnonzero(mate >= 0)
        pairs = np.stack([paired, mate[paired].astype(np.int64)], axis=1)
        return Pairing(pairs, (float(motion[0]), float(motion[1]), float(motion[2])))


def measures(probe: Prepared, candidates: Sequence[Prepared]) -> NDArray[np.float64]:
    """What is measured between the probe and each candidate: float64 [k, 15], see `evidence.MEASURES`."""
    starts = np.cumsum([0, *(len(c) for c in candidates)], dtype=np.int64)
    corners = np.cumsum([0, *(len(c.hull) for c in candidates)], dtype=np.int64)
    xy, turn, hull, bits, masks, valid = (
        np.concatenate(column) for column in zip(*(_arrays(c) for c in candidates), strict=True)
    )
    out = np.zeros((len(candidates), len(MEASURES)))
    measure_many(*_arrays(probe), xy, turn, hull, bits, masks, valid, starts, corners, out)
    return out


def _arrays(
    one: Prepared,
) -> tuple[Floats, Floats, Floats, NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint8]]:
    return one.xy, one.turn, one.hull, one.bits, one.masks, one.valid


def _parts(row: NDArray[np.float64]) -> dict[str, float]:
    m = dict(zip(MEASURES, row.tolist(), strict=True))
    inside = math.sqrt(max(m["overlap_a"], 1.0) * max(m["overlap_b"], 1.0))
    return {
        "local_similarity": m["relaxed"],
        "paired_minutiae": m["pairs"],
        "paired_share": m["pairs"] / inside,
        "residual": math.sqrt(m["residual"]),
        "surprise": m["surprise"],
        "overlap_minutiae": inside,
    }

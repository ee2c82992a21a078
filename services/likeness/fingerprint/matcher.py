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
from likeness.fingerprint.kernel import Arrays
from likeness.fingerprint.minutiae import Kind, Minutiae

_HEAD = struct.Struct("<Hii")
_COLUMNS = (("<i2", 2), ("<u2", 1), ("<u8", p.WORDS), ("<u8", p.MASK_WORDS), ("u1", 1), ("u1", 1))
"""Of a stored finger, in order: type and numbers per minutia of places, turn, bits, masks, validity, and kind with
trust: the kind in the two highest bits."""
_TURN_STEP = 2.0 * math.pi / 65536.0
_PLACE_STEP = 1.0 / 8.0

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False, slots=True)
class Prepared:
    """One impression, ready to be compared; `n` minutiae at most `MAX_MINUTIAE`.

    `arrays`: places in pixels at 500 dpi about `centre` (x, y) of the record, and their cylinders.
    """

    arrays: Arrays
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
        told = (one.kind << 6 | np.rint(one.trust * p.TRUST_STEPS).astype(np.uint8)).astype("u1")
        parts = (places, turns, one.bits.astype("<u8"), one.masks.astype("<u8"), one.valid, told)
        head = _HEAD.pack(len(self), *self.centre)
        return head + b"".join(part.tobytes() for part in parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> Prepared:
        """Read what `to_bytes` wrote.

        Raises:
            Corrupt: the length is not that of the count it tells, or a kind or a trust is none.
        """
        if len(data) < _HEAD.size:
            raise Corrupt("A stored finger ends inside its head.")
        n, x, y = _HEAD.unpack_from(data)
        each = 4 + 2 + 8 * (p.WORDS + p.MASK_WORDS) + 1 + 1
        if n > p.MAX_MINUTIAE or len(data) != _HEAD.size + n * each:
            raise Corrupt(f"A stored finger of {n} minutiae has {len(data)} bytes.")
        at = _HEAD.size
        columns: list[NDArray[np.generic]] = []
        for kind, wide in _COLUMNS:
            columns.append(np.frombuffer(data, kind, n * wide, at))
            at += columns[-1].nbytes
        places, turns, bits, masks, valid, told = (np.asarray(column) for column in columns)
        kinds, trust = told >> 6, told & 63
        if n and (kinds.max() > max(Kind) or trust.max() > p.TRUST_STEPS):
            raise Corrupt(f"A stored finger of {n} minutiae has one whose kind or trust is none.")
        xy = places.reshape(n, 2).astype(np.float32) * np.float32(_PLACE_STEP)
        turn = turns.astype(np.float32) * np.float32(_TURN_STEP)
        held = Arrays(
            xy,
            turn,
            convex_hull(xy),
            bits.astype(np.uint64).reshape(p.WORDS, n),
            masks.astype(np.uint64).reshape(p.MASK_WORDS, n),
            valid.astype(np.uint8),
            kinds.astype(np.uint8),
            (trust / np.float32(p.TRUST_STEPS)).astype(np.float32),
        )
        return cls(held, (x, y))


def trust_of(quality: NDArray[np.uint8]) -> Floats:
    """How much each minutia of a template is trusted beside the others, float32 [n] in steps of `TRUST_STEPS`.

    Of the minutiae whose quality uint8 [n] is told, above 0, the share whose quality is less and half of those
    whose quality is the same; one half where it is not told.
    """
    told = np.sort(quality[quality > 0])
    less, no_more = np.searchsorted(told, quality, "left"), np.searchsorted(told, quality, "right")
    share = np.where(quality > 0, (less + no_more) / (2.0 * max(len(told), 1)), 0.5)
    return np.asarray(np.rint(share * p.TRUST_STEPS) / p.TRUST_STEPS, np.float32)


def prepare(minutiae: Minutiae) -> Prepared:
    """Describe the minutiae of one impression; of more than `MAX_MINUTIAE` the best by quality take part.

    Places, turns and trust are rounded as a stored template has them, so that a template and its copy score alike.
    """
    kept = np.argsort(-minutiae.quality.astype(np.int16), kind="stable")[: p.MAX_MINUTIAE]
    n = len(kept)
    steps = np.mod(np.rint(-minutiae.angle[kept] / _TURN_STEP), 65536)
    order = np.lexsort((minutiae.xy[kept, 1], minutiae.xy[kept, 0], steps))
    kept, steps = kept[order], steps[order]
    centre = np.rint(minutiae.xy[kept].mean(axis=0)).astype(np.int64) if n else np.zeros(2, np.int64)
    limit = 32767 * _PLACE_STEP
    places = np.clip(minutiae.xy[kept] - centre, -limit, limit)
    xy = (np.rint(places / _PLACE_STEP) * _PLACE_STEP).astype(np.float32).reshape(n, 2)
    turn = (steps.astype(np.float32) * np.float32(_TURN_STEP)).astype(np.float32)
    hull = convex_hull(xy) if n else np.zeros((0, 2), np.float32)
    bits = np.zeros((p.WORDS, n), np.uint64)
    masks = np.zeros((p.MASK_WORDS, n), np.uint64)
    valid = np.zeros(n, np.uint8)
    if n:
        build_cylinders(xy, turn, hull, bits, masks, valid)
    kind, trust = minutiae.kind[kept].astype(np.uint8), trust_of(minutiae.quality[kept])
    arrays = Arrays(xy, turn, hull, bits, masks, valid, kind, trust)
    return Prepared(arrays, (int(centre[0]), int(centre[1])))


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

    def compare(
        self, probe: Prepared, candidates: Sequence[Prepared], *, exact: bool = False
    ) -> list[Comparison]:
        """The score of the probe with each candidate, in order.

        Of `CASCADE_LIST` candidates or more a cheap stage leaves most out, unless `exact`: they score at most
        `REJECTED_AT`.
        """
        if not candidates:
            return []
        if exact or len(candidates) < p.CASCADE_LIST:
            measured = measures(probe, candidates)
        else:
            measured = cascade(probe, candidates, self._fusion)
        scores = self._fusion.score(measured)
        return [Comparison(float(score), _parts(row)) for score, row in zip(scores, measured, strict=True)]

    def pair(self, probe: Prepared, candidate: Prepared) -> Pairing:
        """The minutiae that lie upon each other, and the motion that brings them there."""
        if not len(probe) or not len(candidate):
            return Pairing(np.zeros((0, 2), np.int64), (0.0, 0.0, 0.0))
        out, motion = np.zeros(len(MEASURES)), np.zeros(3)
        mate = np.full(len(probe), -1, np.int32)
        measure(probe.arrays, candidate.arrays, out, motion, mate)
        paired = np.flatnonzero(mate >= 0)
        pairs = np.stack([paired, mate[paired].astype(np.int64)], axis=1)
        return Pairing(pairs, (float(motion[0]), float(motion[1]), float(motion[2])))


def measures(probe: Prepared, candidates: Sequence[Prepared], *, cheap: bool = False) -> NDArray[np.float64]:
    """What is measured between the probe and each candidate: float64 [k, 28], see `evidence.MEASURES`.

    `cheap`: no more than the cheap stage measures, and all else 0; unless one of the two has fewer minutiae than
    `CASCADE_FROM`, when it is compared in full at once.
    """
    starts = np.cumsum([0, *(len(c) for c in candidates)], dtype=np.int64)
    corners = np.cumsum([0, *(len(c.hull) for c in candidates)], dtype=np.int64)
    held = [one.arrays for one in candidates]
    many = Arrays(
        np.concatenate([one.xy for one in held]),
        np.concatenate([one.turn for one in held]),
        np.concatenate([one.hull for one in held]),
        np.concatenate([one.bits for one in held], axis=None),
        np.concatenate([one.masks for one in held], axis=None),
        np.concatenate([one.valid for one in held]),
        np.concatenate([one.kind for one in held]),
        np.concatenate([one.trust for one in held]),
    )
    out = np.zeros((len(candidates), len(MEASURES)))
    measure_many(probe.arrays, many, starts, corners, cheap, out)
    return out


def cascade(probe: Prepared, candidates: Sequence[Prepared], fused: Fusion) -> NDArray[np.float64]:
    """As `measures`, but in full only of the candidates that the cheap stage passes on, see `fusion.passing`."""
    measured = measures(probe, candidates, cheap=True)
    best = fused.promising(measured)
    if len(best):
        measured[best] = measures(probe, [candidates[n] for n in best])
    return measured


def _parts(row: NDArray[np.float64]) -> dict[str, float]:
    m = dict(zip(MEASURES, row.tolist(), strict=True))
    inside = math.sqrt(max(m["overlap_a"], 1.0) * max(m["overlap_b"], 1.0))
    return {
        "local_similarity": m["relaxed"],
        "paired_minutiae": m["pairs"],
        "paired_share": m["pairs"] / inside,
        "residual": math.sqrt(m["residual"]),
        "surprise": m["surprise"],
        "kinds_alike": m["kinds_alike"] / max(m["kinds_told"], 1.0),
        "overlap_minutiae": inside,
    }

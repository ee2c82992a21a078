"""Compares the minutiae of one impression with those of many others.

The comparison reads as the method does: cylinders describe each minutia's surroundings, their similarities are
relaxed by how well pairs fit each other, the best pairs propose a motion of one impression onto the other, the
minutiae that agree with it are counted and measured, and a fusion of what was measured is the score.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.fingerprint import parameters as p
from likeness.fingerprint.evidence import MEASURES, measure, measure_many
from likeness.fingerprint.fusion import Fusion, fusion
from likeness.fingerprint.kernel import Arrays
from likeness.fingerprint.prepared import PreparedFinger
from likeness.fingerprint.screen import screen_many

_COUNT_A, _COUNT_B = MEASURES.index("count_a"), MEASURES.index("count_b")


@dataclass(frozen=True, slots=True)
class FingerComparison:
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
        self, probe: PreparedFinger, candidates: Sequence[PreparedFinger], *, exact: bool = False
    ) -> list[FingerComparison]:
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
        return [
            FingerComparison(float(score), _parts(row)) for score, row in zip(scores, measured, strict=True)
        ]

    def pair(self, probe: PreparedFinger, candidate: PreparedFinger) -> Pairing:
        """The minutiae that lie upon each other, and the motion that brings them there."""
        return pairing(probe, candidate)


def pairing(probe: PreparedFinger, candidate: PreparedFinger) -> Pairing:
    """See `Matcher.pair`; it needs no fusion."""
    if not len(probe) or not len(candidate):
        return Pairing(np.zeros((0, 2), np.int64), (0.0, 0.0, 0.0))
    out, motion = np.zeros(len(MEASURES)), np.zeros(3)
    mate = np.full(len(probe), -1, np.int32)
    measure(probe.arrays, candidate.arrays, out, motion, mate)
    paired = np.flatnonzero(mate >= 0)
    pairs = np.stack([paired, mate[paired].astype(np.int64)], axis=1)
    return Pairing(pairs, (float(motion[0]), float(motion[1]), float(motion[2])))


def measures(
    probe: PreparedFinger, candidates: Sequence[PreparedFinger], *, cheap: bool = False
) -> NDArray[np.float64]:
    """What is measured between the probe and each candidate: float64 [k, 28], see `evidence.MEASURES`.

    `cheap`: no more than the cheap stage measures, and all else 0; unless one of the two has fewer minutiae than
    `CASCADE_FROM`, when it is compared in full at once.
    """
    out = np.zeros((len(candidates), len(MEASURES)))
    counts = np.array([len(one) for one in candidates], np.int64)
    large = (np.minimum(counts, len(probe)) >= p.CASCADE_FROM) & cheap
    screened, in_full = np.flatnonzero(large), np.flatnonzero(~large)
    if len(in_full):
        arrays = [candidates[n].arrays for n in in_full.tolist()]
        out[in_full] = _measured(measure_many, probe.arrays, arrays)
    if len(screened):
        cores = [candidates[n].core for n in screened.tolist()]
        out[screened] = _measured(screen_many, probe.core, cores)
        out[screened, _COUNT_A], out[screened, _COUNT_B] = len(probe), counts[screened]
    return out


def _measured(compare: Callable[..., None], one: Arrays, others: Sequence[Arrays]) -> NDArray[np.float64]:
    """What `measure_many` or `screen_many` writes of one template and at least one other."""
    out = np.zeros((len(others), len(MEASURES)))
    compare(one, *_behind_each_other(others), out)
    return out


def _behind_each_other(many: Sequence[Arrays]) -> tuple[Arrays, NDArray[np.int64], NDArray[np.int64]]:
    """Templates as kernels take many, and where the minutiae and the corners of each begin, int64 [k + 1]."""
    starts = np.cumsum([0, *(len(one.turn) for one in many)], dtype=np.int64)
    corners = np.cumsum([0, *(len(one.hull) for one in many)], dtype=np.int64)
    columns = zip(*many, strict=True)
    flat = (name in ("bits", "masks") for name in Arrays._fields)
    parts = [np.concatenate(c, axis=None if f else 0) for c, f in zip(columns, flat, strict=True)]
    return Arrays(*parts), starts, corners


def cascade(
    probe: PreparedFinger, candidates: Sequence[PreparedFinger], fused: Fusion
) -> NDArray[np.float64]:
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
        "kinds_equal": m["kinds_equal"] / max(m["kinds_known"], 1.0),
        "overlap_minutiae": inside,
    }

"""How far down the shortlist a finger's own reference stands, ours against a training-free aggregate.

    python benchmarks/fingerprint_shortlist.py --data FOLDER [--strangers 10000]

FOLDER holds SET/FINGER_IMPRESSION.fmr. Gallery: impression 1 of every finger, and drawn fingers. Probes: all other
impressions. A mate is missed at a penetration of p if more than the share p of the gallery stands above or level
with it. Beside it, without drawn fingers, the share of mates missed among the impressions of other fingers alone:
these come from the same sensors, so that nothing but the finger tells them apart.

The aggregate: minutia cylinder-codes (R. Cappelli et al., IEEE TPAMI 32(12), 2010), reduced to 48 dimensions, their
differences from 256 words summed word by word (VLAD; H. Jégou et al., CVPR 2010), square roots taken, brought to
length 1. Words and axes come from other drawn fingers; so do our weights. Nothing is fitted to FOLDER.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.common.fingerprints import Finger, read_templates
from benchmarks.common.table import Row, finish, parser
from likeness.fingerprint import parameters as p
from likeness.fingerprint.cylinders import build_cylinders, convex_hull
from likeness.fingerprint.minutiae import Minutiae
from likeness.fingerprint.shortlist import Shortlister
from likeness.fingerprint.synthesis import draw

Vectors = NDArray[np.float32]

SHARES = (0.01, 0.003, 0.001)
WORDS = 256
AXES = 48
FITTED = 1500
"""Drawn fingers that words and axes are fitted to."""


class CylinderVlad:
    """The training-free aggregate, of WORDS x AXES dimensions."""

    def __init__(self, sample: Sequence[Minutiae], seed: int) -> None:
        codes = np.concatenate([_cylinders(one) for one in sample])
        self._mean = codes.mean(axis=0)
        spread, axes = np.linalg.eigh(np.cov(codes.T))
        self._axes = axes[:, np.argsort(-spread)[:AXES]].astype(np.float32)
        words: Any = faiss.Kmeans(AXES, WORDS, niter=15, seed=seed + 1)
        words.train(self._reduced(codes))
        self._words = words

    def embed(self, impressions: Sequence[Minutiae]) -> Vectors:
        """One vector of length 1 each, or 0 where nothing can be coded: float32 [n, WORDS * AXES]."""
        return np.stack([self._one(one) for one in impressions])

    def _one(self, minutiae: Minutiae) -> Vectors:
        sums = np.zeros((WORDS, AXES), np.float32)
        codes = _cylinders(minutiae)
        if len(codes):
            reduced = self._reduced(codes)
            nearest = self._words.index.search(reduced, 1)[1][:, 0]
            np.add.at(sums, nearest, reduced - self._words.centroids[nearest])
        flat = np.sign(sums.ravel()) * np.sqrt(np.abs(sums.ravel()))
        return np.asarray(flat / max(float(np.linalg.norm(flat)), 1e-9), np.float32)

    def _reduced(self, codes: Vectors) -> Vectors:
        return np.ascontiguousarray((codes - self._mean) @ self._axes, np.float32)


def _cylinders(minutiae: Minutiae) -> Vectors:
    """The bits of the valid cylinders: float32 [m, 64 * parameters.WORDS]."""
    best = np.argsort(-minutiae.quality.astype(np.int16), kind="stable")[: p.MAX_MINUTIAE]
    xy, turn = np.ascontiguousarray(minutiae.xy[best]), (-minutiae.angle[best]) % np.float32(2 * np.pi)
    bits = np.zeros((p.WORDS, len(xy)), np.uint64)
    masks = np.zeros((p.MASK_WORDS, len(xy)), np.uint64)
    valid = np.zeros(len(xy), np.uint8)
    if len(xy):
        build_cylinders(xy, turn, convex_hull(xy), bits, masks, valid)
    rows = np.ascontiguousarray(bits.T[valid > 0]).view(np.uint8)
    return np.unpackbits(rows, axis=1, bitorder="little").astype(np.float32)


def missed(scores: Vectors, mate: NDArray[np.int64]) -> NDArray[np.float64]:
    """For each probe the share of a gallery that stands above or level with its mate: [q] of scores [q, n]."""
    own = scores[np.arange(len(mate)), mate]
    above: NDArray[np.int64] = (scores >= own[:, None]).sum(axis=1) - 1
    return np.asarray(above / scores.shape[1], np.float64)


def measure(
    what: str,
    embed: Callable[[Sequence[Minutiae]], Vectors],
    templates: dict[tuple[Finger, int], Minutiae],
    strangers: Sequence[Minutiae],
) -> list[Row]:
    """The figures of one way to make vectors."""
    keys = list(templates)
    started = time.perf_counter()
    vectors = embed(list(templates.values()))
    spent = time.perf_counter() - started
    enrolled = [i for i, (_, impression) in enumerate(keys) if impression == 1]
    place = {keys[i][0]: at for at, i in enumerate(enrolled)}
    probes = [i for i, (finger, impression) in enumerate(keys) if impression != 1 and finger in place]
    mates = np.array([place[keys[i][0]] for i in probes], np.int64)
    drawn = np.concatenate([embed(strangers[at : at + 500]) for at in range(0, len(strangers), 500)])
    gallery = np.concatenate([vectors[enrolled], drawn])
    depth = missed(vectors[probes] @ gallery.T, mates)
    among = _among_others(vectors, [finger for finger, _ in keys])
    note = f"{len(probes)} probes, gallery of {len(gallery)}"
    rows = [
        Row(what, f"missed at {share:.1%}", 100 * float((depth > share).mean()), "%", note)
        for share in SHARES
    ]
    rows.append(Row(what, "mean penetration", 100 * float(depth.mean()), "%"))
    rows.extend(
        Row(
            what,
            f"missed at {share:.0%} of other fingers' impressions",
            100 * float((among > share).mean()),
            "%",
        )
        for share in (0.01, 0.05)
    )
    rows.append(Row(what, "dimensions", gallery.shape[1]))
    rows.append(Row(what, "time per template", 1000 * spent / len(keys), "ms"))
    return rows


def _among_others(vectors: Vectors, fingers: Sequence[Finger]) -> NDArray[np.float64]:
    """For every ordered pair of impressions of a finger: the share of other fingers' that stand above or level."""
    number = {finger: i for i, finger in enumerate(dict.fromkeys(fingers))}
    of = np.array([number[finger] for finger in fingers])
    scores = vectors @ vectors.T
    shares: list[float] = []
    for i, row in enumerate(scores):
        others = row[of != of[i]]
        mates = np.flatnonzero(of == of[i])
        shares.extend(float((others >= row[j]).mean()) for j in mates if j != i)
    return np.array(shares)


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--strangers", type=int, default=10_000, help="drawn fingers in the gallery")
    chosen = arguments.parse_args()
    if chosen.data is None:
        arguments.error("--data FOLDER is needed")
    faiss.omp_set_num_threads(1)
    templates = read_templates(chosen.data)
    strangers = draw(chosen.strangers, chosen.seed)
    aggregate = CylinderVlad(draw(FITTED, chosen.seed + 1), chosen.seed)
    rows = measure("ours", Shortlister().embed, templates, strangers)
    rows += measure(f"VLAD of cylinders, {WORDS} words", aggregate.embed, templates, strangers)
    finish("Shortlist", rows, chosen)


if __name__ == "__main__":
    main()

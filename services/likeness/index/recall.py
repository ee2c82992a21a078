"""The recall gauge: does the index in use find what an exact scan finds?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likeness.index.scan import Vectors
from likeness.index.vectors import VectorIndex

_TIE = 1e-5
"""Scores this near are a tie, relative to the best: 16-bit vectors tell no finer."""

_MOVE = 0.7
"""Share of the difference of two stored vectors that a probe is moved by. For unit vectors of unrelated subjects
the cosine to its origin is then about .7, as between two samples of a subject in the field."""


@dataclass(frozen=True, slots=True)
class Recall:
    """The share of the exact scan's best `k` that the index returned, over `sample` probes of one generation.

    A row that scores like the last of the exact best counts as found. 1.0 where the index holds nothing.
    """

    recall: float
    k: int
    sample: int
    generation: str


def measure_recall(index: VectorIndex, *, sample: int, k: int = 10, seed: int = 0) -> Recall:
    """Search with probes near `sample` stored vectors, with the index as it is used and exactly, and compare.

    Costs one decoding of the whole index and `sample` searches: about a second of one core at 1,000,000 x 128.
    """
    generation = index.generation.name
    rows, vectors = index.sample(sample, seed)
    shuffled = np.random.default_rng(seed).permutation(len(rows))
    probes = near_probes(vectors[shuffled])
    found, _ = index.search(probes, k)
    exact, at = index.search(probes, k, exact=True)
    wanted = at >= 0
    if not wanted.any():
        return Recall(1.0, k, 0, generation)
    last = np.where(wanted, exact, np.inf).min(axis=1, keepdims=True)
    hits = found >= last - _TIE * np.abs(exact[:, :1])
    share = hits.sum(axis=1) / wanted.sum(axis=1)
    return Recall(float(np.minimum(share, 1.0).mean()), k, len(rows), generation)


def near_probes(vectors: Vectors) -> Vectors:
    """A probe near each of `vectors` [n, d], in random order: float32 [n, d].

    Each is moved by the difference of two others, so that it lies where vectors of this space lie: white noise
    would point where no probe ever does. Probes are not normalised; ranks by inner product do not need it.
    """
    probes: Vectors = vectors + np.float32(_MOVE) * (
        np.roll(vectors, 1, axis=0) - np.roll(vectors, 2, axis=0)
    )
    return probes

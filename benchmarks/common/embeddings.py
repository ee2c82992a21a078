"""Vectors with the structure of embeddings of faces, drawn at random, or loaded from files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

SPECTRUM = 0.6
"""Variance of the i-th principal axis is i^-SPECTRUM: an effective dimension of 65 in 128 and of 194 in 512, and
strangers' cosines of 0 +- 0.12 and 0 +- 0.07."""
SPREAD = (0.5, 0.8)
"""Length of a sample's deviation from its subject, whose own length is 1: two samples of a subject have a cosine
of .6 to .8."""
SAMPLES = 4
"""Samples per subject, on average."""
_BLOCK = 65_536


@dataclass(frozen=True, eq=False)
class Embeddings:
    """`stored` float32 [n, d] and `probes` float32 [q, d], L2-normalised.

    Half of the probes are new samples of stored subjects, half are of strangers.
    """

    stored: Vectors
    probes: Vectors
    source: str

    def first(self, count: int) -> Embeddings:
        """The same probes over the first `count` vectors."""
        return Embeddings(self.stored[:count], self.probes, self.source)


def synthetic(count: int, dimension: int, probes: int, seed: int) -> Embeddings:
    """Subjects on the sphere with an uneven spectrum, and samples around them."""
    random = np.random.default_rng(seed)
    spectrum = np.sqrt(np.arange(1, dimension + 1, dtype=np.float64) ** -SPECTRUM)
    turn = np.linalg.qr(random.standard_normal((dimension, dimension)))[0]
    axes = (spectrum[:, None] * turn).astype(np.float32)
    known = max(1, count // SAMPLES)
    subjects = _directions(known + probes, axes, random)

    def samples(who: NDArray[np.int64]) -> Vectors:
        length = random.uniform(*SPREAD, (len(who), 1)).astype(np.float32)
        return _unit(subjects[who] + length * _directions(len(who), axes, random))

    stored = np.empty((count, dimension), np.float32)
    who = random.integers(0, known, count)
    for start in range(0, count, _BLOCK):
        stored[start : start + _BLOCK] = samples(who[start : start + _BLOCK])
    mates = random.choice(who, probes // 2)
    strangers = np.arange(known, known + probes - probes // 2)
    return Embeddings(stored, samples(np.concatenate([mates, strangers])), f"synthetic, seed {seed}")


def loaded(folder: Path, probes: int, seed: int) -> Embeddings:
    """Every `*.npy` in a folder, float [n, d] of one dimension, shuffled; the last rows become probes."""
    files = sorted(folder.glob("*.npy"))
    if not files:
        raise SystemExit(f"{folder} holds no .npy files with embeddings, float [n, d].")
    rows = np.concatenate([np.load(file, allow_pickle=False) for file in files]).astype(np.float32)
    np.random.default_rng(seed).shuffle(rows)
    held_out = min(probes, len(rows) // 5)
    return Embeddings(_unit(rows[held_out:]), _unit(rows[:held_out]), str(folder))


def _directions(count: int, axes: Vectors, random: np.random.Generator) -> Vectors:
    made = np.empty((count, len(axes)), np.float32)
    for start in range(0, count, _BLOCK):
        block = made[start : start + _BLOCK]
        block[:] = _unit(random.standard_normal(block.shape, dtype=np.float32) @ axes)
    return made


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit

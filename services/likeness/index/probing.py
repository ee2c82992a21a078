"""Probes made from stored vectors, to measure what an index finds."""

from __future__ import annotations

import numpy as np

from likeness.index.scan import Vectors

_MOVE = 0.7
"""Share of the difference of two stored vectors that a probe is moved by. For unit vectors of unrelated subjects
the cosine to its origin is then about .7, as between two samples of a subject in the field."""


def beside(vectors: Vectors) -> Vectors:
    """A probe near each of `vectors` [n, d], in random order: float32 [n, d].

    Each is moved by the difference of two others, so that it lies where vectors of this space lie: white noise
    would point where no probe ever does. Probes are not normalised; ranks by inner product do not need it.
    """
    probes: Vectors = vectors + np.float32(_MOVE) * (
        np.roll(vectors, 1, axis=0) - np.roll(vectors, 2, axis=0)
    )
    return probes

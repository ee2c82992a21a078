"""The shortlist's vectors: one per impression, near each other where two impressions show one finger.

The network is ours, trained on drawn fingers alone (`models/train/fingerprint_embedding.py`). It sees each minutia
from its neighbours, so that a vector does not depend on where the finger lay or how it was turned.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from likeness.fingerprint import parameters as p
from likeness.fingerprint.minutiae import Minutiae
from likeness.inference.models.sets import SetEmbedder

MODEL = "fingerprint-embed"
"""Name of the shipped manifest."""


class Shortlister:
    """Turns minutiae into vectors; safe to call from several threads at once.

    Raises:
        NotFound, InvalidInput, Corrupt, Precondition: see `SetEmbedder`.
    """

    def __init__(self, embedder: SetEmbedder | None = None) -> None:
        """`embedder`: the shipped model on one thread, where none is given."""
        self._embedder = embedder or SetEmbedder.shipped(MODEL)

    @property
    def dimension(self) -> int:
        """Elements of a vector."""
        return self._embedder.dimension

    @property
    def space(self) -> str:
        """The template space that the vectors live in; vectors of two spaces are never compared."""
        return self._embedder.space

    @property
    def model(self) -> str:
        """`id@version` of the network, as written into templates and answers."""
        return self._embedder.manifest.label

    def embed(self, impressions: Sequence[Minutiae]) -> NDArray[np.float32]:
        """One vector per impression, to be compared by inner product.

        Of more than `parameters.MAX_MINUTIAE` minutiae the best by quality take part.

        Returns:
            float32 [len(impressions), dimension]; rows of Euclidean length 1, or 0 where there are no minutiae.

        Raises:
            InvalidInput: coordinates or angles are not finite.
        """
        return self._embedder.embed([_rows(one) for one in impressions])


def _rows(minutiae: Minutiae) -> NDArray[np.float32]:
    """x, y and turn (clockwise in the image, radians) about the centre of the minutiae: float32 [n, 3]."""
    if len(minutiae) == 0:
        return np.zeros((0, 3), np.float32)
    rows = np.column_stack([minutiae.xy, -minutiae.angle]).astype(np.float32)
    if len(rows) > p.MAX_MINUTIAE:
        rows = rows[np.sort(np.argsort(-minutiae.quality.astype(np.int16), kind="stable")[: p.MAX_MINUTIAE])]
    rows[:, :2] -= rows[:, :2].mean(axis=0)
    return rows

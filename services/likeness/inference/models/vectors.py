"""What the models that make vectors share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from likeness.domain.errors import LikenessError
from likeness.inference.models.manifest import EmbedderManifest

FloatArray = npt.NDArray[np.float32]


def unit_vectors(found: FloatArray, count: int, manifest: EmbedderManifest) -> FloatArray:
    """What a graph gave for `count` inputs, as vectors of length 1: float32 [count, dimension].

    Raises:
        LikenessError: these are no such vectors.
    """
    vectors, dimension = found.astype(np.float32), manifest.embedding.dimension
    if vectors.shape == (count, dimension) and np.isfinite(vectors).all():
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if (lengths > 0).all():
            return np.asarray(vectors / lengths, np.float32)
    raise LikenessError(
        f"Model {manifest.id} returned values that are no vectors of {dimension} elements; restore its file",
        reason="EMBEDDING_INVALID",
    )

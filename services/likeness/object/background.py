"""How similar a photograph is to photographs at random: what a cosine is measured against.

Some photographs are near to many (a plain white ground), others to none, so one threshold does not fit all. The
mean cosine with the nearest of a fixed set of unrelated photographs says which, and is taken away (score
normalisation of the Image Similarity Challenge 2021; Papakipos et al., PMLR 176).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likeness.domain.errors import Corrupt
from likeness.index import cosines as exact
from likeness.inference.models.arrays import read_arrays
from likeness.inference.models.catalogue import shipped_manifests
from likeness.object import parameters as p

FILE = "object-fusion/background.npz"

Floats = NDArray[np.float32]

_AT_ONCE = 128  # vectors, which bounds the memory that a comparison with many references takes


@dataclass(frozen=True, eq=False, slots=True)
class Background:
    """`vectors` float32 [n, d], embeddings of unrelated photographs."""

    vectors: Floats
    _whole: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_whole", exact.whole(self.vectors))

    def nearness(self, vectors: Floats) -> Floats:
        """The mean cosine of each vector float32 [m, d] with its nearest of the background, float32 [m]."""
        count = min(p.BACKGROUND_NEAREST, len(self.vectors))
        found = np.empty(len(vectors), np.float32)
        for start in range(0, len(vectors), _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            cosines = exact.products(exact.whole(vectors[rows]), self._whole)
            found[rows] = np.partition(cosines, -count, axis=1)[:, -count:].mean(1)
        return found

    @classmethod
    def load(cls, path: Path) -> Background:
        """Read the file that `write` made.

        Raises:
            Corrupt: it is missing or not such a file.
        """
        held = read_arrays(path, ("vectors",), "the background of object embeddings")
        try:
            vectors = held["vectors"].astype(np.float32)
        except (TypeError, ValueError) as error:
            raise Corrupt(f"{path} is not the background of object embeddings; restore the file.") from error
        if vectors.ndim != 2 or not len(vectors) or not np.isfinite(vectors).all():
            raise Corrupt(f"{path} holds no vectors; restore the file.")
        return cls(vectors)

    def write(self, path: Path) -> None:
        """Write the file that `load` reads, in half precision."""
        np.savez_compressed(path, vectors=self.vectors.astype(np.float16))


@lru_cache(maxsize=1)
def background() -> Background:
    """The shipped background."""
    return Background.load(shipped_manifests() / FILE)

"""How descriptors become codes: the principal axes and the words that `models/train/object_codebook.py` found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likeness.domain.errors import Corrupt
from likeness.inference.models.arrays import read_arrays
from likeness.inference.models.catalogue import shipped_manifests

FILE = "object-codebook/codebook.npz"

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False, slots=True)
class Codebook:
    """`mean` float32 [128], `axes` float32 [128, d], `words` float32 [k, d] in units of codes.

    A code is the projection times `steps` plus 128, rounded and clipped to a byte.
    """

    mean: Floats
    axes: Floats
    words: Floats
    steps: float

    @property
    def dimension(self) -> int:
        """Bytes of one code."""
        return int(self.axes.shape[1])

    def encode(self, descriptors: Floats) -> NDArray[np.uint8]:
        """RootSIFT float32 [n, 128] to codes uint8 [n, d]."""
        projected = (descriptors - self.mean) @ self.axes
        return np.clip(np.rint(projected * self.steps + 128), 0, 255).astype(np.uint8)

    def nearest(self, codes: NDArray[np.uint8]) -> NDArray[np.int64]:
        """The nearest word of each code uint8 [n, d]: int64 [n]."""
        lengths = np.einsum("ij,ij->i", self.words, self.words)
        return np.asarray((lengths - 2.0 * (codes.astype(np.float32) @ self.words.T)).argmin(1), np.int64)

    @classmethod
    def load(cls, path: Path) -> Codebook:
        """Read the file that the training script wrote.

        Raises:
            Corrupt: it is missing or not such a file.
        """
        held = read_arrays(path, ("mean", "axes", "words", "steps"), "the codebook of object details")
        try:
            mean, axes, words = (held[name].astype(np.float32) for name in ("mean", "axes", "words"))
            found = cls(mean, axes, words, float(np.asarray(held["steps"], np.float64)))
        except (TypeError, ValueError) as error:
            raise Corrupt(f"{path} is not the codebook of object details; restore the file.") from error
        if (
            axes.ndim != 2
            or words.ndim != 2
            or (
                found.mean.shape != (128,)
                or found.axes.shape[0] != 128
                or found.words.shape[1:] != found.axes.shape[1:]
            )
        ):
            raise Corrupt(f"The arrays of {path} do not fit each other; restore the file.")
        return found


@lru_cache(maxsize=1)
def codebook() -> Codebook:
    """The shipped codebook."""
    return Codebook.load(shipped_manifests() / FILE)

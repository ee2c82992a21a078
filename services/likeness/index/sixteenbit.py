"""Vectors at 16 bits per dimension: half the memory of float32, exact enough to rank by.

A value is a signed 16-bit integer times one scale, a power of two chosen from the largest value. For
L2-normalised vectors the scale is at most 2^-15, so an inner product with a unit probe is off by about 1e-5, an
order less than with IEEE half floats, which keep 11 bits. Encoding what was decoded gives the same integers, so
nothing wears off from one build to the next.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from likeness.index.rows import Mask
from likeness.index.scan import Neighbours, Vectors, merge, nothing, renumber, scan

BLOCK_ROWS = 16_384
"""Vectors decoded at once: a few MiB, small enough to stay in a core's cache."""
_LARGEST = 32_767


class Wide:
    """`values` int16 [n, d]; a vector is `values[i] * scale`."""

    def __init__(self, values: NDArray[np.int16], scale: float) -> None:
        self.values = values
        self.scale = scale

    @classmethod
    def reserve(cls, count: int, dimension: int, peak: float) -> Wide:
        """Room for `count` vectors whose largest absolute value is `peak`."""
        scale = 2.0 ** math.ceil(math.log2(peak / _LARGEST)) if peak > 0 else 2.0**-15
        return cls(np.zeros((count, dimension), np.int16), scale)

    def __len__(self) -> int:
        return len(self.values)

    def put(self, start: int, vectors: Vectors) -> None:
        """Encode vectors [m, d] at positions from `start`."""
        self.values[start : start + len(vectors)] = np.rint(vectors / np.float32(self.scale))

    def take(self, positions: NDArray[np.int64] | slice) -> Vectors:
        """The vectors at these positions, decoded."""
        decoded = self.values[positions].astype(np.float32)
        decoded *= np.float32(self.scale)
        return decoded

    def blocks(self) -> Iterator[tuple[int, Vectors]]:
        """All vectors in blocks, each with the position of its first."""
        for start in range(0, len(self), BLOCK_ROWS):
            yield start, self.take(slice(start, start + BLOCK_ROWS))

    def search(self, queries: Vectors, k: int, allowed: Mask | None) -> Neighbours:
        """The best `k` for each query among all vectors, or those that `allowed` bool [n] marks."""
        if allowed is not None:
            positions = np.flatnonzero(allowed)
            if len(positions) < len(self):
                return self.search_at(queries, k, positions)
        found = [nothing(len(queries), k)]
        for start, vectors in self.blocks():
            scores, at = scan(queries, vectors, k)
            found = [merge([*found, (scores, np.where(at < 0, at, at + start))], k)]
        return found[0]

    def search_at(self, queries: Vectors, k: int, positions: NDArray[np.int64]) -> Neighbours:
        """The best `k` for each query among the vectors at these positions."""
        found = nothing(len(queries), k)
        for start in range(0, len(positions), BLOCK_ROWS):
            block = positions[start : start + BLOCK_ROWS]
            scores, at = scan(queries, self.take(block), k)
            found = merge([found, (scores, renumber(at, block))], k)
        return found

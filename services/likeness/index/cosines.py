"""Inner products of vectors of length 1 that are the same to the last bit, whatever is multiplied together.

The last bit of a product of matrices depends on how many rows go together, on threads and on the processor, since
sums are rounded in another order. Where every product is a whole number and no sum leaves those that float64 holds
exactly, nothing is rounded until the end.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_PARTS = 2.0**25
"""Steps of a component between 0 and 1. Their products are multiples of 2^-50 whose sums, at most 8 where no vector
is longer than 2.8, float64 holds exactly; a step is half of what float32 tells apart from 0.5 on."""


def whole(vectors: Floats) -> NDArray[np.float64]:
    """Vectors float32 [n, d] in whole steps: float64 [n, d], for `products`."""
    return np.asarray(np.rint(vectors.astype(np.float64) * _PARTS))


def products(one: NDArray[np.float64], other: NDArray[np.float64]) -> Floats:
    """The inner products of float64 [n, d] and [m, d] as `whole` makes them: float32 [n, m]."""
    return np.asarray((one @ other.T) * _PARTS**-2, np.float32)


def cosines(one: Floats, other: Floats) -> Floats:
    """The inner products of vectors float32 [n, d] and [m, d]: float32 [n, m]."""
    return products(whole(one), whole(other))

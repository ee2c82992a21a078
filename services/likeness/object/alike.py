"""How alike two photographs are by the vectors of their squares, see `views`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from likeness.object import parameters as p
from likeness.object import views
from likeness.object.background import Background, background

Floats = NDArray[np.float32]


def levels(vectors: Floats, ground: Background | None = None) -> Floats:
    """What a cosine with each vector float32 [v, d] of one photograph must exceed to say anything: float32 [v].

    Half of how near the vector is to photographs at random, the other side's being the other half; and a constant
    for all but the first, since there are many to choose from.
    """
    return _levels(vectors, np.arange(len(vectors)) > 0, ground)


def _levels(vectors: Floats, others: NDArray[np.bool_], ground: Background | None) -> Floats:
    """As `levels`; `others` bool [v] are all but the first of a photograph."""
    near = (ground or background()).nearness(vectors)
    return np.asarray(0.5 * near + p.SQUARE_COST * others, np.float32)


def cosines(
    probe: Floats, candidates: Sequence[Floats], ground: Background | None = None
) -> tuple[Floats, Floats]:
    """The cosines of a probe float32 [v, d] with candidates float32 [r, d] each: plain, and above their levels.

    Both float32 [m], of the two squares that are most alike after normalisation. Of a candidate the squares of a
    reference count, so that it makes no difference whether it was read as one. Each candidate is multiplied by
    itself: the last bit of a product of matrices depends on how many rows go together.
    """
    ours = levels(probe, ground)[None]
    small = np.arange(len(probe)) >= views.COARSE
    best = np.empty((2, len(candidates)), np.float32)
    for n, one in enumerate(candidates):
        rows = np.ascontiguousarray(one[: views.REFERENCE])
        part = np.arange(len(rows)) > 0
        plain = rows @ probe.T
        above = plain - ours - _levels(rows, part, ground)[:, None]
        above[np.ix_(part, small)] = -np.inf
        at = above.argmax()
        best[:, n] = plain.flat[at], above.flat[at]
    return best[0], best[1]

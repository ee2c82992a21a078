"""The similarity of two photographs by the vectors of their squares, see `views`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from likeness.index import cosines as exact
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

    Both float32 [m], of the two squares that are most similar after normalisation. Of a candidate the squares of a
    reference count, so that it makes no difference whether it was read as one.
    """
    held = [one[: views.REFERENCE] for one in candidates]
    if not held:
        return np.zeros(0, np.float32), np.zeros(0, np.float32)
    rows = np.concatenate(held)
    parts = np.concatenate([np.arange(len(one)) > 0 for one in held])
    plain = exact.cosines(rows, probe)
    above = plain - levels(probe, ground)[None] - _levels(rows, parts, ground)[:, None]
    above[np.ix_(parts, np.arange(len(probe)) >= views.COARSE)] = -np.inf
    best = np.empty((2, len(held)), np.float32)
    start = 0
    for n, one in enumerate(held):
        of_one = slice(start, start + len(one))
        at = above[of_one].argmax()
        best[:, n] = plain[of_one].flat[at], above[of_one].flat[at]
        start += len(one)
    return best[0], best[1]

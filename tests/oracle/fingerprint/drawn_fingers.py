"""Drawn fingers small enough for slow definitions."""

from __future__ import annotations

from likeness.fingerprint.minutiae import Minutiae
from likeness.fingerprint.synthesis import impressions, thinned


def of_one_finger(count: int, tried: int, seed: int) -> tuple[Minutiae, Minutiae]:
    """Two impressions of the first of `tried` drawn fingers that shows `count` minutiae twice, thinned to these."""
    pairs = (thinned(pair, count) for pair in impressions(tried, 2, seed))
    one, other = next(pair for pair in pairs if len(pair) == 2)
    return one, other

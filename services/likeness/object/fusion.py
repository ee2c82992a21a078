"""From the parts of a comparison to one score, a log-odds, and to the likelihood that it was measured to mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum

from likeness.object.verify import Verification


class Likelihood(StrEnum):
    """What a score was measured to mean; the benchmark of object accuracy prints the error rate of each."""

    STRONG = "strong"
    """The same object: of unrelated photographs, fewer than 1 in 10,000 comparisons score this high."""
    PROBABLE = "probable"
    """Probably the same object: of probes without a mate, at most 1 in 100 has such a candidate."""
    SIMILAR = "similar only"
    """Looks alike; nothing says that it is the same object."""


# Fitted by logistic regression on attacked photographs against their hardest strangers
# (models/train/object_fusion.py); the constant sets 0 where mates and strangers of a shortlist are as frequent.
BIAS = -7.5
PER_COSINE = 6.0
PER_LOG_SPREAD = 3.2
PER_LOG_AREA = 0.35
STRONG_FROM = 4.0
PROBABLE_FROM = 1.0

_LEAST_AREA = 1e-3


def fuse(cosine: float, verification: Verification) -> tuple[float, dict[str, float]]:
    """The score and its named parts.

    The count of inliers enters by how many places they cover, so that a pattern that repeats in one corner counts
    for one; and by the area that they surround.
    """
    inliers = len(verification.pairs)
    score = BIAS + PER_COSINE * max(cosine, 0.0)
    score += PER_LOG_SPREAD * math.log1p(verification.spread)
    if inliers:
        score += PER_LOG_AREA * math.log(max(verification.area, _LEAST_AREA))
    parts = {
        "cosine": cosine,
        "inliers": float(inliers),
        "spread": float(verification.spread),
        "hull_area": verification.area,
    }
    return score, parts


def likelihood(score: float, parts: Mapping[str, float]) -> Likelihood:
    """The band of a score; without geometric evidence nothing is more than similar."""
    if parts["inliers"] == 0 or score < PROBABLE_FROM:
        return Likelihood.SIMILAR
    return Likelihood.STRONG if score >= STRONG_FROM else Likelihood.PROBABLE

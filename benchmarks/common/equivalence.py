"""Whether two ways to be answered take the same time: a test for a difference, and one for the lack of one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.90
"""Of the interval of the difference: with both ends within the margin it is two one-sided tests at 5% (TOST)."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One sample against another that was taken in turn with it; times in seconds.

    Attributes:
        median: of the first sample.
        other: of the second.
        shift: the median of the differences of each pair, the first minus the second.
        low: lower end of the interval of the shift, at `CONFIDENCE`.
        high: its upper end.
        odds: the chance that one of the first takes longer than one of the second; 0.5 tells nothing.
        p: two-sided, of the Mann-Whitney test: how often samples that do not differ would look as different.
    """

    median: float
    other: float
    shift: float
    low: float
    high: float
    odds: float
    p: float

    def is_within(self, margin: float) -> bool:
        """Whether the two are equivalent: the whole interval of the shift is nearer to 0 than the margin."""
        return -margin < self.low and self.high < margin


def difference(first: NDArray[np.float64], second: NDArray[np.float64]) -> Difference:
    """Compare samples of one length, of which those at one place were taken one right after the other.

    The interval is that of the sign test, by order statistics, and demands nothing of how times are distributed;
    the test is Mann and Whitney's (Annals of Mathematical Statistics 18, 1947), by its normal approximation.
    """
    low, high = _interval(np.sort(first - second))
    odds = _odds(first, second)
    n, m = len(first), len(second)
    z = abs(odds - 0.5) * n * m / math.sqrt(n * m * (n + m + 1) / 12)
    return Difference(
        median=float(np.median(first)),
        other=float(np.median(second)),
        shift=float(np.median(first - second)),
        low=low,
        high=high,
        odds=odds,
        p=math.erfc(z / math.sqrt(2)),
    )


def _interval(ordered: NDArray[np.float64]) -> tuple[float, float]:
    """Of the median, from the binomial distribution of how many lie below it, by its normal approximation."""
    n = len(ordered)
    reach = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * math.sqrt(n) / 2
    left = max(0, math.floor(n / 2 - reach))
    return float(ordered[left]), float(ordered[n - 1 - left])


def _odds(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """The share of pairs of which the first is longer; ties count half."""
    ordered = np.sort(second)
    below = np.searchsorted(ordered, first, "left")
    upto = np.searchsorted(ordered, first, "right")
    return float((below + upto).sum() / 2 / len(first) / len(second))

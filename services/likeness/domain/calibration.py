"""From a comparison score to a false match rate, and back, within what was measured.

A calibration is a measured table, never a formula: it holds the scores of stranger pairs at chosen false
match rates with 95% bounds (Wilson 1927, over pairs), and it refuses to speak below what the sample supports. Pairs
share subjects, so the true bounds are somewhat wider; ISO/IEC 19795-1 discusses both.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from likeness.domain.errors import InvalidInput, Precondition
from likeness.domain.rounding import rounded_up


@dataclass(frozen=True, slots=True)
class Fmr:
    """A false match rate with its 95% bounds.

    `measurable` is False where the score lies above every stranger score that the sample can support: the true
    rate is then below `value`, which is the lowest rate that could be measured, and `lower` is 0.
    """

    value: float
    lower: float
    upper: float
    measurable: bool = True

    def __str__(self) -> str:
        if not self.measurable:
            return f"below {rounded_up(self.value)}, not measurable"
        return f"{self.value:.1e}"


@dataclass(frozen=True, eq=False)
class Calibration:
    """The measured table for one template space.

    `scores` float64 [n], ascending; `fmr`, `lower`, `upper` float64 [n]: the share of stranger pairs that score
    at least `scores[i]`, and its 95% bounds. `pairs` stranger pairs were compared, from `subjects` subjects.
    `groups` maps a group label (or a pair of labels) to its own FMR at each of `group_thresholds`.
    """

    calibration_id: str
    space: str
    measured_on: str
    pairs: int
    subjects: int
    scores: NDArray[np.float64]
    fmr: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    groups: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.scores)
        if n < 2 or any(len(a) != n for a in (self.fmr, self.lower, self.upper)):
            raise InvalidInput("A calibration needs at least two rows, and as many rates as scores.")
        if np.any(np.diff(self.scores) <= 0) or np.any(np.diff(self.fmr) > 0):
            raise InvalidInput("In a calibration the scores must rise and the false match rates must not.")

    @property
    def floor(self) -> float:
        """The lowest false match rate that the sample supports."""
        return float(self.fmr[-1])

    def rate(self, score: float) -> Fmr:
        """The false match rate of a score, interpolated in log(FMR) between measured rows."""
        if score > self.scores[-1]:
            return Fmr(self.floor, 0.0, float(self.upper[-1]), measurable=False)
        if score <= self.scores[0]:
            return Fmr(float(self.fmr[0]), float(self.lower[0]), 1.0)
        scores, rates = self._rows
        after = bisect_left(scores, score)
        share = (score - scores[after - 1]) / (scores[after] - scores[after - 1])
        value, lower, upper = (
            math.exp(one + share * (other - one))
            for one, other in zip(rates[after - 1], rates[after], strict=True)
        )
        return Fmr(value, lower, upper)

    @cached_property
    def _rows(self) -> tuple[list[float], list[list[float]]]:
        """Of every row the score and the logarithms of its rates: a lookup in lists is ten times as fast as one in
        arrays, and every candidate of every answer needs one."""
        rates = np.log(np.maximum(np.stack([self.fmr, self.lower, self.upper], axis=1), 1e-300))
        return self.scores.tolist(), rates.tolist()

    def threshold(self, rate: float) -> float:
        """The lowest score whose false match rate is at most `rate`.

        Raises:
            InvalidInput: the rate is not in (0, 1].
            Precondition: the sample does not support a rate that low.
        """
        if not 0 < rate <= 1:
            raise InvalidInput(f"A false match rate of {rate} is not in (0, 1].", field="max_fmr")
        if rate < self.floor:
            floor = rounded_up(self.floor, digits=3)
            raise Precondition(
                f"Calibration {self.calibration_id} was measured on {self.pairs} stranger pairs and supports no "
                f"false match rate under {floor}; ask for {floor} or more, or calibrate on "
                "more subjects.",
                reason="FMR_NOT_MEASURABLE",
                metadata={"floor": rounded_up(self.floor, digits=4)},
            )
        if rate >= self.fmr[0]:
            return float(self.scores[0])
        return float(np.interp(-np.log(rate), -np.log(self.fmr), self.scores))

"""Scores as they are published where a policy judges calls: in steps, so that they are no oracle.

Whoever sees every small change of a score can climb: change a probe, keep what scores higher, and end with a face
that matches, which no photograph ever showed (A. Adler, "Sample images can be independently restored from face
recognition templates", CCECE 2003). So a score is rounded down to a step of the measured table. What is published
errs on the side of the stranger: the false match rate of a step is never below that of the score. References are
ranked by their exact scores. A threshold stands on a step too, or asking for many thresholds would tell what the
rounding hides.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Context, Decimal
from functools import lru_cache

from likeness.domain.access import Grant
from likeness.domain.answers import Score, Stated
from likeness.domain.calibration import Calibration, Fmr
from likeness.engine.answering import UNCALIBRATED, rate

WEAKEST = 1e-3
"""The false match rate from which down anything is published of a score, where the calibration can measure it.

Above it is one stranger in every thousand and more, so that a probe drawn at random mostly tells nothing. Whole
decades above it were an oracle: the mean of 100 random vectors, weighted by the decade that each was answered with,
came as near to a face of 512 dimensions as one stranger in a million."""

FINE_STEPS = 5
"""Per decade of the false match rate, from `WEAKEST` down: of faces about 0.0025 of the cosine. To code a
photograph again as JPEG (90), to shift it by two pixels or to brighten it by five changes its score with another of
the person by 0.0002 to 0.0006 (medians of 149 people), of which four in five are not seen; with ten steps three."""

UNCALIBRATED_STEP = 0.05
"""Of a score without a calibration."""

COARSE_UNCALIBRATED_STEP = 0.25
"""The same for a subject that was answered too often."""

PART_DIGITS = 1
"""Significant digits of a part of a score that is not the score itself."""


@dataclass(frozen=True, eq=False, slots=True)
class Steps:
    """The scores that are published.

    Args:
        scores: ascending; the first is that of the calibration, and the last too unless the steps end before it.
        rates: the false match rate of each; never above that of the threshold that it stands for.
        below: width of the steps under the first score.
        above: width of the steps over the last, where no rate is measurable; infinite for none.
    """

    scores: tuple[float, ...]
    rates: tuple[Fmr, ...]
    below: float
    above: float

    @classmethod
    def of(cls, calibration: Calibration, wanted: Iterable[float], *, beyond: bool) -> Steps:
        """The steps at the wanted false match rates, descending; `beyond`: also the last score and over it."""
        found = dict(_edges(calibration, wanted))
        last = float(calibration.scores[-1])
        if beyond or len(found) == 1:
            found[last] = rate_of(calibration, last)
        scores = tuple(sorted(found))
        decade = calibration.threshold(min(10 * calibration.floor, 1.0))
        above = (last - decade) / FINE_STEPS if beyond and decade < last else math.inf
        below = scores[1] - scores[0] if len(scores) > 1 else UNCALIBRATED_STEP
        return cls(scores, tuple(found[score] for score in scores), below, above)

    def down(self, score: float) -> float:
        """The highest step that is not above the score."""
        first, last = self.scores[0], self.scores[-1]
        if score < first:
            return first - math.ceil((first - score) / self.below) * self.below
        if score <= last or math.isinf(self.above):
            return self.scores[bisect_right(self.scores, score) - 1]
        return last + math.floor((score - last) / self.above) * self.above

    def threshold(self, max_fmr: float) -> float:
        """The lowest step whose false match rate is at most `max_fmr`, which the calibration supports."""
        rates = [-fmr.value for fmr in self.rates]
        return self.scores[min(bisect_left(rates, -max_fmr), len(rates) - 1)]


def _edges(calibration: Calibration, wanted: Iterable[float]) -> Iterator[tuple[float, Fmr]]:
    for fmr in wanted:
        if fmr < calibration.floor:
            return
        score = calibration.threshold(fmr)
        while (found := rate_of(calibration, score)).value > fmr:  # by the last bits, there and back
            score = math.nextafter(score, math.inf)
        yield score, found


@lru_cache(maxsize=4096)
def rate_of(calibration: Calibration, score: float) -> Fmr:
    """As `Calibration.rate`, and at the last score not lower than above it, by the last bits."""
    found = calibration.rate(score)
    value, upper = max(found.value, calibration.floor), max(found.upper, float(calibration.upper[-1]))
    return replace(found, value=value, upper=upper)


@lru_cache(maxsize=16)
def steps_of(calibration: Calibration, *, coarse: bool = False) -> Steps:
    """The steps in which scores of a calibration are published."""
    if coarse:
        return Steps.of(calibration, (1.0, WEAKEST), beyond=False)
    decade = round(-math.log10(WEAKEST))
    fine = (10.0 ** -(decade + k / FINE_STEPS) for k in range((30 - decade) * FINE_STEPS + 1))
    return Steps.of(calibration, (1.0, *fine), beyond=True)


def weakest(calibration: Calibration) -> float:
    """The false match rate of the weakest candidate that is answered where a policy judges."""
    return max(WEAKEST, calibration.floor)


def published(calibration: Calibration | None, score: Score, grant: Grant, *, coarse: bool = False) -> Stated:
    """A score and its false match rate as they are published: exact where nobody judged the call.

    The rate is never below that of the score itself. The likelihood stays, unless it is to be coarse, or tells
    nothing: then neither it nor a part of the score is published.
    """
    if not grant.policy:
        return Stated(score, rate(calibration, score.value))
    if calibration is None:
        step = COARSE_UNCALIBRATED_STEP if coarse else UNCALIBRATED_STEP
        value = math.floor(score.value / step) * step
    else:
        value = steps_of(calibration, coarse=coarse).down(score.value)
    if coarse or not tells(calibration, score.value):
        rounded = Score(value)
    else:
        rounded = replace(score, value=value, parts=_parts(score, value))
    return Stated(rounded, UNCALIBRATED if calibration is None else rate_of(calibration, value))


def tells(calibration: Calibration | None, score: float) -> bool:
    """Whether what is published of a score tells anything of it: it is not that of any stranger."""
    return calibration is None or score >= _first(calibration)


@lru_cache(maxsize=16)
def _first(calibration: Calibration) -> float:
    return steps_of(calibration, coarse=True).threshold(weakest(calibration))


def threshold(calibration: Calibration, max_fmr: float, grant: Grant, *, coarse: bool = False) -> float:
    """The least score of a candidate whose false match rate is at most `max_fmr`, as it is published.

    `coarse`: of one that is published coarsely, none of which is left out that might have passed.

    Raises:
        InvalidInput, Precondition: as `Calibration.threshold`.
    """
    exact = calibration.threshold(max_fmr)
    if not grant.policy:
        return exact
    least = steps_of(calibration).threshold(max_fmr)
    return steps_of(calibration, coarse=True).down(least) if coarse else least


def _parts(score: Score, value: float) -> Mapping[str, float]:
    return {name: value if part == score.value else _digits(part) for name, part in score.parts.items()}


def _digits(part: float) -> float:
    """Towards zero, by the shortest decimal that is read as the part."""
    if not math.isfinite(part) or part == 0:
        return part
    return float(Decimal(repr(part)).normalize(Context(PART_DIGITS, ROUND_DOWN)))

"""A small, real, deterministic modality: quick to search, and without a model.

A sample is an ASCII text such as `0.9,0.1,0` (one presentation) or `1,0,0;0,1,0` (two): each presentation is
its vector. It has quality (`q=` after a `|`), rejections and several findings, so that every path of the engine
can be walked without a network.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from likeness.domain.answers import Explanation, Score, Stated
from likeness.domain.calibration import Calibration
from likeness.domain.deadline import NO_DEADLINE, Deadline
from likeness.domain.modality import Clutter, Companion, Presented, TemplateSpace
from likeness.domain.samples import (
    Box,
    Extraction,
    Finding,
    Issue,
    Mode,
    Pick,
    Quality,
    Sample,
    Severity,
    Template,
)

DIMENSION = 8
"""Numbers of a vector; those that a text leaves out are 0."""

SPACE = "test-vectors/1"

LEAST_QUALITY, GOOD_QUALITY = 50.0, 70.0
"""Below the first a presentation is refused at enrolment, below the second it is noted."""


def calibration() -> Calibration:
    """A made-up table with ten thousand pairs, so that rates under 1e-3 are not measurable."""
    fmr = np.array([1.0, 0.5, 0.1, 0.01, 0.001])
    return Calibration(
        calibration_id="test-calibration/1",
        space=SPACE,
        measured_on="made up",
        pairs=10_000,
        subjects=142,
        scores=np.array([-1.0, 0.0, 0.3, 0.6, 0.9]),
        fmr=fmr,
        lower=fmr * 0.5,
        upper=np.minimum(fmr * 2, 1.0),
    )


class VectorModality:
    """Implements `likeness.domain.modality.Modality` over vectors written as text.

    Args:
        calibrated: whether scores are rated, by a table that is made up.
        name: of the modality in whose place it stands.
    """

    explains_templates = False
    groups_subjects = False

    def __init__(self, *, calibrated: bool = True, name: str = "face") -> None:
        self._calibration = calibration() if calibrated else None
        self._name = name
        self.lights_out = name != "face"

    @property
    def name(self) -> str:
        """See `Modality.name`."""
        return self._name

    @property
    def space(self) -> TemplateSpace:
        """See `Modality.space`."""
        return TemplateSpace(SPACE, DIMENSION)

    @property
    def model(self) -> str:
        """See `Modality.model`."""
        return "vectors@1"

    @property
    def calibration(self) -> Calibration | None:
        """See `Modality.calibration`."""
        return self._calibration

    def warm(self) -> None:
        """Nothing to warm."""

    def extract(
        self, samples: Sequence[Sample], mode: Mode, deadline: Deadline = NO_DEADLINE
    ) -> list[Extraction]:
        """See `Modality.extract`."""
        return [self._extract(sample, mode) for sample in samples]

    def _extract(self, sample: Sample, mode: Mode) -> Extraction:
        try:
            text, _, options = sample.data.decode("ascii").partition("|")
            vectors = [[float(n) for n in part.split(",")] for part in text.split(";") if part.strip()]
        except ValueError:
            return Extraction(rejection=Issue("NOT_A_VECTOR", f"{sample.name} is not a list of numbers."))
        if any(len(vector) > DIMENSION for vector in vectors):
            return Extraction(rejection=Issue("NOT_A_VECTOR", f"{sample.name} has over {DIMENSION} numbers."))
        if not vectors:
            return Extraction(rejection=Issue("NOTHING_FOUND", f"{sample.name} holds no presentation."))
        quality = float(options.partition("q=")[2] or 100.0)
        findings = [self._finding(i, v, quality, sample, mode) for i, v in enumerate(vectors)]
        if sample.selection.pick is Pick.INDEX:
            findings = [f for f in findings if f.index == sample.selection.index]
        elif sample.selection.pick is not Pick.ONLY:
            findings = findings[:1]
        if not findings:
            return Extraction(rejection=Issue("NOT_SELECTED", f"{sample.name} has no such presentation."))
        return Extraction(findings=tuple(findings), width=100, height=100, timings={"decode": 1e-6})

    def _finding(
        self, index: int, values: list[float], quality: float, sample: Sample, mode: Mode
    ) -> Finding:
        vector = np.zeros((1, DIMENSION), np.float32)
        vector[0, : len(values)] = values
        vector /= max(float(np.linalg.norm(vector)), 1e-12)
        issues: tuple[Issue, ...] = ()
        if quality < LEAST_QUALITY:
            issues = (
                Issue("QUALITY_TOO_LOW", f"{sample.name} has quality {quality:g}, under {LEAST_QUALITY:g}."),
            )
        elif quality < GOOD_QUALITY:
            issues = (Issue("QUALITY_LOW", f"{sample.name} has quality {quality:g}.", Severity.WARN),)
        template = None if mode is Mode.ANALYSE else Template(SPACE, self.model, vector)
        return Finding(index, Box(0, 0, 10, 10), 1.0, Quality(quality), issues=issues, template=template)

    def shortlist(self, k: int) -> int:
        """See `Modality.shortlist`."""
        return 2 * k + 8

    def levels(self, probe: Template) -> NDArray[np.float32] | None:
        """None: the scores of all vectors mean the same."""
        return None

    def compare(
        self,
        probe: Template,
        candidates: Sequence[Template],
        *,
        clutter: Clutter | None = None,
        exact: bool = False,
    ) -> list[Score]:
        """The cosine of each pair."""
        return [
            Score(cosine, {"cosine": cosine})
            for cosine in (float(c.vectors[0] @ probe.vectors[0]) for c in candidates)
        ]

    def companion(self) -> Companion | None:
        """None: the vectors suffice."""
        return None

    def explain(self, probe: Presented, candidate: Presented, stated: Stated | None = None) -> Explanation:
        """A picture by its first bytes alone, which are followed by both samples."""
        del stated
        samples = [side.sample.data for side in (probe, candidate) if side.sample is not None]
        return Explanation(b"".join((b"\x89PNG\r\n\x1a\n", *samples)))

"""A small, real, deterministic modality for tests of everything that serves any modality.

A sample is an ASCII text such as `0.9,0.1,0` (one presentation) or `1,0,0;0,1,0` (two): each presentation is
its vector. It has quality (`q=` after a `|`), rejections and several findings, so that every path of the engine
can be walked without a network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.domain.answers import Explanation, Score, SearchOptions
from likeness.domain.calibration import Calibration
from likeness.domain.changes import RequestKey
from likeness.domain.deadline import NO_DEADLINE, Deadline
from likeness.domain.modality import Clutter, Companion, Presented, TemplateSpace
from likeness.domain.references import Caller, Facets, Purpose, Reference
from likeness.domain.samples import (
    Box,
    Extraction,
    Finding,
    Issue,
    Mode,
    Pick,
    Quality,
    Sample,
    Selection,
    Severity,
    Template,
)
from likeness.engine.engine import Engine, Enrolled
from likeness.engine.gallery import Gallery
from likeness.store.store import Store

DIMENSION = 8
SPACE = "test-vectors/1"


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
    """Implements `likeness.domain.modality.Modality` over vectors written as text."""

    def __init__(self, *, calibrated: bool = True, name: str = "face") -> None:
        self._calibration = calibration() if calibrated else None
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    @property
    def space(self) -> TemplateSpace:
        return TemplateSpace(SPACE, DIMENSION)

    @property
    def model(self) -> str:
        return "vectors@1"

    @property
    def calibration(self) -> Calibration | None:
        return self._calibration

    def warm(self) -> None:
        """Nothing to warm."""

    def extract(
        self, samples: Sequence[Sample], mode: Mode, deadline: Deadline = NO_DEADLINE
    ) -> list[Extraction]:
        return [self._extract(sample, mode) for sample in samples]

    def _extract(self, sample: Sample, mode: Mode) -> Extraction:
        try:
            text, _, options = sample.data.decode("ascii").partition("|")
            vectors = [[float(n) for n in part.split(",")] for part in text.split(";") if part.strip()]
        except ValueError:
            return Extraction(rejection=Issue("NOT_A_VECTOR", f"{sample.name} is not a list of numbers."))
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
        if quality < 50:
            issues = (Issue("QUALITY_TOO_LOW", f"{sample.name} has quality {quality:g}, under 50."),)
        elif quality < 70:
            issues = (Issue("QUALITY_LOW", f"{sample.name} has quality {quality:g}.", Severity.WARN),)
        template = None if mode is Mode.ANALYSE else Template(SPACE, self.model, vector)
        return Finding(index, Box(0, 0, 10, 10), 1.0, Quality(quality), issues=issues, template=template)

    def shortlist(self, k: int) -> int:
        return 2 * k + 8

    def levels(self, probe: Template) -> NDArray[np.float32] | None:
        return None

    def compare(
        self,
        probe: Template,
        candidates: Sequence[Template],
        *,
        clutter: Clutter | None = None,
        exact: bool = False,
    ) -> list[Score]:
        return [
            Score(cosine, {"cosine": cosine})
            for cosine in (float(c.vectors[0] @ probe.vectors[0]) for c in candidates)
        ]

    explains_templates = False
    groups_subjects = False

    def companion(self) -> Companion | None:
        return None

    def explain(self, probe: Presented, candidate: Presented) -> Explanation:
        assert probe.sample is not None
        assert candidate.sample is not None
        return Explanation(b"\x89PNG\r\n\x1a\n" + probe.sample.data + candidate.sample.data)


ALICE = Caller("NCB-AA", Purpose.CRIMINAL_INVESTIGATION, case_reference="A-1", operator="op-1")
BOB = Caller("NCB-BB", Purpose.MISSING_PERSON, case_reference="B-7")


class Bench:
    """An engine over the vector modality, with short ways to enrol and search."""

    def __init__(self, modality: VectorModality, store: Store, *, keep_sources: bool = False) -> None:
        self.store = store
        self.gallery = Gallery(
            modality.name, modality.space, store, companion=modality.companion, levels=modality.levels
        )
        self.gallery.start()
        self.engine = Engine(modality, store, self.gallery, keep_sources=keep_sources)
        self._requests = 0

    def key(self, caller: Caller, content: bytes = b"", request_id: str = "") -> RequestKey:
        self._requests += 1
        return RequestKey(
            caller.entity, request_id or f"request-{self._requests}", hashlib.sha256(content).digest()
        )

    def enrol(
        self,
        text: str,
        caller: Caller = ALICE,
        *,
        override: str = "",
        request_id: str = "",
        selection: Selection = Selection(),
        subject: str = "someone",
        **facets: Any,
    ) -> Enrolled:
        described = Reference("", "face", Facets(owner=caller.entity, **facets), subject_id=subject)
        sample = Sample(text.encode(), name="a sample", selection=selection)
        key = self.key(caller, text.encode(), request_id)
        return self.engine.enrol(caller, key, described, sample, override=override)

    def search(self, text: str, caller: Caller = ALICE, **options: Any) -> list[str]:
        """The identifiers of the candidates for the first presentation, best first."""
        answer = self.engine.search(caller, Sample(text.encode()), SearchOptions(**options))
        return [c.reference.reference_id for c in answer.probes[0].candidates]

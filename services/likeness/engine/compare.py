"""Comparing two samples or references, 1:1."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from likeness.domain.answers import Comparison, Header
from likeness.domain.deadline import Deadline
from likeness.domain.errors import LikenessError, NotFound, Precondition
from likeness.domain.modality import Modality
from likeness.domain.references import Caller
from likeness.domain.samples import Finding, Mode, Pick, Sample, Selection, Template
from likeness.engine.audit import audit_compare
from likeness.engine.enrol import the_one
from likeness.engine.policy import Scope
from likeness.engine.search import ObserveStage, Timings, rate
from likeness.store.store import Store

SAME_PRESENTATION = 0.01
"""How much less than against itself a template made anew of the same presentation may score."""


@dataclass(frozen=True, slots=True)
class _Side:
    """One side made ready: its template, what was found, its name in the audit chain, and its pixels if known."""

    template: Template
    finding: Finding | None
    audit_name: str
    sample: Sample | None


class Comparer:
    """Compares 1:1 within one modality."""

    def __init__(self, modality: Modality, store: Store, *, observe: ObserveStage) -> None:
        self._modality = modality
        self._store = store
        self._observe = observe

    def compare(
        self, caller: Caller, probe: Sample | str, candidate: Sample | str, explain: bool, deadline: Deadline
    ) -> Comparison:
        """Compare two sides, each a sample or the id of a reference that the caller may use.

        Raises:
            SampleRejected: a sample holds no presentation, or several and none is selected.
            NotFound: a reference is not there, not active, or not the caller's to use.
            Precondition: the templates live in different spaces, or an explanation needs a source that is not
                kept.
        """
        timings = Timings(self._observe)
        one = self._side(caller, probe, "probe", deadline, timings)
        other = self._side(caller, candidate, "candidate", deadline, timings)
        if one.template.space != other.template.space:
            raise Precondition(
                f"The two templates live in different spaces ({one.template.space} and {other.template.space}) and "
                "cannot be compared; enrol the older reference again with the model in use.",
                reason="TEMPLATE_SPACE_MISMATCH",
            )
        with timings.stage("compare"):
            score = self._modality.compare(one.template, [other.template])[0]
        fmr = rate(self._modality.calibration, score.value)
        picture = self._explain(one, other) if explain else b""
        deadline.check("the comparison was being recorded")
        calibration = self._modality.calibration
        header = Header(
            log_position=self._store.head(),
            generation="",
            coverage=1.0,
            model=self._modality.model,
            calibration=calibration.calibration_id if calibration is not None else "",
            searched=1,
        )
        with timings.stage("audit"):
            sides = [one.audit_name, other.audit_name]
            receipt = self._store.audit(audit_compare(self._modality.name, caller, sides, header, score, fmr))
        header = replace(
            header,
            audit_position=receipt.position,
            audit_digest=receipt.digest.hex(),
            timings=timings.seconds,
        )
        return Comparison(header, score, fmr, one.finding, other.finding, picture)

    def _side(
        self, caller: Caller, side: Sample | str, field: str, deadline: Deadline, timings: Timings
    ) -> _Side:
        deadline.check(f"the {field} waited to be compared")
        if isinstance(side, str):
            return self._reference(caller, side, field)
        extraction = self._modality.extract([side], Mode.PROBE)[0]
        for stage, seconds in extraction.timings.items():
            timings.add(stage, seconds)
        finding = the_one(extraction, side, f"{field}.sample.data")
        if finding.template is None:
            raise LikenessError(f"The {self._modality.name} modality made no template of {side.name}.")
        return _Side(finding.template, finding, self._store.probe_digest(side.data), side)

    def _reference(self, caller: Caller, reference_id: str, field: str) -> _Side:
        found = self._store.get_many([reference_id]).get(reference_id)
        usable = (
            found is not None
            and found.modality == self._modality.name
            and Scope(caller).admits(found.facets, now=int(time.time()))
        )
        template = self._store.templates([reference_id]).get(reference_id) if usable else None
        if template is None:
            raise NotFound(
                f"There is no active {self._modality.name} reference {reference_id[:64]!r} for the {field}; check "
                "the identifier.",
                metadata={"reference_id": reference_id[:64]},
            )
        source = self._store.source(reference_id)
        sample = Sample(source, name=reference_id) if source else None
        return _Side(template, None, reference_id, sample)

    def _explain(self, one: _Side, other: _Side) -> bytes:
        if one.sample is None or other.sample is None:
            raise Precondition(
                "A picture needs both images, and this service does not keep the source of that reference; send "
                "the image itself, or ask without explain.",
                reason="SOURCE_NOT_KEPT",
            )
        return self._modality.explain(self._enrolled(one), self._enrolled(other))

    def _enrolled(self, side: _Side) -> Sample:
        """The sample of a side, with the very presentation selected that its template was made of.

        Raises:
            Precondition: a kept source no longer yields that template, so a picture would show something else.
        """
        if side.sample is None or side.finding is not None:
            return side.sample or Sample(b"")
        findings = self._modality.extract([side.sample], Mode.PROBE)[0].findings
        known = [(f.index, f.template) for f in findings if f.template is not None]
        usable = [(index, template) for index, template in known if template.space == side.template.space]
        scores = self._modality.compare(side.template, [template for _, template in usable])
        itself = self._modality.compare(side.template, [side.template])[0].value
        best = max(zip(scores, usable, strict=True), key=lambda entry: entry[0].value, default=None)
        if best is None or best[0].value < itself - SAME_PRESENTATION:
            raise Precondition(
                "The kept source of that reference does not yield its template with the models in use, so a "
                "picture would not show what was compared; ask without explain.",
                reason="SOURCE_DOES_NOT_MATCH",
            )
        return replace(side.sample, selection=Selection(Pick.INDEX, index=best[1][0]))

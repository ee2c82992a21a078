"""Comparing two samples or references, 1:1."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from likeness.domain.access import Level
from likeness.domain.answers import Comparison, Explanation, Header, Stated
from likeness.domain.deadline import Deadline, holding
from likeness.domain.errors import Denied, NotFound, Precondition
from likeness.domain.modality import Modality, Presented
from likeness.domain.references import Caller, Reference
from likeness.domain.samples import Finding, Mode, Pick, Sample, Selection, Template
from likeness.domain.scope import STAND_IN, Scope
from likeness.domain.storage import Storage
from likeness.engine.answering import ObserveStage, Timings, calibration_id, recorded
from likeness.engine.audit import audit_compare
from likeness.engine.finding_rules import single_finding, template_of
from likeness.engine.memory import Memory
from likeness.engine.policy import as_seen_by, score_as_seen
from likeness.engine.quantise import published
from likeness.engine.quotas import Quotas
from likeness.engine.shard import Shard

SAME_PRESENTATION = 0.01
"""How much less than against itself a template made again of the same presentation may score."""


@dataclass(frozen=True, slots=True)
class _Side:
    """One side made ready: its template, its name in the audit chain, and for a sample what was found in it.

    `audit_name` of a reference is its id; of a sample its keyed digest. `reference` is as stored, and `level`
    how much of it may be shown; of a sample there is none.
    """

    template: Template
    finding: Finding | None
    audit_name: str
    sample: Sample | None
    reference: Reference | None = None
    level: Level = Level.FULL


class Comparer:
    """Compares 1:1 within one modality."""

    def __init__(
        self,
        modality: Modality,
        store: Storage,
        shard: Shard,
        memory: Memory,
        quotas: Quotas,
        *,
        observe: ObserveStage,
    ) -> None:
        self._modality = modality
        self._store = store
        self._shard = shard
        self._memory = memory
        self._quotas = quotas
        self._observe = observe

    def compare(
        self, caller: Caller, probe: Sample | str, candidate: Sample | str, explain: bool, deadline: Deadline
    ) -> Comparison:
        """Compare two sides, each a sample or the id of a reference that the caller may use.

        Raises:
            SampleRejected: a sample holds no presentation, or several and none is selected.
            NotFound: a reference is not there, not active, or not the caller's to use.
            Denied: an explanation is asked for of a reference that may not be shown in full.
            Precondition: the templates live in different spaces, or an explanation needs a source that is not
                stored.
            QuotaReached: the caller has made as many as it may, in all, of that subject or with nearly the same
                sample.
        """
        self._quotas.admit(caller)
        with Timings(self._observe) as timings, holding(deadline):
            one = self._side(caller, probe, "probe", deadline, timings)
            other = self._side(caller, candidate, "candidate", deadline, timings)
            shown = min(one.level, other.level)
            if explain:
                _check_pictured(shown)
            _check_spaces(one.template, other.template, shown)
            compared = [side.reference for side in (one, other) if side.reference is not None]
            self._quotas.check_subjects(caller, compared)
            with timings.stage("compare"):
                score = score_as_seen(shown, self._modality.compare(one.template, [other.template])[0])
            stated = published(self._modality.calibration, score, caller.grant)
            explanation = self._explain(one, other, stated, deadline) if explain else None
            deadline.check("the comparison was being recorded")
            header = Header(
                log_position=self._store.head(),
                generation="",
                coverage=1.0,
                model=self._modality.model,
                calibration=calibration_id(self._modality),
                searched=1,
                policy=caller.grant.policy,
            )
            with timings.stage("audit"):
                sides = [one.audit_name, other.audit_name]
                entry = audit_compare(self._modality.name, caller, sides, compared, header, stated)
                samples = [side.template for side in (one, other) if side.reference is None]
                receipt = self._quotas.put_on_record(self._store, entry, caller, samples, compared)
            return Comparison(
                recorded(header, receipt, timings),
                stated.score,
                stated.fmr,
                one.finding,
                other.finding,
                explanation,
            )

    def _side(
        self, caller: Caller, side: Sample | str, field: str, deadline: Deadline, timings: Timings
    ) -> _Side:
        deadline.check(f"the {field} waited to be compared")
        if isinstance(side, str):
            return self._reference(caller, side, field)
        extraction = self._modality.extract([side], Mode.PROBE, deadline)[0]
        timings.add_all(extraction)
        finding = single_finding(extraction, side, f"{field}.sample.data")
        return _Side(
            template_of(finding, self._modality, side), finding, self._store.probe_digest(side.data), side
        )

    def _reference(self, caller: Caller, reference_id: str, field: str) -> _Side:
        facets = self._shard.facets(reference_id)
        usable = Scope(caller).admits(STAND_IN if facets is None else facets, now=int(time.time()))
        side = self._usable(caller, reference_id) if usable and facets is not None else None
        if side is None:
            raise NotFound(
                f"There is no active {self._modality.name} reference {reference_id[:64]!r} for the {field}; check "
                "the identifier.",
                metadata={"reference_id": reference_id[:64]},
            )
        return side

    def _usable(self, caller: Caller, reference_id: str) -> _Side | None:
        """The side of a reference, if it is the caller's to use by what is stored and sealed, too."""
        found = self._memory.references([reference_id]).get(reference_id)
        if found is None or not Scope(caller).admits(found.facets, now=int(time.time())):
            return None
        template = self._memory.templates([reference_id]).get(reference_id)
        if template is None:
            return None
        return _Side(template, None, reference_id, None, found, as_seen_by(caller, found).level)

    def _explain(self, one: _Side, other: _Side, stated: Stated, deadline: Deadline) -> Explanation:
        sides = self._presented(one, deadline), self._presented(other, deadline)
        return self._modality.explain(*sides, stated)

    def _presented(self, side: _Side, deadline: Deadline) -> Presented:
        sample = None if self._modality.explains_templates else self._pictured(side, deadline)
        name = side.audit_name if side.sample is None else side.sample.name
        return Presented(side.template, name, sample)

    def _pictured(self, side: _Side, deadline: Deadline) -> Sample:
        """The sample of a side; of a reference, its source with the presentation selected that was enrolled.

        Raises:
            Precondition: the source is not stored, or no longer yields the template, so that a picture would show
                something else.
        """
        if side.sample is not None:
            return side.sample
        source = self._store.source(side.audit_name)
        if source is None:
            raise Precondition(
                "A picture needs both images, and this service does not keep the source of that reference; send "
                "the image itself, or ask without explain.",
                reason="SOURCE_NOT_KEPT",
            )
        sample = Sample(source, name=side.audit_name)
        findings = self._modality.extract([sample], Mode.PROBE, deadline)[0].findings
        known = [(f.index, f.template) for f in findings if f.template is not None]
        usable = [(index, template) for index, template in known if template.space == side.template.space]
        scores = self._modality.compare(side.template, [template for _, template in usable])
        itself = self._modality.compare(side.template, [side.template])[0].value
        best = max(zip(scores, usable, strict=True), key=lambda entry: entry[0].value, default=None)
        if best is None or best[0].value < itself - SAME_PRESENTATION:
            raise Precondition(
                "The stored source of that reference does not yield its template with the models in use, so a "
                "picture would not show what was compared; ask without explain.",
                reason="SOURCE_DOES_NOT_MATCH",
            )
        return replace(sample, selection=Selection(Pick.INDEX, index=best[1][0]))


def _check_pictured(shown: Level) -> None:
    """Raise Denied unless both sides may be shown in full."""
    if shown is not Level.FULL:
        raise Denied(
            "A picture shows more of that reference than the caller may see; ask without explain, or ask its "
            "owner.",
            reason="NO_PICTURE_AT_THIS_LEVEL",
        )


def _check_spaces(one: Template, other: Template, shown: Level) -> None:
    """Raise Precondition unless two templates can be compared; it names spaces of what is shown in full alone."""
    if one.space != other.space:
        names = f" ({one.space} and {other.space})" if shown is Level.FULL else ""
        raise Precondition(
            f"The two templates live in different spaces{names} and cannot be compared; the older reference must "
            "be enrolled again with the model in use.",
            reason="TEMPLATE_SPACE_MISMATCH",
        )

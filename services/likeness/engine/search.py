"""One search: allowed set, shortlist, exact comparison, calibration, audit, answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from likeness.domain.answers import Candidate, Header, ProbeAnswer, Score, SearchAnswer, SearchOptions
from likeness.domain.audit import AuditEntry
from likeness.domain.deadline import Deadline
from likeness.domain.errors import Precondition
from likeness.domain.modality import Clutter, Modality
from likeness.domain.references import Caller
from likeness.domain.samples import Extraction, Finding, Mode, Sample, Template
from likeness.domain.scope import Scope
from likeness.domain.storage import Storage
from likeness.engine.answering import ObserveStage, Timings, calibration_id, rate, recorded
from likeness.engine.audit import audit_search
from likeness.engine.finding_rules import rejected
from likeness.engine.gallery import Gallery, View
from likeness.engine.policy import as_seen_by

EXHAUSTIVE_BATCH = 2048
"""Templates held in memory at once by an exhaustive comparison; the deadline is checked between batches."""

Progress = Callable[[int, int], None]
"""Told now and then how many references were compared, and how many there are to compare."""


def untold(compared: int, total: int) -> None:
    """Progress that nobody asked for."""


class Searcher:
    """Searches the gallery of one modality."""

    def __init__(
        self, modality: Modality, gallery: Gallery, store: Storage, *, observe: ObserveStage
    ) -> None:
        self._modality = modality
        self._gallery = gallery
        self._store = store
        self._observe = observe

    def search(
        self,
        caller: Caller,
        sample: Sample,
        options: SearchOptions,
        deadline: Deadline,
        progress: Progress = untold,
    ) -> SearchAnswer:
        """Search with every presentation that the selection leaves; one audit entry records the answer.

        `progress` is told of what an exhaustive search compares; others are over before it would matter.

        Raises:
            SampleRejected: nothing usable was found in the probe.
            Precondition: the threshold lies below what the calibration supports.
            DeadlineExceeded: time ran out; there is then no audit entry and no answer.
        """
        threshold = self._threshold(options)
        self._gallery.wait_for(options.min_log_position, deadline)
        timings = Timings(self._observe)
        extraction = self._extract(sample, deadline, timings)
        scope = Scope(caller, options.galleries, options.owners, options.categories)
        with timings.stage("search"):
            view = self._gallery.view(scope)
        total = view.searched * len(extraction.findings)

        def told(before: int) -> Callable[[int], None]:
            return lambda compared: progress(before + compared, total)

        answers = tuple(
            ProbeAnswer(
                finding,
                self._candidates(
                    finding, view, scope, options, threshold, deadline, timings, told(number * view.searched)
                ),
            )
            for number, finding in enumerate(extraction.findings)
        )
        deadline.check("the answer was being recorded")
        header = self._header(view)
        with timings.stage("audit"):
            receipt = self._store.audit(self._entry(caller, options, sample, header, answers))
        return SearchAnswer(recorded(header, receipt, timings), answers)

    def _entry(
        self,
        caller: Caller,
        options: SearchOptions,
        sample: Sample,
        header: Header,
        answers: Sequence[ProbeAnswer],
    ) -> AuditEntry:
        probe = self._store.probe_digest(sample.data)
        return audit_search(self._modality.name, caller, options, probe, header, answers)

    def _threshold(self, options: SearchOptions) -> float | None:
        if options.max_fmr is None:
            return None
        if self._modality.calibration is None:
            raise Precondition(
                "The model in use has no calibration, so no threshold on the false match rate can be set; "
                "run `likeness calibrate`, or search without max_fmr.",
                reason="NOT_CALIBRATED",
            )
        return self._modality.calibration.threshold(options.max_fmr)

    def _extract(self, sample: Sample, deadline: Deadline, timings: Timings) -> Extraction:
        deadline.check(f"{sample.name} waited to be searched")
        extraction = self._modality.extract([sample], Mode.PROBE, deadline)[0]
        timings.add_all(extraction)
        if extraction.rejection is not None:
            raise rejected(extraction.rejection, "probe.data")
        return extraction

    def _candidates(
        self,
        finding: Finding,
        view: View,
        scope: Scope,
        options: SearchOptions,
        threshold: float | None,
        deadline: Deadline,
        timings: Timings,
        told: Callable[[int], None],
    ) -> tuple[Candidate, ...]:
        probe = finding.template
        if probe is None or view.searched == 0:
            return ()
        deadline.check("candidates were being searched")
        if options.exhaustive:
            scored = self._exhaustive(probe, view, options.k, deadline, timings, told)
        else:
            scored = self._shortlisted(probe, view, options.k, timings)
        if threshold is not None:
            scored = [entry for entry in scored if entry[1].value >= threshold]
        grouped = options.group_by_subject
        if grouped is None:
            grouped = self._modality.groups_subjects
        return self._describe(scored, scope, view, options.k, grouped=grouped)

    def _shortlisted(self, probe: Template, view: View, k: int, timings: Timings) -> list[tuple[str, Score]]:
        with timings.stage("search"):
            found = self._gallery.shortlist(probe, self._modality.shortlist(k), view)
        with timings.stage("compare"):
            return _ranked(self._compare(probe, self._gallery.memory.templates(found.ids), found.clutter))

    def _exhaustive(
        self,
        probe: Template,
        view: View,
        k: int,
        deadline: Deadline,
        timings: Timings,
        told: Callable[[int], None],
    ) -> list[tuple[str, Score]]:
        best: list[tuple[str, Score]] = []
        with timings.stage("search"):
            clutter = self._gallery.clutter(probe, view)
            ids = self._gallery.allowed_ids(view)
        for start in range(0, len(ids), EXHAUSTIVE_BATCH):
            deadline.check(f"{start} of {len(ids)} references were compared")
            with timings.stage("compare"):
                some = self._store.templates(ids[start : start + EXHAUSTIVE_BATCH])
                best += self._compare(probe, some, clutter, exact=True)
                best = _ranked(best)[: self._modality.shortlist(k)]
            told(min(start + EXHAUSTIVE_BATCH, len(ids)))
        return best

    def _compare(
        self,
        probe: Template,
        templates: Mapping[str, Template],
        clutter: Clutter | None,
        *,
        exact: bool = False,
    ) -> list[tuple[str, Score]]:
        usable = [(i, t) for i, t in templates.items() if t.space == probe.space]
        scores = self._modality.compare(
            probe, [template for _, template in usable], clutter=clutter, exact=exact
        )
        return [(i, score) for (i, _), score in zip(usable, scores, strict=True)]

    def _describe(
        self, scored: Sequence[tuple[str, Score]], scope: Scope, view: View, k: int, *, grouped: bool
    ) -> tuple[Candidate, ...]:
        """Read the references from the store, the truth; what changed since the view was taken is left out.

        Where candidates are grouped, further references of a subject join the best one of it; an owner's word
        for a subject is that owner's alone, so subjects of two owners are two.
        """
        found: list[Candidate] = []
        place: dict[tuple[str, str], int] = {}
        for start in range(0, len(scored), k):
            part = scored[start : start + k]
            references = self._gallery.memory.references(reference_id for reference_id, _ in part)
            for reference_id, score in part:
                reference = references.get(reference_id)
                if reference is None or not scope.admits(reference.facets, now=view.now):
                    continue
                subject = (reference.facets.owner, reference.subject_id)
                if grouped and reference.subject_id and subject in place:
                    best = found[place[subject]]
                    found[place[subject]] = replace(best, further=(*best.further, reference_id))
                elif len(found) < k:
                    place[subject] = len(found)
                    fmr = rate(self._modality.calibration, score.value)
                    seen = as_seen_by(scope.caller, reference)
                    found.append(Candidate(len(found) + 1, seen, score, fmr, fmr.value * view.searched))
            if len(found) == k:
                break
        return tuple(found)

    def _header(self, view: View) -> Header:
        return Header(
            log_position=view.position,
            generation=view.generation,
            coverage=view.coverage,
            model=self._modality.model,
            calibration=calibration_id(self._modality),
            searched=view.searched,
            unknown_galleries=view.unknown_galleries,
        )


def _ranked(scored: list[tuple[str, Score]]) -> list[tuple[str, Score]]:
    """Best first; equal scores in order of enrolment, so that an answer can be repeated."""
    return sorted(scored, key=lambda entry: (-entry[1].value, entry[0]))

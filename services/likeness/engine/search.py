"""One search: allowed set, shortlist, exact comparison, calibration, audit, answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from likeness.domain.answers import Candidate, Header, ProbeAnswer, Score, SearchAnswer, SearchOptions
from likeness.domain.deadline import Deadline
from likeness.domain.errors import Precondition
from likeness.domain.modality import Clutter, Modality
from likeness.domain.references import Caller, Reference
from likeness.domain.samples import Extraction, Mode, Sample, Template
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
"""Called now and then with how many references were compared, and how many there are to compare."""


def no_progress(compared: int, total: int) -> None:
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
        progress: Progress = no_progress,
        extraction: Extraction | None = None,
    ) -> SearchAnswer:
        """Search with every presentation that the selection leaves; one audit entry records the answer.

        `progress` hears of what an exhaustive search compares; others are over before it would matter. `extraction`
        is that of the sample, where it was extracted before.

        Raises:
            SampleRejected: nothing usable was found in the probe.
            Precondition: the threshold lies below what the calibration supports.
            DeadlineExceeded: time ran out; there is then no audit entry and no answer.
        """
        threshold = self._threshold(options)
        self._gallery.wait_for(options.min_log_position, deadline)
        with Timings(self._observe) as timings:
            findings = self._extracted(sample, extraction, deadline, timings).findings
            scope = Scope(caller, options.galleries, options.owners, options.categories)
            with timings.stage("search"):
                view = self._gallery.view(scope)
            search = _Search(
                modality=self._modality,
                gallery=self._gallery,
                store=self._store,
                scope=scope,
                view=view,
                options=options,
                threshold=threshold,
                deadline=deadline,
                timings=timings,
                progress=_Tally(progress, view.searched * len(findings)),
            )
            answers = [ProbeAnswer(finding, search.candidates(finding.template)) for finding in findings]
            deadline.check("the answer was being recorded")
            return self._recorded(search, sample, answers)

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

    def _extracted(
        self, sample: Sample, extraction: Extraction | None, deadline: Deadline, timings: Timings
    ) -> Extraction:
        deadline.check(f"{sample.name} waited to be searched")
        if extraction is None:
            extraction = self._modality.extract([sample], Mode.PROBE, deadline)[0]
        timings.add_all(extraction)
        if extraction.rejection is not None:
            raise rejected(extraction.rejection, "probe.data")
        return extraction

    def _recorded(self, search: _Search, sample: Sample, answers: Sequence[ProbeAnswer]) -> SearchAnswer:
        """The answer, once it is in the audit chain."""
        header, name = self._header(search.view), self._modality.name
        with search.timings.stage("audit"):
            probe = self._store.probe_digest(sample.data)
            entry = audit_search(name, search.scope.caller, search.options, probe, header, answers)
            receipt = self._store.audit(entry)
        return SearchAnswer(recorded(header, receipt, search.timings), tuple(answers))

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


class _Tally:
    """Counts what was compared, over every presentation of a probe."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._compared = 0

    def add(self, compared: int) -> None:
        """So many references were compared since the last call."""
        self._compared += compared
        self._progress(self._compared, self._total)


_Scored = list[tuple[str, Score]]
"""References by id, with their scores."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class _Search:
    """One search under way; every presentation of its probe is compared within the same view.

    `threshold`: candidates that score less are left out; None leaves none out.
    """

    modality: Modality
    gallery: Gallery
    store: Storage
    scope: Scope
    view: View
    options: SearchOptions
    threshold: float | None
    deadline: Deadline
    timings: Timings
    progress: _Tally

    def candidates(self, probe: Template | None) -> tuple[Candidate, ...]:
        """The candidates for one presentation, best first."""
        if probe is None or self.view.searched == 0:
            return ()
        self.deadline.check("candidates were being searched")
        scored = self._exhaustive(probe) if self.options.exhaustive else self._shortlisted(probe)
        if self.threshold is not None:
            scored = [entry for entry in scored if entry[1].value >= self.threshold]
        return self._described(scored)

    def _shortlisted(self, probe: Template) -> _Scored:
        with self.timings.stage("search"):
            found = self.gallery.shortlist(probe, self.modality.shortlist(self.options.k), self.view)
        with self.timings.stage("compare"):
            templates = self.gallery.memory.templates(found.ids)
            return _ranked(self._compared(probe, templates, found.clutter))

    def _exhaustive(self, probe: Template) -> _Scored:
        best: _Scored = []
        with self.timings.stage("search"):
            clutter = self.gallery.clutter(probe, self.view)
            ids = self.gallery.allowed_ids(self.view)
        for start in range(0, len(ids), EXHAUSTIVE_BATCH):
            self.deadline.check(f"{start} of {len(ids)} references were compared")
            batch = ids[start : start + EXHAUSTIVE_BATCH]
            with self.timings.stage("compare"):
                best += self._compared(probe, self.store.templates(batch), clutter, exact=True)
                best = _ranked(best)[: self.modality.shortlist(self.options.k)]
            self.progress.add(len(batch))
        return best

    def _compared(
        self,
        probe: Template,
        templates: Mapping[str, Template],
        clutter: Clutter | None,
        *,
        exact: bool = False,
    ) -> _Scored:
        usable = [(i, t) for i, t in templates.items() if t.space == probe.space]
        scores = self.modality.compare(
            probe, [template for _, template in usable], clutter=clutter, exact=exact
        )
        return [(i, score) for (i, _), score in zip(usable, scores, strict=True)]

    def _described(self, scored: _Scored) -> tuple[Candidate, ...]:
        """Read the references from the store, the truth; what changed since the view was taken is left out.

        Where candidates are grouped, further references of a subject join the best one of it; an owner's word
        for a subject is that owner's alone, so subjects of two owners are two.
        """
        k, grouped = self.options.k, self._grouped
        found: list[Candidate] = []
        place: dict[tuple[str, str], int] = {}
        for start in range(0, len(scored), k):
            for reference, score in self._admitted(scored[start : start + k]):
                subject = (reference.facets.owner, reference.subject_id)
                if grouped and reference.subject_id and subject in place:
                    best = found[place[subject]]
                    found[place[subject]] = replace(best, further=(*best.further, reference.reference_id))
                elif len(found) < k:
                    place[subject] = len(found)
                    found.append(self._candidate(len(found) + 1, reference, score))
            if len(found) == k:
                break
        return tuple(found)

    @property
    def _grouped(self) -> bool:
        asked = self.options.group_by_subject
        return self.modality.groups_subjects if asked is None else asked

    def _admitted(self, scored: _Scored) -> Iterator[tuple[Reference, Score]]:
        """Those of the references that are still in scope by what is stored of them."""
        references = self.gallery.memory.references(reference_id for reference_id, _ in scored)
        for reference_id, score in scored:
            reference = references.get(reference_id)
            if reference is not None and self.scope.admits(reference.facets, now=self.view.now):
                yield reference, score

    def _candidate(self, rank: int, reference: Reference, score: Score) -> Candidate:
        fmr = rate(self.modality.calibration, score.value)
        seen = as_seen_by(self.scope.caller, reference)
        return Candidate(rank, seen, score, fmr, fmr.value * self.view.searched)


def _ranked(scored: _Scored) -> _Scored:
    """Best first; equal scores in order of enrolment, so that an answer can be repeated."""
    return sorted(scored, key=lambda entry: (-entry[1].value, entry[0]))

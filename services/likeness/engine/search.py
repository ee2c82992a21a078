"""One search: extraction, the answer of the shards, calibration, description, audit."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from likeness.domain.answers import Candidate, Header, ProbeAnswer, Score, SearchAnswer, SearchOptions
from likeness.domain.deadline import Deadline
from likeness.domain.modality import Modality
from likeness.domain.quotas import QuotaKind, QuotaReached
from likeness.domain.references import Caller, Reference
from likeness.domain.samples import Extraction, Finding, Mode, Sample
from likeness.domain.scope import Scope
from likeness.domain.storage import Storage
from likeness.engine.answering import ObserveStage, Timings, calibration_id, recorded
from likeness.engine.audit import audit_search
from likeness.engine.finding_rules import rejected
from likeness.engine.hits import HitSearch, Holders, hits
from likeness.engine.memory import Memory
from likeness.engine.merge import coverage
from likeness.engine.policy import as_seen_by, score_as_seen
from likeness.engine.quantise import published, tells, threshold
from likeness.engine.quotas import Quotas
from likeness.engine.search_rules import FRONTLINE_SECONDS, checked
from likeness.engine.shard import Progress, Scored, Shard, ShardAnswer, ShardQuery, no_progress


class Searcher:
    """Searches the references of one modality."""

    def __init__(
        self,
        modality: Modality,
        shard: Shard,
        store: Storage,
        memory: Memory,
        quotas: Quotas,
        *,
        observe: ObserveStage,
    ) -> None:
        self._modality = modality
        self._shard = shard
        self._store = store
        self._memory = memory
        self._quotas = quotas
        self._observe = observe
        self._hits = HitSearch(modality, shard, memory, observe)

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

        `extraction` is that of the sample, where it was extracted before.

        Raises:
            SampleRejected: nothing usable was found in the probe.
            Precondition: the threshold lies below what the calibration supports.
            Denied, InvalidInput, Precondition: see `search_rules.checked`.
            QuotaReached: the caller has made as many searches as it may, in all or with nearly the same probe.
            DeadlineExceeded: time ran out; there is then no audit entry and no answer.
            Unavailable: no shard answers.
        """
        options = checked(self._modality, caller.grant, options)
        self._quotas.admit(caller)
        if options.frontline:
            deadline = deadline.within(FRONTLINE_SECONDS)
        least = self._thresholds(caller, options)
        self._shard.wait_for(options.min_log_position, deadline)
        with Timings(self._observe) as timings:
            findings = self._extracted(sample, extraction, deadline, timings).findings
            query = self._query(caller, options, findings)
            answer = self._shard.search(query, deadline, progress)
            timings.include(answer.timings)
            holders = self._hits.holders(query, answer, options.max_fmr, deadline)
            search = _Search(
                modality=self._modality,
                memory=self._memory,
                query=query,
                answer=answer,
                options=options,
                thresholds=least,
                holders=holders,
                quotas=self._quotas,
            )
            return self._answered(search, sample, findings, deadline, timings)

    def _answered(
        self,
        search: _Search,
        sample: Sample,
        findings: Sequence[Finding],
        deadline: Deadline,
        timings: Timings,
    ) -> SearchAnswer:
        """The answer, on record; a subject that turns out to have been answered too often is answered coarsely."""
        while True:
            answers = search.answers(findings)
            deadline.check("the answer was being recorded")
            try:
                return self._recorded(search, sample, answers, timings)
            except QuotaReached as reached:
                if reached.charges[0].kind is not QuotaKind.SUBJECT:
                    raise
                search = replace(search, counted=[])

    def _thresholds(self, caller: Caller, options: SearchOptions) -> tuple[float, float]:
        """The least score of a candidate, and of one of a subject that is answered coarsely.

        Where nobody weighs a rate before something follows from an answer, no candidate may have a higher one.
        """
        if options.max_fmr is None or self._modality.calibration is None:
            return -math.inf, -math.inf
        asked = self._modality.calibration, options.max_fmr, caller.grant
        weighed = not (options.frontline or options.lights_out)
        return threshold(*asked), threshold(*asked, coarse=weighed)

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

    def _query(self, caller: Caller, options: SearchOptions, findings: Sequence[Finding]) -> ShardQuery:
        return ShardQuery(
            scope=Scope(caller, options.galleries, options.owners, options.categories),
            now=int(time.time()),
            probes=tuple(finding.template for finding in findings if finding.template is not None),
            count=self._modality.shortlist(options.k),
            exhaustive=options.exhaustive,
            min_position=options.min_log_position,
        )

    def _recorded(
        self, search: _Search, sample: Sample, answers: tuple[ProbeAnswer, ...], timings: Timings
    ) -> SearchAnswer:
        """The answer, once it is in the audit chain."""
        header, caller = search.header(), search.query.scope.caller
        with timings.stage("audit"):
            probe = self._store.probe_digest(sample.data)
            entry = audit_search(
                self._modality.name, caller, search.options, probe, header, answers, search.holders
            )
            receipt = self._quotas.put_on_record(
                self._store, entry, caller, search.query.probes, search.counted
            )
        return SearchAnswer(
            recorded(header, receipt, timings), answers, with_scores=not search.options.frontline
        )


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class _Search:
    """One search that its shards have answered.

    `thresholds`: candidates that score less are left out, and those of subjects that are answered coarsely.
    `counted`: the references of whose scores something was told, as stored, once for each probe and subject.
    `holders`: for every probe, who holds something that resembles it and of which no more may be shown.
    """

    modality: Modality
    memory: Memory
    query: ShardQuery
    answer: ShardAnswer
    options: SearchOptions
    thresholds: tuple[float, float]
    holders: Sequence[Holders]
    quotas: Quotas
    counted: list[Reference] = field(default_factory=list)

    def answers(self, findings: Sequence[Finding]) -> tuple[ProbeAnswer, ...]:
        """The candidates and hits for every presentation; one without a template has none."""
        found = zip(self.answer.scored, self.holders, strict=True)
        return tuple(
            ProbeAnswer(finding) if finding.template is None else self._answer(finding, *next(found))
            for finding in findings
        )

    def _answer(self, finding: Finding, scored: Sequence[Scored], holders: Holders) -> ProbeAnswer:
        return ProbeAnswer(finding, self._candidates(scored), hits(holders, self.modality.name))

    def header(self) -> Header:
        """What the answer says about how it came to be."""
        return Header(
            log_position=self.answer.position,
            generation=self.answer.generation,
            coverage=coverage(self.answer, self.query.scope),
            model=self.modality.model,
            calibration=calibration_id(self.modality),
            searched=self.answer.searched,
            unknown_galleries=self.answer.unknown_galleries,
            max_fmr=self.options.max_fmr,
            policy=self.query.scope.caller.grant.policy,
        )

    def _candidates(self, scored: Sequence[Scored]) -> tuple[Candidate, ...]:
        least = min(self.thresholds)
        return self._described([entry for entry in scored if entry[1].value >= least])

    def _described(self, scored: Sequence[Scored]) -> tuple[Candidate, ...]:
        """Read the references from the store, the truth; what changed since they were compared is left out.

        Where candidates are grouped, further references of a subject join the best one of it; an owner's word
        for a subject is that owner's alone, so subjects of two owners are two. What is not shown in full has no
        subject here, so that no grouping tells of whom it is.
        """
        k, grouped = self.options.k, self._grouped
        found: list[Candidate] = []
        counted: dict[tuple[str, str], Reference] = {}
        place: dict[tuple[str, str], int] = {}
        for start in range(0, len(scored), k):
            for admitted, score in self._admitted(scored[start : start + k]):
                reference = as_seen_by(self.query.scope.caller, admitted)
                coarse = self._is_coarse(admitted)
                if not coarse and self._tells(score):
                    counted.setdefault(
                        (admitted.facets.owner, admitted.subject_id or admitted.reference_id), admitted
                    )
                if score.value < self.thresholds[0] and not coarse:
                    continue
                subject = (reference.facets.owner, reference.subject_id)
                if grouped and reference.subject_id and subject in place:
                    best = found[place[subject]]
                    found[place[subject]] = replace(best, further=(*best.further, reference.reference_id))
                elif len(found) < k:
                    place[subject] = len(found)
                    found.append(self._candidate(len(found) + 1, reference, score, coarse=coarse))
            if len(found) == k:
                break
        self.counted.extend(counted.values())
        return tuple(found)

    @property
    def _grouped(self) -> bool:
        asked = self.options.group_by_subject
        return self.modality.groups_subjects if asked is None else asked

    def _admitted(self, scored: Sequence[Scored]) -> Iterator[tuple[Reference, Score]]:
        """Those of the references that are still in scope by what is stored of them."""
        references = self.memory.references(reference_id for reference_id, _ in scored)
        for reference_id, score in scored:
            reference = references.get(reference_id)
            if reference is not None and self.query.scope.admits(reference.facets, now=self.query.now):
                yield reference, score

    def _is_coarse(self, reference: Reference) -> bool:
        return self.quotas.is_spent(self.query.scope.caller, reference)

    def _tells(self, score: Score) -> bool:
        """Whether an answer tells something of a score, be it that it is below a threshold that is a fine step."""
        between = self.thresholds[0] > self.thresholds[1] and score.value >= self.thresholds[1]
        return between or tells(self.modality.calibration, score.value)

    def _candidate(self, rank: int, reference: Reference, score: Score, *, coarse: bool) -> Candidate:
        seen = score_as_seen(reference.level, score)
        grant = self.query.scope.caller.grant
        stated = published(self.modality.calibration, seen, grant, coarse=coarse)
        expected_false = stated.fmr.value * self.answer.searched
        return Candidate(rank, reference, stated.score, stated.fmr, expected_false)

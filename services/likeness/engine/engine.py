"""The facade of one modality: what a service, a batch job or a test calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from likeness.domain.answers import Comparison, SearchAnswer, SearchOptions
from likeness.domain.changes import Receipt, RequestKey
from likeness.domain.deadline import NO_DEADLINE, Deadline
from likeness.domain.errors import SampleRejected
from likeness.domain.modality import Modality
from likeness.domain.quotas import QuotaLimits
from likeness.domain.references import ALL_METADATA, Caller, Category, MetadataField, Reference, Status
from likeness.domain.samples import Extraction, Mode, Sample
from likeness.domain.scope import Scope
from likeness.domain.storage import Page, Storage
from likeness.engine.answering import Timings
from likeness.engine.audit import audit_analyse
from likeness.engine.batches import attempt, extract_each, groups
from likeness.engine.compare import Comparer
from likeness.engine.enrol import Enrolled, Enroller, Enrolment
from likeness.engine.finding_rules import rejected
from likeness.engine.memory import Memory
from likeness.engine.quotas import Quotas
from likeness.engine.records import Records
from likeness.engine.search import Searcher
from likeness.engine.shard import Progress, Shard, no_progress
from likeness.telemetry import metrics

__all__ = ["Engine", "Enrolled", "Enrolment", "ListQuery", "Page", "SearchQuery"]

DEFAULT_PAGE = 100

_LIMITS = QuotaLimits()


def _whole(page: Page) -> Page:
    """A page that is answered as it is."""
    return page


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Filters and paging of a list. Empty sets mean no limit beyond the caller's rights.

    `page_size`: as many references as the storage gives in one page.
    """

    galleries: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()
    categories: frozenset[Category] = frozenset()
    statuses: frozenset[Status] = frozenset()
    page_size: int = DEFAULT_PAGE
    page_token: str = ""


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A search among many: for whom, with which sample, and how."""

    caller: Caller
    sample: Sample
    options: SearchOptions


class Engine:
    """Enrols, searches and compares for one modality. Thread-safe; every method blocks.

    Args:
        modality: what extracts and compares.
        store: the log; the engine subscribes to it and does not close it.
        shard: the references, as they are searched.
        memory: of references and templates that were read lately.
        keep_sources: whether enrolled samples are stored (encrypted) with their templates.
        limits: how often one caller may search and compare.
    """

    def __init__(
        self,
        modality: Modality,
        store: Storage,
        shard: Shard,
        memory: Memory,
        *,
        keep_sources: bool = False,
        limits: QuotaLimits = _LIMITS,
    ) -> None:
        self.modality = modality
        self._store = store
        self._enroller = Enroller(modality, store, keep_sources=keep_sources)
        self._records = Records(modality.name, store, shard)
        quotas = Quotas(limits, modality.space, store.probe_digest(b"the planes of quotas"))
        self._searcher = Searcher(modality, shard, store, memory, quotas, observe=self._observe)
        self._comparer = Comparer(modality, store, shard, memory, quotas, observe=self._observe)

    def _observe(self, stage: str, seconds: float) -> None:
        metrics.stage(self.modality.name, stage).observe(seconds)

    @contextmanager
    def _counting(self, mode: Mode) -> Iterator[None]:
        try:
            yield
        except SampleRejected as error:
            self._count_rejected(mode, error)
            raise

    def _count_rejected(self, mode: Mode, error: SampleRejected) -> None:
        metrics.rejections(self.modality.name, mode.value, error.reason).inc()

    @property
    def modality_name(self) -> str:
        """`face`, `fingerprint` or `object`."""
        return self.modality.name

    def enrol(
        self,
        caller: Caller,
        key: RequestKey,
        described: Reference,
        sample: Sample,
        *,
        override: str = "",
        deadline: Deadline = NO_DEADLINE,
    ) -> Enrolled:
        """Enrol one sample; see `Enroller.enrol`."""
        with self._counting(Mode.ENROL):
            enrolled = self._enroller.enrol(Enrolment(caller, key, described, sample, override), deadline)
        self._count_enrolled(enrolled)
        return enrolled

    def enrol_many(
        self, enrolments: Iterable[Enrolment], *, deadline: Deadline = NO_DEADLINE
    ) -> Iterator[Enrolled | Exception]:
        """Enrol many samples; yields for each, in order, its enrolment once it is durable, or its error.

        They are taken, extracted and written in small groups, so that there may be any number of them.

        Raises:
            DeadlineExceeded: time ran out; what was not yielded may be sent again under its key.
        """
        for group in groups(enrolments):
            for outcome in self._enroller.enrol_group(group, deadline):
                if isinstance(outcome, SampleRejected):
                    self._count_rejected(Mode.ENROL, outcome)
                elif isinstance(outcome, Enrolled):
                    self._count_enrolled(outcome)
                yield outcome

    def _count_enrolled(self, enrolled: Enrolled) -> None:
        if enrolled.reference.quality_override and not enrolled.receipt.replayed:
            metrics.quality_overrides(self.modality.name).inc()

    def get(self, caller: Caller, reference_id: str) -> Reference:
        """One reference; see `Records.get`."""
        return self._records.get(caller, reference_id)

    def list(
        self,
        caller: Caller,
        query: ListQuery,
        *,
        deadline: Deadline = NO_DEADLINE,
        fit: Callable[[Page], Page] = _whole,
    ) -> Page:
        """One page of the references that the caller may see, oldest first; see `Records.list`.

        `fit` shortens the page to what is answered, before that is put on record.

        Raises:
            InvalidInput: the page size or token is not one.
        """
        statuses = query.statuses or frozenset({Status.ACTIVE, Status.SUSPENDED})
        scope = Scope(caller, query.galleries, query.owners, query.categories, statuses)
        return self._records.list(scope, query.page_token, query.page_size, deadline, fit)

    def update(
        self,
        caller: Caller,
        key: RequestKey,
        described: Reference,
        *,
        expected_position: int = 0,
        fields: frozenset[MetadataField] = ALL_METADATA,
    ) -> tuple[Reference, Receipt]:
        """Change what the owner says of a reference; see `Records.update`."""
        return self._records.update(
            caller, key, described, expected_position=expected_position, fields=fields
        )

    def expunge(self, caller: Caller, key: RequestKey, reference_id: str, *, reason: str) -> Receipt:
        """Erase a reference; see `Records.expunge`."""
        return self._records.expunge(caller, key, reference_id, reason)

    def search(
        self,
        caller: Caller,
        sample: Sample,
        options: SearchOptions,
        *,
        deadline: Deadline = NO_DEADLINE,
        progress: Progress = no_progress,
    ) -> SearchAnswer:
        """Find the references that resemble a probe; see `Searcher.search`."""
        with self._counting(Mode.PROBE):
            return self._searcher.search(caller, sample, options, deadline, progress)

    def search_many(
        self, queries: Iterable[SearchQuery], *, deadline: Deadline = NO_DEADLINE
    ) -> Iterator[SearchAnswer | Exception]:
        """Search with many samples; yields for each, in order, its answer, which is on record, or its error.

        They are taken and extracted in small groups, so that there may be any number of them.

        Raises:
            DeadlineExceeded: time ran out; what was not yielded has no audit entry.
        """
        for group in groups(queries):
            samples = [query.sample for query in group]
            extractions = extract_each(self.modality, samples, Mode.PROBE, deadline)
            for query, extraction in zip(group, extractions, strict=True):
                outcome = self._answer(query, extraction, deadline)
                if isinstance(outcome, SampleRejected):
                    self._count_rejected(Mode.PROBE, outcome)
                yield outcome

    def _answer(
        self, query: SearchQuery, extraction: Extraction | Exception, deadline: Deadline
    ) -> SearchAnswer | Exception:
        if isinstance(extraction, Exception):
            return extraction
        asked = query.caller, query.sample, query.options
        return attempt(lambda: self._searcher.search(*asked, deadline, extraction=extraction), deadline)

    def compare(
        self,
        caller: Caller,
        probe: Sample | str,
        candidate: Sample | str,
        *,
        explain: bool = False,
        deadline: Deadline = NO_DEADLINE,
    ) -> Comparison:
        """Compare 1:1; a side is a sample or a reference id. See `Comparer.compare`."""
        with self._counting(Mode.PROBE):
            return self._comparer.compare(caller, probe, candidate, explain, deadline)

    def analyse(self, caller: Caller, sample: Sample, *, deadline: Deadline = NO_DEADLINE) -> Extraction:
        """Detect and measure quality; nothing is searched, and nothing stored but who asked.

        Raises:
            SampleRejected: nothing usable was found in the sample.
        """
        deadline.check(f"{sample.name} waited to be analysed")
        with self._counting(Mode.ANALYSE), Timings(self._observe) as timings:
            extraction = self.modality.extract([sample], Mode.ANALYSE, deadline)[0]
            timings.add_all(extraction)
            if extraction.rejection is not None:
                raise rejected(extraction.rejection, "sample.data")
            deadline.check("the analysis was being recorded")
            probe, found = self._store.probe_digest(sample.data), len(extraction.findings)
            with timings.stage("audit"):
                self._store.audit(
                    audit_analyse(self.modality.name, caller, probe, self.modality.model, found)
                )
            return extraction

"""Many samples at once: in groups, in order, and each with an outcome of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

import pytest

from likeness.domain.answers import SearchAnswer, SearchOptions
from likeness.domain.changes import RequestKey, Write
from likeness.domain.deadline import NO_DEADLINE, CallDeadline, Deadline
from likeness.domain.errors import (
    Conflict,
    DeadlineExceeded,
    InvalidInput,
    Precondition,
    SampleRejected,
    Unavailable,
)
from likeness.domain.references import Facets, Reference
from likeness.domain.samples import Extraction, Mode, Sample
from likeness.domain.storage import Outcome
from likeness.engine import batches, gallery
from likeness.engine.engine import Enrolled, Enrolment, SearchQuery
from likeness.store.store import Store
from likeness.telemetry import metrics
from likeness.testing.vectors import VectorModality
from tests.support import ALICE, BOB, Bench


class Groups(VectorModality):
    """Remembers how many samples it was given at once; a sample `fault` makes it fail."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def extract(
        self, samples: Sequence[Sample], mode: Mode, deadline: Deadline = NO_DEADLINE
    ) -> list[Extraction]:
        deadline.check("samples were extracted")
        self.sizes.append(len(samples))
        if any(sample.data == b"fault" for sample in samples):
            raise RuntimeError("a fault in the model")
        return super().extract(samples, mode, deadline)


@pytest.fixture
def modality() -> Groups:
    return Groups()


@pytest.fixture
def bench(modality: Groups, store: Store) -> Bench:
    return Bench(modality, store)


def enrolment(text: str, request_id: str = "", *, owner: str = "NCB-AA", override: str = "") -> Enrolment:
    key = RequestKey(ALICE.entity, request_id or f"id {text}", hashlib.sha256(text.encode()).digest())
    return Enrolment(
        ALICE, key, Reference("", "face", Facets(owner)), Sample(text.encode(), f"<{text}>"), override
    )


def ids(outcomes: Sequence[Enrolled | Exception]) -> list[str]:
    return [one.reference.reference_id for one in outcomes if isinstance(one, Enrolled)]


def test_each_sample_has_its_outcome_in_order_from_one_extraction_and_one_commit(
    bench: Bench, modality: Groups, store: Store
) -> None:
    earlier = bench.engine.enrol(ALICE, enrolment("1,0").key, enrolment("1,0").described, Sample(b"1,0"))
    modality.sizes.clear()
    commits: list[int] = []
    store.follow(lambda entries: commits.append(len(entries)))
    outcomes = list(
        bench.engine.enrol_many(
            [
                enrolment("0,1"),
                enrolment("no vector"),
                enrolment("1,0"),
                enrolment("1,1", owner="NCB-BB"),
                enrolment("1,2|q=40"),
                enrolment("1,2|q=40", override="the only one"),
                enrolment("1,3", "id 1,0"),
                enrolment("0,1"),
            ]
        )
    )
    kinds = [Enrolled, SampleRejected, Enrolled, InvalidInput, SampleRejected, Enrolled, Conflict, Enrolled]
    assert [type(outcome) for outcome in outcomes] == kinds
    first, again, overridden, twice = (one for one in outcomes if isinstance(one, Enrolled))
    assert [one.receipt.replayed for one in (first, again, overridden, twice)] == [False, True, False, True]
    assert again.reference == earlier.reference
    assert twice.reference == first.reference
    assert bench.engine.get(ALICE, overridden.reference.reference_id) == overridden.reference
    assert modality.sizes == [5]
    assert commits == [2]


def test_no_more_is_taken_than_a_group_and_one(bench: Bench, modality: Groups) -> None:
    taken = 0

    def source() -> Iterator[Enrolment]:
        nonlocal taken
        for n in range(2 * batches.GROUP_ITEMS + 1):
            taken += 1
            yield enrolment(f"1,{n}")

    outcomes = bench.engine.enrol_many(source())
    made = [next(outcomes)]
    assert taken == batches.GROUP_ITEMS + 1
    made += outcomes
    assert len(set(ids(made))) == taken
    assert modality.sizes == [batches.GROUP_ITEMS, batches.GROUP_ITEMS, 1]


def test_the_bytes_of_a_group_are_limited_and_a_large_sample_stands_alone(
    bench: Bench, modality: Groups, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "GROUP_BYTES", 10)
    texts = ["1,0", "0,1", "1,1", "1,2", "1,2,3,4,5,6", "1,3"]
    assert len(ids(list(bench.engine.enrol_many(map(enrolment, texts))))) == len(texts)
    assert modality.sizes == [3, 1, 1, 1]


def test_a_fault_of_one_sample_is_that_samples_alone(bench: Bench, modality: Groups) -> None:
    outcomes = list(bench.engine.enrol_many(map(enrolment, ["1,0", "fault", "0,1"])))
    assert [type(outcome) for outcome in outcomes] == [Enrolled, RuntimeError, Enrolled]
    assert modality.sizes == [3, 1, 1, 1]


def test_a_batch_that_is_given_up_ends_and_is_resumed(bench: Bench, modality: Groups) -> None:
    deadline = CallDeadline()
    everything = [enrolment(f"1,{n}") for n in range(batches.GROUP_ITEMS + 2)]
    outcomes = bench.engine.enrol_many(everything, deadline=deadline)
    done = [next(outcomes) for _ in range(batches.GROUP_ITEMS)]
    deadline.abandoned.set()
    with pytest.raises(DeadlineExceeded) as caught:
        next(outcomes)
    assert caught.value.reason == "CALLER_GONE"
    assert modality.sizes == [batches.GROUP_ITEMS]
    resumed = list(bench.engine.enrol_many(everything))
    assert ids(resumed)[: len(done)] == ids(done)
    assert modality.sizes == [batches.GROUP_ITEMS, 2]


def test_nothing_of_a_group_is_written_when_time_runs_out_during_its_extraction(
    bench: Bench, modality: Groups, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadline = CallDeadline()
    monkeypatch.setattr(modality, "extract", _then(modality.extract, deadline.abandoned.set))
    with pytest.raises(DeadlineExceeded):
        list(bench.engine.enrol_many([enrolment("1,0")], deadline=deadline))
    assert store.head() == 0


def test_a_store_that_takes_no_write_refuses_a_group_and_not_the_batch(
    bench: Bench, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What of the group was done before, or cannot be enrolled, keeps its own outcome."""
    monkeypatch.setattr(batches, "GROUP_ITEMS", 4)
    earlier = bench.engine.enrol(ALICE, enrolment("1,0").key, enrolment("1,0").described, Sample(b"1,0"))
    write, refusals = store.write, [Unavailable("the queue is full", reason="WRITE_QUEUE_FULL")]

    def busy(writes: Sequence[Write]) -> Sequence[Outcome]:
        if refusals:
            raise refusals.pop()
        return write(writes)

    monkeypatch.setattr(store, "write", busy)
    texts = ["0,1", "1,0", "no vector", "1,1", "1,2"]
    outcomes = list(bench.engine.enrol_many(map(enrolment, texts)))
    kinds = [Unavailable, Enrolled, SampleRejected, Unavailable, Enrolled]
    assert [type(outcome) for outcome in outcomes] == kinds
    assert ids(outcomes)[0] == earlier.reference.reference_id


def _then(
    extract: Callable[..., list[Extraction]], afterwards: Callable[[], None]
) -> Callable[..., list[Extraction]]:
    def both(*arguments: object) -> list[Extraction]:
        extracted = extract(*arguments)
        afterwards()
        return extracted

    return both


def test_each_probe_is_answered_as_if_it_were_alone(bench: Bench, modality: Groups, store: Store) -> None:
    enrolled = ids(list(bench.engine.enrol_many(map(enrolment, ["1,0", "0,1"]))))
    modality.sizes.clear()
    probes = ["1,0.1", "no vector", "0.1,1;1,0", "fault", "0.1,1"]
    options = SearchOptions(k=1)
    outcomes = list(
        bench.engine.search_many(
            SearchQuery(caller, Sample(text.encode()), asked)
            for text, caller, asked in [
                *((text, ALICE, options) for text in probes),
                ("1,0", ALICE, SearchOptions(max_fmr=1e-9)),
                ("1,0", BOB, options),
            ]
        )
    )
    kinds = [
        SearchAnswer,
        SampleRejected,
        SearchAnswer,
        RuntimeError,
        SearchAnswer,
        Precondition,
        SearchAnswer,
    ]
    assert [type(outcome) for outcome in outcomes] == kinds
    answers = [one for one in outcomes if isinstance(one, SearchAnswer)]
    found = [[p.candidates[0].reference.reference_id for p in one.probes] for one in answers]
    assert found == [enrolled[:1], enrolled[::-1], enrolled[1:], enrolled[:1]]
    assert [one.header.audit_position for one in answers] == sorted(
        one.header.audit_position for one in answers
    )
    acts = store.audit_entries(answers[0].header.audit_position - 1)
    assert [act.entry.caller.entity for act in acts] == [*[ALICE.entity] * 3, BOB.entity]
    assert modality.sizes == [7, *[1] * 7]
    assert all("decode" in one.header.timings for one in answers)


def test_searches_that_are_given_up_leave_no_entry(bench: Bench, store: Store) -> None:
    deadline = CallDeadline()
    queries = (SearchQuery(ALICE, Sample(b"1,0"), SearchOptions()) for _ in range(3))
    outcomes = bench.engine.search_many(queries, deadline=deadline)
    answer = next(outcomes)
    assert isinstance(answer, SearchAnswer)
    deadline.abandoned.set()
    with pytest.raises(DeadlineExceeded):
        next(outcomes)
    assert store.audit_head().position == answer.header.audit_position


def test_a_search_that_waits_in_vain_for_a_log_position_ends_alone(
    bench: Bench, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index that is far behind is waited for less long than the batch may take."""
    for name in ("LONGEST_WAIT", "WAIT_STEP"):
        monkeypatch.setattr(gallery, name, 0.0)
    bench.enrol("1,0")
    store.unfollow(bench.gallery.apply)
    bench.enrol("0,1")
    outcomes = list(
        bench.engine.search_many(
            SearchQuery(ALICE, Sample(b"1,0"), SearchOptions(min_log_position=position))
            for position in (1, 2, 1)
        )
    )
    assert [type(outcome) for outcome in outcomes] == [SearchAnswer, DeadlineExceeded, SearchAnswer]


def test_rejections_and_overrides_of_a_batch_are_counted(bench: Bench) -> None:
    rejected = metrics.rejections("face", "enrol", "QUALITY_TOO_LOW")
    overridden = metrics.quality_overrides("face")
    before = rejected._value.get(), overridden._value.get()
    list(bench.engine.enrol_many([enrolment("1,0|q=40"), enrolment("0,1|q=40", override="the only one")]))
    assert (rejected._value.get(), overridden._value.get()) == (before[0] + 1, before[1] + 1)

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Any

import pytest

from likeness.domain.answers import Explanation, Header, SearchOptions, Stated
from likeness.domain.changes import Update, Write
from likeness.domain.deadline import NO_DEADLINE, CallDeadline, Deadline
from likeness.domain.errors import (
    Conflict,
    DeadlineExceeded,
    Denied,
    InvalidInput,
    NotFound,
    Precondition,
    SampleRejected,
    Stale,
)
from likeness.domain.modality import Presented
from likeness.domain.references import Caller, Category, Facets, MetadataField, Purpose, Restrictions, Status
from likeness.domain.samples import Extraction, Mode, Pick, Quality, Sample, Selection
from likeness.engine import local_shard
from likeness.engine.engine import Enrolled, ListQuery
from likeness.store import writer
from likeness.store.store import Store
from likeness.telemetry import metrics
from likeness.testing.vectors import VectorModality
from tests.support import ALICE, BOB, Bench

NOW = int(time.time())
HOUR = 3600


def test_a_search_finds_what_was_enrolled_best_first(bench: Bench) -> None:
    near = bench.enrol("1,0.2").reference.reference_id
    same = bench.enrol("1,0").reference.reference_id
    far = bench.enrol("-1,0").reference.reference_id
    assert bench.search("1,0") == [same, near, far]


def test_every_candidate_carries_score_rate_and_expected_strangers(bench: Bench) -> None:
    for _ in range(3):
        bench.enrol("0.6,0.8")
    answer = bench.engine.search(ALICE, Sample(b"1,0"), SearchOptions())
    candidate = answer.probes[0].candidates[0]
    assert candidate.score.value == pytest.approx(0.6)
    assert candidate.score.parts == {"cosine": pytest.approx(0.6)}
    assert candidate.fmr.value == pytest.approx(0.01)
    assert candidate.expected_false == pytest.approx(0.03)
    assert answer.header.searched == 3
    assert answer.header.calibration == "test-calibration/1"
    assert answer.header.coverage == 1.0


def test_a_score_beyond_the_calibration_is_reported_as_not_measurable(bench: Bench) -> None:
    bench.enrol("1,0")
    answer = bench.engine.search(ALICE, Sample(b"1,0"), SearchOptions())
    fmr = answer.probes[0].candidates[0].fmr
    assert not fmr.measurable
    assert str(fmr) == "below 1.0e-03, not measurable"


def test_a_threshold_is_a_false_match_rate(bench: Bench) -> None:
    good = bench.enrol("1,0").reference.reference_id
    bench.enrol("0.5,0.8")
    assert bench.search("1,0", max_fmr=0.01) == [good]
    with pytest.raises(Precondition, match="supports no false match rate under") as caught:
        bench.search("1,0", max_fmr=1e-6)
    assert caught.value.reason == "FMR_NOT_MEASURABLE"


def test_without_calibration_there_is_no_threshold_and_no_rate(store: Store) -> None:
    bench = Bench(VectorModality(calibrated=False), store)
    bench.enrol("1,0")
    with pytest.raises(Precondition, match="no calibration"):
        bench.search("1,0", max_fmr=0.1)
    answer = bench.engine.search(ALICE, Sample(b"1,0"), SearchOptions())
    assert not answer.probes[0].candidates[0].fmr.measurable
    assert answer.probes[0].candidates[0].expected_false == 1.0


def test_each_presentation_of_a_probe_is_answered(bench: Bench) -> None:
    one = bench.enrol("1,0").reference.reference_id
    other = bench.enrol("0,1").reference.reference_id
    answer = bench.engine.search(ALICE, Sample(b"1,0;0,1"), SearchOptions(k=1))
    assert [p.finding.index for p in answer.probes] == [0, 1]
    assert [p.candidates[0].reference.reference_id for p in answer.probes] == [one, other]


def test_enrolment_refuses_several_presentations_unless_one_is_selected(bench: Bench) -> None:
    with pytest.raises(SampleRejected, match="holds 2 presentations") as caught:
        bench.enrol("1,0;0,1")
    assert caught.value.reason == "SEVERAL_PRESENTATIONS"
    chosen = bench.enrol("1,0;0,1", selection=Selection(Pick.INDEX, index=1))
    assert bench.search("0,1") == [chosen.reference.reference_id]


def test_an_enrolment_is_answered_with_what_is_stored(bench: Bench) -> None:
    enrolled = bench.enrol("1,0", expires_at=2**40 - 2, galleries=frozenset({"b", "a"}))
    assert bench.engine.get(ALICE, enrolled.reference.reference_id) == enrolled.reference


def test_low_quality_is_refused_unless_overridden_with_a_reason(bench: Bench) -> None:
    with pytest.raises(SampleRejected) as caught:
        bench.enrol("1,0|q=40")
    assert caught.value.reason == "QUALITY_TOO_LOW"
    assert bench.search("1,0") == []
    enrolled = bench.enrol("1,0|q=40", override="only photograph there is")
    assert enrolled.reference.quality_override == "only photograph there is"
    warned = bench.enrol("1,0|q=60").finding
    assert warned is not None
    assert warned.issues[0].reason == "QUALITY_LOW"
    assert len(bench.search("1,0|q=10")) == 2


def test_a_repeated_request_is_answered_with_its_first_result(bench: Bench) -> None:
    first = bench.enrol("1,0", request_id="r")
    again = bench.enrol("1,0", request_id="r")
    assert again.receipt.replayed
    assert again.reference.reference_id == first.reference.reference_id
    assert len(bench.search("1,0")) == 1
    with pytest.raises(Conflict):
        bench.enrol("0,1", request_id="r")


class OneLook(VectorModality):
    """Looks at a number of samples, and fails at a further one; `before` is called at each."""

    def __init__(self, looks: int, before: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self.looks = looks
        self.before = before

    def extract(
        self, samples: Sequence[Sample], mode: Mode, deadline: Deadline = NO_DEADLINE
    ) -> list[Extraction]:
        self.looks -= len(samples)
        assert self.looks >= 0
        before, self.before = self.before, lambda: None
        before()
        return super().extract(samples, mode, deadline)


def test_the_sample_of_a_repeated_request_is_not_looked_at_again(store: Store) -> None:
    bench = Bench(OneLook(1), store)
    first = bench.enrol("1,0|q=60", request_id="r")
    again = bench.enrol("1,0|q=60", request_id="r")
    assert again == replace(first, finding=None, receipt=replace(first.receipt, replayed=True))
    assert again.reference.quality == Quality(60.0)
    with pytest.raises(Conflict):
        bench.enrol("0,1", request_id="r")


def test_of_a_request_that_comes_twice_at_once_one_is_a_replay(store: Store) -> None:
    meanwhile: list[Enrolled] = []
    bench = Bench(OneLook(2, lambda: meanwhile.append(bench.enrol("1,0", request_id="r"))), store)
    later = bench.enrol("1,0", request_id="r")
    (first,) = meanwhile
    assert not first.receipt.replayed
    assert later == replace(first, finding=None, receipt=replace(first.receipt, replayed=True))
    assert store.count() == 1


@pytest.mark.parametrize(
    ("facets", "caller", "found"),
    [
        ({}, BOB, True),
        ({"restrictions": Restrictions(denied_entities=frozenset({"NCB-BB"}))}, BOB, False),
        ({"restrictions": Restrictions(permitted_entities=frozenset({"NCB-CC"}))}, BOB, False),
        ({"restrictions": Restrictions(permitted_entities=frozenset({"NCB-BB"}))}, BOB, True),
        ({"restrictions": Restrictions(permitted_purposes=frozenset({Purpose.BORDER_CONTROL}))}, BOB, False),
        ({"restrictions": Restrictions(denied_entities=frozenset({"NCB-AA"}))}, ALICE, True),
        ({"status": Status.SUSPENDED}, ALICE, False),
        ({"expires_at": NOW + HOUR}, ALICE, False),
        ({"expires_at": NOW + 3 * HOUR}, ALICE, True),
    ],
)
def test_only_what_the_caller_may_use_takes_part(
    bench: Bench, facets: dict[str, Any], caller: Caller, found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.enrol("1,0", **facets)
    monkeypatch.setattr(time, "time", lambda: NOW + 2 * HOUR)
    answer = bench.engine.search(caller, Sample(b"1,0"), SearchOptions())
    assert len(answer.probes[0].candidates) == answer.header.searched == int(found)


def test_filters_narrow_a_search(bench: Bench) -> None:
    wanted = bench.enrol(
        "1,0", galleries=frozenset({"wanted", "nordic"}), category=Category.WANTED
    ).reference.reference_id
    missing = bench.enrol("1,0", BOB, galleries=frozenset({"missing"}), category=Category.MISSING)
    other = missing.reference.reference_id
    assert bench.search("1,0", galleries=frozenset({"nordic"})) == [wanted]
    assert bench.search("1,0", categories=frozenset({Category.MISSING})) == [other]
    assert bench.search("1,0", owners=frozenset({"NCB-BB"})) == [other]
    assert bench.search("1,0", galleries=frozenset({"nowhere"})) == []


def test_exhaustive_search_agrees_with_the_shortlist(bench: Bench) -> None:
    for i in range(30):
        bench.enrol(f"{i},{30 - i},{i % 7}")
    assert bench.search("3,2,1", k=5, exhaustive=True) == bench.search("3,2,1", k=5)


def test_an_update_moves_a_reference_between_galleries(bench: Bench) -> None:
    enrolled = bench.enrol("1,0", galleries=frozenset({"a"}))
    described = replace(enrolled.reference, facets=Facets("NCB-AA", galleries=frozenset({"b"})))
    updated, _ = bench.engine.update(ALICE, bench.key(ALICE), described)
    assert updated.facets.galleries == frozenset({"b"})
    assert bench.search("1,0", galleries=frozenset({"a"})) == []
    assert bench.search("1,0", galleries=frozenset({"b"})) == [enrolled.reference.reference_id]
    with pytest.raises(Stale):
        bench.engine.update(ALICE, bench.key(ALICE), described, expected_position=enrolled.receipt.position)


def test_only_the_owner_changes_a_reference(bench: Bench) -> None:
    enrolled = bench.enrol("1,0").reference
    with pytest.raises(Denied):
        bench.engine.expunge(BOB, bench.key(BOB), enrolled.reference_id, reason="not mine")
    with pytest.raises(InvalidInput, match="but the caller is"):
        bench.engine.update(
            ALICE, bench.key(ALICE), replace(enrolled, facets=replace(enrolled.facets, owner="NCB-BB"))
        )


def test_an_expunged_reference_is_gone_from_everything(bench: Bench) -> None:
    enrolled = bench.enrol("1,0").reference
    bench.engine.expunge(ALICE, bench.key(ALICE), enrolled.reference_id, reason="court order")
    assert bench.search("1,0") == []
    assert bench.store.templates([enrolled.reference_id]) == {}
    tombstone = bench.engine.get(ALICE, enrolled.reference_id)
    assert tombstone.facets.status is Status.EXPUNGED
    assert tombstone.subject_id == ""
    with pytest.raises(NotFound):
        bench.engine.get(BOB, enrolled.reference_id)
    with pytest.raises(NotFound):
        bench.engine.compare(ALICE, enrolled.reference_id, Sample(b"1,0"))


def test_get_and_list_show_only_what_the_caller_may_see(bench: Bench) -> None:
    shown = bench.enrol("1,0").reference.reference_id
    hidden = bench.enrol("0,1", restrictions=Restrictions(denied_entities=frozenset({"NCB-BB"})))
    with pytest.raises(NotFound):
        bench.engine.get(BOB, hidden.reference.reference_id)
    assert [r.reference_id for r in bench.engine.list(BOB, ListQuery()).references] == [shown]
    page = bench.engine.list(ALICE, ListQuery(page_size=1))
    rest = bench.engine.list(ALICE, ListQuery(page_size=1, page_token=page.next_token))
    assert [r.reference_id for r in (*page.references, *rest.references)] == [
        shown,
        hidden.reference.reference_id,
    ]
    assert rest.next_token == ""


def test_every_act_is_on_record_before_it_is_answered(bench: Bench) -> None:
    enrolled = bench.enrol("1,0").reference
    answer = bench.engine.search(BOB, Sample(b"1,0"), SearchOptions(k=3))
    bench.engine.compare(ALICE, enrolled.reference_id, Sample(b"1,0"))
    bench.engine.expunge(ALICE, bench.key(ALICE), enrolled.reference_id, reason="done")
    records = bench.store.audit_entries()
    assert [r.entry.rpc for r in records] == ["Enroll", "Search", "Compare", "Expunge"]
    search = records[1]
    assert search.position == answer.header.audit_position
    assert search.digest.hex() == answer.header.audit_digest
    assert search.entry.caller == BOB
    assert [c.reference_id for c in search.entry.candidates] == [enrolled.reference_id]
    assert [c.measurable for c in search.entry.candidates] == [False]
    assert records[2].entry.details["measurable"] is False
    assert records[3].entry.details == {"reference_id": enrolled.reference_id, "reason": "done"}
    assert records[0].entry.log_position == 1
    assert bench.store.verify_audit().ok


def test_a_replayed_write_is_on_record_as_one_and_a_refused_one_is_left_to_who_answers(bench: Bench) -> None:
    first = bench.enrol("1,0", request_id="r")
    with pytest.raises(Conflict):
        bench.enrol("0,1", request_id="r")
    bench.enrol("1,0", request_id="r")
    done, again = (record.entry for record in bench.store.audit_entries())
    assert again.details == {**done.details, "replayed": True}
    assert again.log_position == first.receipt.position


def test_a_search_is_refused_at_once_for_a_log_position_that_the_log_has_not(bench: Bench) -> None:
    receipt = bench.enrol("1,0").receipt
    assert len(bench.search("1,0", min_log_position=receipt.position)) == 1
    with pytest.raises(Precondition) as caught:
        bench.search("1,0", min_log_position=receipt.position + 1)
    assert caught.value.reason == "LOG_POSITION_UNKNOWN"
    assert caught.value.metadata == {"log_position": str(receipt.position)}


@pytest.mark.parametrize("facets", [{"status": Status.SUSPENDED}, {"expires_at": NOW + HOUR}])
def test_what_is_suspended_or_expired_is_the_owners_alone(
    bench: Bench, facets: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = bench.enrol("1,0", **facets).reference
    monkeypatch.setattr(time, "time", lambda: NOW + 2 * HOUR)
    assert bench.engine.get(ALICE, reference.reference_id) == reference
    assert bench.engine.list(ALICE, ListQuery()).references == (reference,)
    with pytest.raises(NotFound):
        bench.engine.get(BOB, reference.reference_id)
    assert bench.engine.list(BOB, ListQuery()).references == ()


def test_tombstones_are_listed_to_their_owner_alone(bench: Bench) -> None:
    reference = bench.enrol("1,0").reference
    bench.engine.expunge(ALICE, bench.key(ALICE), reference.reference_id, reason="x")
    query = ListQuery(statuses=frozenset({Status.EXPUNGED}))
    assert [r.reference_id for r in bench.engine.list(ALICE, query).references] == [reference.reference_id]
    assert bench.engine.list(BOB, query).references == ()


def test_restrictions_are_shown_to_their_owner_alone(bench: Bench) -> None:
    limits = Restrictions(denied_entities=frozenset({"NCB-CC"}))
    reference = bench.enrol("1,0", restrictions=limits).reference
    assert bench.engine.get(ALICE, reference.reference_id).facets.restrictions == limits
    assert bench.engine.get(BOB, reference.reference_id).facets.restrictions == Restrictions()
    assert bench.engine.list(BOB, ListQuery()).references[0].facets.restrictions == Restrictions()
    answer = bench.engine.search(BOB, Sample(b"1,0"), SearchOptions())
    assert answer.probes[0].candidates[0].reference.facets.restrictions == Restrictions()


def test_an_explanation_shows_the_presentation_that_was_enrolled(store: Store) -> None:
    chosen: list[Selection] = []

    class Watched(VectorModality):
        def explain(
            self, probe: Presented, candidate: Presented, stated: Stated | None = None
        ) -> Explanation:
            assert candidate.sample is not None
            chosen.append(candidate.sample.selection)
            return Explanation(b"png")

    bench = Bench(Watched(), store, keep_sources=True)
    enrolled = bench.enrol("1,0;0,1", selection=Selection(Pick.INDEX, index=1)).reference
    bench.engine.compare(ALICE, Sample(b"0,1"), enrolled.reference_id, explain=True)
    assert chosen == [Selection(Pick.INDEX, index=1)]


def test_comparing_two_sides(store: Store) -> None:
    bench = Bench(VectorModality(), store, keep_sources=True)
    enrolled = bench.enrol("0.6,0.8").reference
    found = bench.engine.compare(BOB, Sample(b"1,0"), enrolled.reference_id, explain=True)
    assert found.score.value == pytest.approx(0.6)
    assert found.fmr.value == pytest.approx(0.01)
    assert found.explanation is not None
    assert found.explanation.picture.endswith(b"1,00.6,0.8")
    assert found.probe is not None
    assert found.candidate is None
    with pytest.raises(SampleRejected):
        bench.engine.compare(BOB, Sample(b"1,0;0,1"), enrolled.reference_id)


def test_an_explanation_needs_the_source(bench: Bench) -> None:
    enrolled = bench.enrol("1,0").reference
    with pytest.raises(Precondition, match="does not keep the source"):
        bench.engine.compare(ALICE, Sample(b"1,0"), enrolled.reference_id, explain=True)


def test_references_of_another_template_space_lower_the_coverage(bench: Bench) -> None:
    bench.enrol("1,0")

    class Newer(VectorModality):
        @property
        def space(self):  # type: ignore[no-untyped-def]
            return replace(super().space, space_id="test-vectors/2")

    newer = Bench(Newer(), bench.store)
    answer = newer.engine.search(ALICE, Sample(b"1,0"), SearchOptions())
    assert answer.header.coverage == 0.0
    assert answer.probes[0].candidates == ()


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({"galleries": frozenset({"has space"})}, "metadata.galleries"),
        ({"galleries": frozenset(str(i) for i in range(33))}, "metadata.galleries"),
        ({"status": Status.EXPUNGED}, "metadata.status"),
    ],
)
def test_metadata_has_limits(bench: Bench, metadata: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        bench.enrol("1,0", **metadata)
    assert caught.value.field == field


def test_an_update_that_keeps_the_status_holds_against_a_suspension_meanwhile(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = bench.enrol("1,0").reference
    suspended = replace(reference, facets=replace(reference.facets, status=Status.SUSPENDED))
    write = bench.store.write
    calls = []

    def meanwhile(writes: list[Write]) -> object:
        calls.append(writes)
        if len(calls) == 1:
            write([Write(bench.key(ALICE, b"other"), Update(suspended, 0))])
        return write(writes)

    monkeypatch.setattr(bench.store, "write", meanwhile)
    described = replace(reference, subject_id="another")
    updated, _ = bench.engine.update(
        ALICE, bench.key(ALICE, b"this"), described, fields=frozenset({MetadataField.SUBJECT_ID})
    )
    assert (updated.subject_id, updated.facets.status) == ("another", Status.SUSPENDED)
    assert len(calls) == 2


def test_an_update_of_some_fields_leaves_the_others_and_their_sum_is_limited(bench: Bench) -> None:
    most = {f"{n:02}": "x" * 1000 for n in range(63)}
    enrolled = bench.enrol("1,0").reference
    described = replace(enrolled, attributes=most, owner_reference="B/7")
    bench.engine.update(ALICE, bench.key(ALICE), described)
    notices = replace(described, attributes={}, owner_reference="", notices=("N-1",))
    fields = frozenset({MetadataField.NOTICES})
    updated, _ = bench.engine.update(ALICE, bench.key(ALICE), notices, fields=fields)
    assert updated == replace(updated, attributes=most, owner_reference="B/7", notices=("N-1",))
    with pytest.raises(InvalidInput, match="in UTF-8"):
        bench.engine.update(
            ALICE, bench.key(ALICE), replace(notices, notices=("x" * 1000,) * 4), fields=fields
        )


def test_an_expiry_that_passes_later_hinders_neither_a_replay_nor_an_update(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Later:
            return cls.fromtimestamp(NOW + 2 * HOUR, tz)

    reference = bench.enrol("1,0", expires_at=NOW + HOUR, request_id="r").reference
    monkeypatch.setattr(writer, "datetime", Later)
    assert bench.enrol("1,0", expires_at=NOW + HOUR, request_id="r").receipt.replayed
    with pytest.raises(InvalidInput, match="has passed"):
        bench.enrol("1,0", expires_at=NOW + HOUR)
    described = replace(reference, subject_id="another")
    updated, _ = bench.engine.update(ALICE, bench.key(ALICE), described)
    assert updated.subject_id == "another"
    earlier = replace(described, facets=replace(reference.facets, expires_at=NOW))
    with pytest.raises(InvalidInput, match="has passed"):
        bench.engine.update(ALICE, bench.key(ALICE), earlier)


def test_metadata_is_counted_as_utf8_whatever_the_letters(bench: Bench) -> None:
    arabic = "\u0645" * 1024  # two bytes a letter, six in JSON that is ASCII alone
    attributes = {f"{n:02}": arabic for n in range(31)}
    reference = bench.enrol("1,0").reference
    described = replace(reference, attributes=attributes)
    updated, _ = bench.engine.update(ALICE, bench.key(ALICE), described)
    assert dict(updated.attributes) == attributes
    described = replace(reference, attributes={**attributes, "one more": arabic})
    with pytest.raises(InvalidInput, match="in UTF-8") as caught:
        bench.engine.update(ALICE, bench.key(ALICE), described)
    assert caught.value.field == "metadata"


def test_a_gallery_with_nothing_that_the_caller_may_know_of_is_named_as_unknown(bench: Bench) -> None:
    def header(caller: Caller, *galleries: str) -> Header:
        options = SearchOptions(galleries=frozenset(galleries))
        return bench.engine.search(caller, Sample(b"1,0"), options).header

    hidden = Restrictions(denied_entities=frozenset({"NCB-BB"}))
    bench.enrol("1,0", galleries=frozenset({"wanted", "secret"}), restrictions=hidden)
    open_to_all = bench.enrol("1,0", galleries=frozenset({"wanted"})).reference
    bench.enrol("1,0", galleries=frozenset({"resting"}), status=Status.SUSPENDED)
    mistyped = header(BOB, "wnated")
    assert (mistyped.unknown_galleries, mistyped.coverage, mistyped.searched) == (("wnated",), 0.0, 0)
    partly = header(BOB, "wanted", "wnated")
    assert (partly.unknown_galleries, partly.coverage, partly.searched) == (("wnated",), 1.0, 1)
    assert header(BOB, "secret").unknown_galleries == ("secret",)  # what is hidden does not exist
    assert header(ALICE, "secret").unknown_galleries == ()
    empty = header(ALICE, "resting")
    assert (empty.unknown_galleries, empty.coverage, empty.searched) == ((), 1.0, 0)
    bench.engine.expunge(ALICE, bench.key(ALICE), open_to_all.reference_id, reason="x")
    assert header(BOB, "wanted").unknown_galleries == ("wanted",)


@pytest.mark.parametrize(
    ("mode", "call"),
    [
        ("enrol", lambda bench: bench.enrol("nothing")),
        ("probe", lambda bench: bench.search("nothing")),
        ("analyse", lambda bench: bench.engine.analyse(ALICE, Sample(b"nothing"))),
    ],
)
def test_a_rejected_sample_is_counted_by_mode_and_reason(
    bench: Bench, mode: str, call: Callable[[Bench], object]
) -> None:
    counted = metrics.rejections("face", mode, "NOT_A_VECTOR")._value
    before = counted.get()
    with pytest.raises(SampleRejected) as caught:
        call(bench)
    assert caught.value.reason == "NOT_A_VECTOR"
    assert counted.get() == before + 1


def test_a_search_reports_each_of_its_stages_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the number of presentations and batches: a stage of a thousand samples would skew the quantiles."""
    monkeypatch.setattr(local_shard, "EXHAUSTIVE_BATCH", 2)
    for _ in range(5):
        bench.enrol("1,0")
    bench.search("1,0;0,1", exhaustive=True)
    before = observed_stages()
    bench.search("1,0;0,1", exhaustive=True)
    assert observed_stages() == {stage: count + 1 for stage, count in before.items()}


def test_a_search_that_ends_in_an_error_reports_the_stages_that_it_reached(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_shard, "EXHAUSTIVE_BATCH", 2)
    for _ in range(5):
        bench.enrol("1,0")
    before, deadline = observed_stages(), CallDeadline()
    with pytest.raises(DeadlineExceeded):
        bench.engine.search(
            ALICE,
            Sample(b"1,0"),
            SearchOptions(exhaustive=True),
            deadline=deadline,
            progress=lambda *_: deadline.abandoned.set(),
        )
    reached = {"decode": 1, "search": 1, "compare": 1, "audit": 0}
    assert observed_stages() == {stage: count + reached[stage] for stage, count in before.items()}


def observed_stages() -> dict[str, float]:
    name = "likeness_stage_duration_seconds_count"
    stages = ("decode", "search", "compare", "audit")
    return {s: metrics.REGISTRY.get_sample_value(name, {"modality": "face", "stage": s}) or 0 for s in stages}

"""Requests become domain values and answers become messages, without loss and within limits."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor

from likeness.cli import documents
from likeness.domain.answers import (
    Candidate,
    Comparison,
    Header,
    Likelihood,
    ProbeAnswer,
    Score,
    SearchAnswer,
)
from likeness.domain.calibration import Fmr
from likeness.domain.errors import Exhausted, InvalidInput
from likeness.domain.references import (
    Caller,
    Category,
    Facets,
    MetadataField,
    Purpose,
    Reference,
    Restrictions,
    Status,
)
from likeness.domain.samples import (
    Box,
    Finding,
    Issue,
    Pick,
    Quality,
    QualityComponent,
    Severity,
    Template,
)
from likeness.engine.engine import Page
from likeness.protocol import SERVICES
from likeness.rpc.convert import answers, enums, requests
from likeness.rpc.convert.tokens import PageTokens
from likeness.testing.vectors import SPACE
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching

NO_RULE = common.Selection(pick=common.PICK_UNSPECIFIED)
CALLER = Caller("NCB-AA", Purpose.MISSING_PERSON)
TOKENS = PageTokens(matching.ListRequest(), CALLER, "face")


def full_metadata() -> common.ReferenceMetadata:
    message = common.ReferenceMetadata(
        subject_id="someone",
        owner="NCB-AA",
        galleries=["missing", "wanted"],
        category=common.CATEGORY_MISSING,
        restrictions=common.Restrictions(
            denied_entities=["NCB-BB"],
            permitted_entities=["NCB-CC", "NCB-DD"],
            permitted_purposes=[common.PURPOSE_WANTED_PERSON, common.PURPOSE_MISSING_PERSON],
            denied_countries=["XA"],
            permitted_countries=["DE", "FR"],
            denied_groups=["observers"],
            permitted_groups=["PRUM"],
            disclosure=common.LEVEL_HIT,
        ),
        notices=["B-1", "A-2"],
        owner_reference="7/2024",
        attributes={"hair": "brown"},
        status=common.STATUS_SUSPENDED,
    )
    message.review_time.FromDatetime(datetime(2031, 2, 3, 4, 5, 6, 789000, tzinfo=UTC))
    message.expire_time.FromDatetime(datetime(2032, 1, 1, tzinfo=UTC))
    return message


@pytest.mark.parametrize(
    ("table", "enum", "absent"),
    [
        (enums.PURPOSES, common.Purpose.DESCRIPTOR, set()),
        (enums.CATEGORIES, common.Category.DESCRIPTOR, set()),
        (enums.STATUSES, common.Status.DESCRIPTOR, {"STATUS_UNSPECIFIED"}),
        (enums.PICKS, common.Pick.DESCRIPTOR, {"PICK_UNSPECIFIED"}),
        (enums.PROFILES, common.Profile.DESCRIPTOR, set()),
    ],
)
def test_the_tables_of_enumerations_are_complete(
    table: dict[int, Any], enum: EnumDescriptor, absent: set[str]
) -> None:
    assert {enum.values_by_number[n].name for n in table} == set(enum.values_by_name) - absent


def test_the_domain_and_the_protocol_have_the_same_members() -> None:
    assert set(enums.PURPOSES.values()) == set(Purpose)
    assert set(enums.CATEGORIES.values()) == set(Category)
    assert set(enums.STATUSES.values()) == set(Status)
    assert [enums.PURPOSES[enums.purpose_value(p)] for p in Purpose] == list(Purpose)
    assert [enums.CATEGORIES[enums.category_value(c)] for c in Category] == list(Category)
    assert [enums.STATUSES[enums.status_value(s)] for s in Status] == list(Status)


def test_metadata_comes_back_as_it_was_sent() -> None:
    sent = full_metadata()
    assert answers.reference(requests.described(sent, CALLER, "face")).metadata == sent


def test_an_empty_owner_becomes_the_caller_and_an_empty_status_active() -> None:
    described = requests.described(common.ReferenceMetadata(), CALLER, "face")
    assert described.facets == Facets(owner="NCB-AA")
    assert described.review_at is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"category": 99}, "metadata.category"),
        ({"status": 99}, "metadata.status"),
        (
            {"restrictions": common.Restrictions(permitted_purposes=[common.PURPOSE_UNSPECIFIED])},
            "metadata.restrictions.permitted_purposes",
        ),
        ({"restrictions": common.Restrictions(disclosure=99)}, "metadata.restrictions.disclosure"),  # type: ignore[arg-type]
    ],
)
def test_values_that_are_not_in_the_protocol_are_refused_by_field(change: dict[str, Any], field: str) -> None:
    message = common.ReferenceMetadata(**change)
    with pytest.raises(InvalidInput) as caught:
        requests.described(message, CALLER, "face")
    assert caught.value.field == field


def test_a_time_out_of_range_is_refused_by_field() -> None:
    message = common.ReferenceMetadata()
    message.expire_time.seconds = 1 << 60
    with pytest.raises(InvalidInput) as caught:
        requests.described(message, CALLER, "face")
    assert caught.value.field == "metadata.expire_time"


def test_an_expiry_is_cut_to_the_second_before() -> None:
    message = common.ReferenceMetadata()
    message.expire_time.FromDatetime(datetime(1970, 1, 1, 0, 0, 9, 999_000, tzinfo=UTC))
    described = requests.described(message, CALLER, "face")
    assert described.facets.expires_at == 9


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (common.Selection(), (Pick.ONLY, 0, None)),
        (common.Selection(pick=common.PICK_MOST_PROMINENT), (Pick.MOST_PROMINENT, 0, None)),
        (common.Selection(pick=common.PICK_MOST_CENTRAL), (Pick.MOST_CENTRAL, 0, None)),
        (common.Selection(index=3), (Pick.INDEX, 3, None)),
        (
            common.Selection(region=common.Box(x=1, y=2, width=3, height=4)),
            (Pick.REGION, 0, Box(1, 2, 3, 4)),
        ),
    ],
)
def test_a_selection_names_the_presentation_that_is_meant(
    selection: common.Selection, expected: tuple[Pick, int, Box | None]
) -> None:
    sample = requests.sample(common.Sample(data=b"x", selection=selection), "sample", max_bytes=10)
    assert (sample.selection.pick, sample.selection.index, sample.selection.region) == expected


@pytest.mark.parametrize(
    ("sample", "field"),
    [
        (common.Sample(), "probe.data"),
        (common.Sample(data=b"x" * 11), "probe.data"),
        (common.Sample(data=b"x", name="a" * 257), "probe.name"),
        (common.Sample(data=b"x", name="a\nb"), "probe.name"),
        (
            common.Sample(data=b"x", selection=common.Selection(pick=common.PICK_UNSPECIFIED)),
            "probe.selection.pick",
        ),
        (common.Sample(data=b"x", selection=common.Selection(index=-1)), "probe.selection.index"),
        (common.Sample(data=b"x", selection=common.Selection(region=common.Box())), "probe.selection.region"),
        (
            common.Sample(data=b"x", selection=common.Selection(region=common.Box(width=math.inf, height=1))),
            "probe.selection.region",
        ),
        (
            common.Sample(
                data=b"x", selection=common.Selection(region=common.Box(x=3e38, width=1, height=1))
            ),
            "probe.selection.region",
        ),
    ],
)
def test_a_sample_that_breaks_a_limit_is_refused_by_field(sample: common.Sample, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        requests.sample(sample, "probe", max_bytes=10)
    assert caught.value.field == field


def test_a_sample_without_a_name_is_named_for_its_place() -> None:
    nameless = common.Sample(data=b"x")
    assert requests.sample(nameless, "probe", max_bytes=1).name == "probe"
    assert requests.sample(nameless, "sample", max_bytes=1, fallback="item 7").name == "item 7"


def test_search_options_have_their_defaults_and_their_limits() -> None:
    assert requests.search_options(common.SearchOptions(), max_k=100).k == 10
    assert requests.search_options(common.SearchOptions(), max_k=5).k == 5
    assert requests.search_options(common.SearchOptions(), max_k=5).max_fmr is None
    full = requests.search_options(
        common.SearchOptions(
            galleries=["a", "a", "b"],
            owners=["NCB-AA"],
            categories=[common.CATEGORY_WANTED],
            k=3,
            max_fmr=1e-3,
            profile=common.PROFILE_EXHAUSTIVE,
            min_log_position=9,
        ),
        max_k=100,
    )
    assert full.galleries == {"a", "b"}
    assert full.categories == {Category.WANTED}
    assert (full.k, full.max_fmr, full.exhaustive, full.min_log_position) == (3, 1e-3, True, 9)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (common.SearchOptions(k=-1), "options.k"),
        (common.SearchOptions(k=101), "options.k"),
        (common.SearchOptions(max_fmr=1.5), "options.max_fmr"),
        (common.SearchOptions(max_fmr=-0.1), "options.max_fmr"),
        (common.SearchOptions(max_fmr=math.nan), "options.max_fmr"),
        (common.SearchOptions(min_log_position=-1), "options.min_log_position"),
        (common.SearchOptions(profile=9), "options.profile"),  # type: ignore[arg-type]
        (common.SearchOptions(galleries=[str(n) for n in range(257)]), "options.galleries"),
    ],
)
def test_search_options_out_of_range_are_refused_by_field(options: common.SearchOptions, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        requests.search_options(options, max_k=100)
    assert caught.value.field == field


def test_a_page_is_never_larger_than_the_limit() -> None:
    sizes = [
        requests.list_query(matching.ListRequest(page_size=size), TOKENS, max_page=50).page_size
        for size in (0, 7, 99)
    ]
    assert sizes == [50, 7, 50]
    with pytest.raises(InvalidInput):
        requests.list_query(matching.ListRequest(page_size=-1), TOKENS, max_page=50)


def test_a_page_token_is_of_its_query_alone_and_anything_else_is_refused_by_its_field() -> None:
    query = matching.ListRequest(galleries=["a", "b"], categories=[common.CATEGORY_WANTED])
    token = PageTokens(query, CALLER, "face").issue("7")
    same = matching.ListRequest(galleries=["b", "a", "b"], categories=query.categories, page_size=3)
    assert PageTokens(same, CALLER, "face").cursor(token) == "7"
    assert not token.isdigit()
    others = {
        PageTokens(query, CALLER, "object"): token,
        PageTokens(query, replace(CALLER, entity="NCB-BB"), "face"): token,
        PageTokens(query, replace(CALLER, purpose=Purpose.DATA_QUALITY), "face"): token,
        PageTokens(matching.ListRequest(owners=["a", "b"]), CALLER, "face"): token,
        **{PageTokens(query, CALLER, "face"): foreign for foreign in FOREIGN_TOKENS},
        PageTokens(query, CALLER, "face"): token[:-1] + ("A" if token[-1] != "A" else "Q"),
    }
    for tokens, foreign in others.items():
        with pytest.raises(InvalidInput, match="begin again") as caught:
            tokens.cursor(foreign)
        assert (caught.value.field, caught.value.reason) == ("page_token", "PAGE_TOKEN_INVALID")


def test_a_comparand_is_a_sample_or_a_reference_and_not_nothing() -> None:
    reference = matching.Comparand(reference_id="r-1")
    assert requests.comparand(reference, "probe", max_bytes=1) == "r-1"
    with pytest.raises(InvalidInput) as caught:
        requests.comparand(matching.Comparand(), "candidate", max_bytes=1)
    assert caught.value.field == "candidate"


def enrolment(**changes: Any) -> matching.EnrollRequest:
    request = matching.EnrollRequest(
        request_id="r-1", metadata=full_metadata(), sample=common.Sample(data=b"photograph")
    )
    request.caller.entity, request.caller.operator = "NCB-AA", "clerk 1"
    for name, value in changes.items():
        setattr(request, name, value)
    return request


def digest(request: requests.Write) -> bytes:
    return requests.request_key(request, CALLER).digest


def test_the_digest_of_a_request_covers_its_content_and_not_its_id_or_operator() -> None:
    first = digest(enrolment())
    other_clerk = enrolment(request_id="r-2")
    other_clerk.caller.operator = "clerk 2"
    assert digest(other_clerk) == first
    other_photograph = enrolment()
    other_photograph.sample.data = b"another"
    other_attribute = enrolment()
    other_attribute.metadata.attributes["eyes"] = "green"
    other_case = enrolment()
    other_case.caller.case_reference = "case 2"
    digests = {first, digest(other_photograph), digest(other_attribute), digest(other_case)}
    assert len(digests) == 4


def test_the_digest_is_the_one_that_every_release_made() -> None:
    """A receipt in a store must be known to the client that tries again after an upgrade."""
    sent = enrolment()
    sent.ClearField("request_id")
    sent.caller.ClearField("operator")
    content = sent.SerializeToString(deterministic=True)
    assert digest(enrolment()) == hashlib.sha256(b"likeness.v1.EnrollRequest\0" + content).digest()


def test_the_digest_does_not_depend_on_the_order_of_a_map() -> None:
    one, other = enrolment(), enrolment()
    for n in range(20):
        one.metadata.attributes[str(n)] = "x"
        other.metadata.attributes[str(19 - n)] = "x"
    assert digest(one) == digest(other)


def test_the_digests_of_different_methods_differ() -> None:
    update = matching.UpdateRequest(request_id="r-1", reference_id="x")
    expunge = matching.ExpungeRequest(request_id="r-1", reference_id="x")
    assert update.SerializeToString() == expunge.SerializeToString()
    assert digest(update) != digest(expunge)


def test_making_the_key_leaves_the_request_as_it_was() -> None:
    request = enrolment()
    requests.request_key(request, CALLER)
    assert request == enrolment()


@pytest.mark.parametrize("request_id", ["", "a b", "a\n", "é", "x" * 129])
def test_a_request_id_is_short_and_printable(request_id: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        requests.request_key(enrolment(request_id=request_id), CALLER)
    assert caught.value.field == "request_id"


REFERENCE = Reference(
    reference_id="r-1",
    modality="face",
    facets=Facets("NCB-AA", restrictions=Restrictions(permitted_purposes=frozenset({Purpose.SYSTEM_TEST}))),
    created_at=datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    updated_at=datetime(2024, 1, 2, 5, 4, 5, tzinfo=timezone(timedelta(hours=2))),
    quality=Quality(80.0, (QualityComponent("Sharpness", 70.0, 12.5, "px"), QualityComponent("Pose", 5.0))),
    template_space=SPACE,
    model="m@1",
    position=7,
)
HEADER = Header(7, "g-1", 0.5, "m@1", "c@1", 42, 9, "ab" * 32, {"decode": 0.25, "audit": 1e-9})


def finding(**changes: Any) -> Finding:

    template = Template(SPACE, "m@1", np.full((1, 4), 0.123, np.float32))
    given: dict[str, Any] = {
        "index": 2,
        "box": Box(1, 2, 3, 4),
        "confidence": 0.5,
        "quality": Quality(60.0),
        "landmarks": ((1.0, 2.0), (3.0, 4.0)),
        "issues": (Issue("A", "a"), Issue("B", "b", Severity.WARN)),
        "template": template,
    }
    return Finding(**given | changes)


def test_a_reference_is_sent_with_its_times_in_utc() -> None:
    made = answers.reference(REFERENCE)
    assert made.create_time.ToDatetime(tzinfo=UTC) == REFERENCE.created_at
    assert made.update_time.ToJsonString() == "2024-01-02T03:04:05Z"
    assert (made.log_position, made.model, made.template_space) == (7, "m@1", SPACE)
    assert not made.metadata.HasField("expire_time")
    sharp, pose = made.quality.components
    assert (sharp.native, sharp.unit) == (12.5, "px")
    assert not pose.HasField("native")


FOREIGN_TOKENS = ("7", "x", "CiAKGjBkMmY", "AAAA" * 7, "\u00e9" * 28, "A" * 10_000)

LIMIT = 4 << 20


def described(number: int) -> Reference:
    attributes = {f"{n:02}": "x" * 1000 for n in range(10)}
    return replace(REFERENCE, reference_id=f"r-{number}", attributes=attributes, enrolled_position=number)


def test_an_answer_that_would_be_too_large_abridges_its_lowest_ranks_and_leaves_none_out() -> None:
    candidates = tuple(
        Candidate(n, described(n), Score(1 / n), Fmr(1e-3, 5e-4, 2e-3), 0.1) for n in range(1, 31)
    )
    answer = SearchAnswer(HEADER, (ProbeAnswer(finding(), candidates), ProbeAnswer(finding(), candidates)))
    whole = answers.found(answer, LIMIT)
    assert not any(c.abridged for a in whole.answers for c in a.candidates)
    limit = whole.ByteSize() // 2
    fitted = answers.found(answer, limit)
    assert fitted.ByteSize() <= limit
    for before, after in zip(whole.answers, fitted.answers, strict=True):
        assert [c.rank for c in after.candidates] == [c.rank for c in before.candidates]
        assert [c.score for c in after.candidates] == [c.score for c in before.candidates]
        flags = [c.abridged for c in after.candidates]
        assert flags == sorted(flags)  # whole ones first
        assert 10 < flags.count(False) < 20
        last = after.candidates[-1].reference
        assert (last.reference_id, last.metadata.owner) == ("r-30", REFERENCE.facets.owner)
        assert not last.metadata.attributes
        assert after.candidates[0] == before.candidates[0]
    with pytest.raises(Exhausted, match="fewer candidates") as caught:
        answers.found(answer, 1000)
    assert caught.value.reason == "ANSWER_TOO_LARGE"


def test_a_page_ends_where_it_would_be_too_large_and_the_next_goes_on_there() -> None:
    listed = Page(tuple(described(n) for n in range(1, 31)), "30")
    whole = answers.page(answers.fitting(listed, LIMIT), TOKENS)
    assert (len(whole.references), TOKENS.cursor(whole.next_page_token)) == (30, "30")
    limit = whole.ByteSize() // 2
    cut = answers.page(answers.fitting(listed, limit), TOKENS)
    assert cut.ByteSize() <= limit
    assert 10 < len(cut.references) < 20
    assert TOKENS.cursor(cut.next_page_token) == str(len(cut.references))
    least = answers.page(answers.fitting(listed, 10), TOKENS)
    assert [r.reference_id for r in least.references] == ["r-1"]


def test_an_answer_tells_how_it_came_to_be_and_never_a_vector() -> None:
    fmr = Fmr(1e-3, 5e-4, 2e-3)
    candidate = Candidate(1, REFERENCE, Score(0.9, {"cosine": 0.9}), fmr, 0.042)
    made = answers.found(SearchAnswer(HEADER, (ProbeAnswer(finding(), (candidate,)),)), LIMIT)
    header = made.header
    assert (header.log_position, header.generation, header.coverage, header.searched) == (7, "g-1", 0.5, 42)
    assert [(t.stage, t.duration.ToNanoseconds()) for t in header.timings] == [
        ("decode", 250_000_000),
        ("audit", 1),
    ]
    (answer,) = made.answers
    severities = [issue.severity for issue in answer.finding.issues]
    assert severities == [common.SEVERITY_REJECT, common.SEVERITY_WARN]
    assert [(p.x, p.y) for p in answer.finding.landmarks] == [(1, 2), (3, 4)]
    best = answer.candidates[0]
    assert (best.rank, best.expected_false) == (1, 0.042)
    assert (best.score.fmr.value, best.score.fmr.lower, best.score.fmr.upper) == (1e-3, 5e-4, 2e-3)
    assert best.score.fmr.measurable
    assert best.reference == answers.reference(REFERENCE)
    best.reference.metadata.subject_id = "changed by who received it"
    again = answers.found(SearchAnswer(HEADER, (ProbeAnswer(finding(), (candidate,)),)), LIMIT)
    assert again.answers[0].candidates[0].reference == answers.reference(REFERENCE)

    assert np.float32(0.123).tobytes() not in made.SerializeToString()


def test_a_comparison_of_references_has_no_findings_and_an_unmeasurable_rate_says_so() -> None:
    comparison = Comparison(HEADER, Score(1.0), Fmr(1e-6, 0.0, 3e-6, measurable=False))
    made = answers.compared(comparison, LIMIT)
    assert not made.HasField("probe")
    assert not made.HasField("candidate")
    assert not made.score.fmr.measurable


def test_a_finding_without_an_image_has_no_box() -> None:
    probe = SearchAnswer(HEADER, (ProbeAnswer(finding(box=None)),))
    assert not answers.found(probe, LIMIT).answers[0].finding.HasField("box")


def test_every_word_of_the_domain_has_its_number_in_the_protocol_and_the_other_way_round() -> None:
    def numbers(enum: EnumDescriptor) -> set[int]:
        return {value.number for value in enum.values if value.number}

    assert {enums.severity_value(s) for s in Severity} == numbers(common.Severity.DESCRIPTOR)
    assert {enums.likelihood_value(band) for band in Likelihood} == numbers(common.Likelihood.DESCRIPTOR)
    assert {enums.modality_value(service.modality) for service in SERVICES} == numbers(
        common.Modality.DESCRIPTOR
    )
    assert enums.likelihood_value(None) == common.LIKELIHOOD_UNSPECIFIED
    assert enums.modality_value("gait") == common.MODALITY_UNSPECIFIED


@pytest.mark.parametrize("band", Likelihood)
def test_a_likelihood_is_read_by_a_person_as_the_engine_writes_it(band: Likelihood) -> None:
    assert documents.likelihood(enums.likelihood_value(band)) == band


def test_the_fields_of_a_mask_are_those_of_the_protocol() -> None:
    def leaves(message: Descriptor, prefix: str = "") -> set[str]:
        found = set()
        for field in message.fields:
            inner = field.message_type
            if inner is None or inner.GetOptions().map_entry or inner.file.package != "likeness.v1":
                found.add(prefix + field.name)
            else:
                found |= leaves(inner, f"{prefix}{field.name}.")
        return found

    assert leaves(common.ReferenceMetadata.DESCRIPTOR) == set(MetadataField)

"""Each method answers through a real connection what the engine answers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message

from likeness.client import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    LikenessClient,
    NotFound,
    PermissionDenied,
    Unauthenticated,
    metadata,
    reference,
    sample,
)
from likeness.client.errors import from_rpc
from likeness.client.requests import Requests
from likeness.domain.changes import Enrol, RequestKey, Write
from likeness.domain.ids import new_id
from likeness.domain.references import Facets, MetadataField, Reference
from likeness.domain.samples import Mode, Sample
from likeness.domain.storage import only
from likeness.store.store import Store
from likeness.testing.vectors import VectorModality
from likeness.v1 import common_pb2 as common
from likeness.v1 import face_pb2_grpc
from likeness.v1 import matching_pb2 as matching
from tests.contract.conftest import HoldingModality, Served, composing


def test_an_enrolled_reference_is_found_read_listed_updated_and_expunged(client: LikenessClient) -> None:
    given = metadata(
        subject_id="someone",
        galleries=["wanted"],
        category="wanted",
        permitted_purposes=["wanted_person"],
        attributes={"hair": "brown"},
        expire_time=datetime(2999, 1, 1, tzinfo=UTC),
    )
    enrolled = client.face.enroll(b"1,0,0", metadata=given)
    reference_id = enrolled.reference.reference_id
    assert enrolled.reference.metadata.owner == "NCB-AA"
    assert enrolled.reference.metadata.status == common.STATUS_ACTIVE
    assert enrolled.finding.quality.unified == 100

    found = client.face.search(b"1,0.1,0", min_log_position=enrolled.log_position)
    (answer,) = found.answers
    assert [c.reference.reference_id for c in answer.candidates] == [reference_id]
    assert answer.candidates[0].score.parts[0].name == "cosine"
    assert answer.candidates[0].score.fmr.measurable is False
    assert found.header.log_position >= enrolled.log_position
    assert found.header.audit_position > 0
    assert len(found.header.audit_digest) == 64
    assert "decode" in {timing.stage for timing in found.header.timings}

    read = client.face.get(reference_id)
    assert read.metadata.attributes == {"hair": "brown"}
    assert [r.reference_id for r in client.face.list(galleries=["wanted"])] == [reference_id]

    changed = common.ReferenceMetadata()
    changed.CopyFrom(read.metadata)
    changed.status = common.STATUS_SUSPENDED
    updated = client.face.update(reference_id, changed, expected_log_position=read.log_position)
    assert updated.reference.metadata.status == common.STATUS_SUSPENDED
    gone = client.face.search(b"1,0,0", min_log_position=updated.log_position)
    assert list(gone.answers[0].candidates) == []

    expunged = client.face.expunge(reference_id, "case closed")
    assert expunged.log_position > updated.log_position
    assert client.face.get(reference_id).metadata.status == common.STATUS_EXPUNGED
    assert list(client.face.list()) == []


def test_a_search_answers_for_each_presentation_of_the_probe(client: LikenessClient) -> None:
    one = client.face.enroll(b"1,0,0")
    two = client.face.enroll(b"0,1,0")
    found = client.face.search(b"1,0,0;0,1,0", k=1, min_log_position=two.log_position)
    best = [answer.candidates[0].reference.reference_id for answer in found.answers]
    assert best == [one.reference.reference_id, two.reference.reference_id]
    assert [answer.finding.index for answer in found.answers] == [0, 1]


def test_a_selected_presentation_is_enrolled(client: LikenessClient) -> None:
    two = b"1,0,0;0,1,0"
    with pytest.raises(InvalidArgument) as caught:
        client.face.enroll(two)
    assert caught.value.field_violations[0].field.startswith("sample")
    chosen = client.face.enroll(sample(two, selection=common.Selection(index=1)))
    assert chosen.finding.index == 1


def test_a_threshold_leaves_out_what_strangers_score_too(client: LikenessClient) -> None:
    stays = client.face.enroll(b"1,0.1,0")
    client.face.enroll(b"0.3,1,0")
    found = client.face.search(b"1,0,0", max_fmr=0.01, exhaustive=True)
    assert [c.reference.reference_id for c in found.answers[0].candidates] == [stays.reference.reference_id]
    with pytest.raises(FailedPrecondition) as caught:
        client.face.search(b"1,0,0", max_fmr=1e-9)
    assert caught.value.reason == "FMR_NOT_MEASURABLE"
    assert caught.value.metadata["floor"] == "1.000e-03"


def test_samples_and_references_are_compared(client: LikenessClient) -> None:
    enrolled = client.face.enroll(b"1,0,0")
    answer = client.face.compare(b"1,1,0", reference(enrolled.reference.reference_id))
    assert answer.score.value == pytest.approx(0.5**0.5)
    assert answer.HasField("probe")
    assert not answer.HasField("candidate")
    drawn = client.face.compare(b"1,0,0", b"0,1,0", explain=True)
    assert drawn.explanation.startswith(b"\x89PNG")


def test_analyze_tells_quality_and_stores_nothing(client: LikenessClient) -> None:
    answer = client.face.analyze(b"1,0,0;0,1,0|q=40")
    assert [finding.issues[0].reason for finding in answer.findings] == ["QUALITY_TOO_LOW"] * 2
    assert answer.findings[0].issues[0].severity == common.SEVERITY_REJECT
    assert (answer.width, answer.height, answer.model) == (100, 100, "vectors@1")
    assert list(client.face.list()) == []


def test_pages_follow_one_another_without_gap_or_repetition(client: LikenessClient) -> None:
    made = [client.face.enroll(f"1,{n},0".encode()).reference.reference_id for n in range(7)]
    assert [r.reference_id for r in client.face.list(page_size=3)] == made


def test_the_same_request_id_with_the_same_content_is_answered_with_the_first_result(
    served: Served, client: LikenessClient
) -> None:
    first = client.face.enroll(b"1,0,0", request_id="request-1")
    again = served.client(operator="another clerk").face.enroll(b"1,0,0", request_id="request-1")
    assert (first.replayed, again.replayed) == (False, True)
    assert again.reference.reference_id == first.reference.reference_id
    assert again.log_position == first.log_position
    with pytest.raises(AlreadyExists):
        client.face.enroll(b"0,1,0", request_id="request-1")
    assert len(list(client.face.list())) == 1

    reference_id = first.reference.reference_id
    gone = [client.face.expunge(reference_id, "done", request_id="request-2") for _ in range(2)]
    assert [answer.replayed for answer in gone] == [False, True]
    assert gone[0].log_position == gone[1].log_position


def test_the_sample_of_a_request_that_is_sent_again_is_not_looked_at_again(
    client: LikenessClient, modality: HoldingModality
) -> None:
    first = client.face.enroll(b"1,0,0", request_id="request-1")
    modality.broken = True
    again = client.face.enroll(b"1,0,0", request_id="request-1")
    assert not again.HasField("finding")
    assert again.reference == first.reference
    with pytest.raises(AlreadyExists):
        client.face.enroll(b"0,1,0", request_id="request-1")
    assert modality.seen == [b"1,0,0"]


def test_an_update_of_something_that_changed_meanwhile_is_aborted(client: LikenessClient) -> None:
    enrolled = client.face.enroll(b"1,0,0")
    given = metadata(status="active", category="witness")
    reference_id = enrolled.reference.reference_id
    client.face.update(reference_id, given)
    with pytest.raises(Aborted):
        client.face.update(reference_id, given, expected_log_position=enrolled.log_position)


@pytest.mark.parametrize("status", ["active", "suspended"])
def test_an_update_without_a_status_leaves_it_as_it_is(client: LikenessClient, status: str) -> None:
    reference_id = client.face.enroll(b"1,0,0", metadata=metadata(status=status)).reference.reference_id
    updated = client.face.update(reference_id, metadata(category="witness"), request_id="once")
    assert updated.reference.metadata.status == common.Status.Value(f"STATUS_{status.upper()}")
    assert updated.reference.metadata.category == common.CATEGORY_WITNESS
    assert client.face.update(reference_id, metadata(category="witness"), request_id="once").replayed


EVERYTHING = metadata(
    subject_id="s",
    owner="NCB-AA",
    galleries=["g"],
    category="wanted",
    status="suspended",
    notices=["n"],
    owner_reference="o",
    attributes={"a": "b"},
    denied_entities=["NCB-BB"],
    permitted_entities=["NCB-CC"],
    permitted_purposes=["wanted_person"],
    review_time=datetime(2998, 1, 1, tzinfo=UTC),
    expire_time=datetime(2999, 1, 1, tzinfo=UTC),
)


def test_an_update_changes_what_its_mask_names_and_nothing_else(client: LikenessClient) -> None:
    reference_id = client.face.enroll(b"1,0,0", metadata=EVERYTHING).reference.reference_id
    empty = common.ReferenceMetadata()
    for path in set(MetadataField) - {MetadataField.STATUS, MetadataField.OWNER}:
        cleared = copied(EVERYTHING)
        part: Message = cleared
        *above, name = path.split(".")
        for step in above:
            part = getattr(part, step)
        part.ClearField(name)
        assert client.face.update(reference_id, empty, fields=[path]).reference.metadata == cleared
        assert client.face.update(reference_id, EVERYTHING).reference.metadata == EVERYTHING
    assert client.face.update(reference_id, empty, fields=["owner"]).reference.metadata == EVERYTHING
    given = metadata(status="active", category="witness", owner="NCB-ZZ")
    changed = copied(EVERYTHING)
    changed.status = common.STATUS_ACTIVE
    assert client.face.update(reference_id, given, fields=["status"]).reference.metadata == changed
    stays = client.face.update(reference_id, empty)
    assert stays.reference.metadata == common.ReferenceMetadata(
        owner="NCB-AA", status=common.STATUS_ACTIVE, restrictions=common.Restrictions()
    )


def test_an_update_without_a_mask_changes_what_is_set(client: LikenessClient) -> None:
    reference_id = client.face.enroll(b"1,0,0", metadata=EVERYTHING).reference.reference_id
    given = metadata(category="witness", denied_entities=["NCB-DD"])
    expected = copied(EVERYTHING)
    expected.category = common.CATEGORY_WITNESS
    expected.restrictions.denied_entities[:] = ["NCB-DD"]
    assert client.face.update(reference_id, given, fields=[]).reference.metadata == expected


def test_a_mask_of_no_field_is_refused_by_name(client: LikenessClient) -> None:
    reference_id = client.face.enroll(b"1,0,0", metadata=EVERYTHING).reference.reference_id
    for paths in (["hair"], ["attributes.hair"], ["category", "metadata.status"], [""], [], ["status"]):
        with pytest.raises(InvalidArgument) as caught:
            client.face.update(reference_id, common.ReferenceMetadata(), fields=paths)
        assert caught.value.field_violations[0].field == "update_mask"
    assert client.face.get(reference_id).metadata == EVERYTHING


def copied(message: common.ReferenceMetadata) -> common.ReferenceMetadata:
    copy = common.ReferenceMetadata()
    copy.CopyFrom(message)
    return copy


@pytest.mark.parametrize("seconds", [-1, 0, 1])
def test_an_expiry_that_has_passed_is_refused(client: LikenessClient, seconds: int) -> None:
    past = datetime.fromtimestamp(seconds, UTC)
    with pytest.raises(InvalidArgument, match="has passed") as caught:
        client.face.enroll(b"1,0,0", metadata=metadata(expire_time=past))
    assert caught.value.reason == "EXPIRY_HAS_PASSED"
    assert caught.value.field_violations[0].field == "metadata.expire_time"
    reference_id = client.face.enroll(b"1,0,0").reference.reference_id
    with pytest.raises(InvalidArgument, match="has passed"):
        client.face.update(reference_id, metadata(expire_time=past))
    assert not client.face.get(reference_id).metadata.HasField("expire_time")


def test_another_entity_may_use_what_is_not_restricted_and_change_nothing(
    served: Served, client: LikenessClient
) -> None:
    other = served.client(entity="NCB-BB", purpose="missing_person")
    shared = client.face.enroll(b"1,0,0").reference.reference_id
    hidden = client.face.enroll(
        b"1,0,0", metadata=metadata(denied_entities=["NCB-BB"])
    ).reference.reference_id
    found = other.face.search(b"1,0,0")
    assert [c.reference.reference_id for c in found.answers[0].candidates] == [shared]
    assert found.header.searched == 1
    with pytest.raises(PermissionDenied) as denied:
        other.face.expunge(shared, "mine now")
    assert denied.value.reason == "NOT_THE_OWNER"
    with pytest.raises(NotFound) as absent:
        other.face.get(hidden)
    with pytest.raises(NotFound) as never:
        other.face.get("00000000-0000-7000-8000-000000000000")
    assert absent.value.reason == never.value.reason


def test_a_request_must_say_who_asks_and_a_search_why(served: Served) -> None:
    with pytest.raises(Unauthenticated) as caught:
        served.client(entity="").face.analyze(b"1,0,0")
    assert caught.value.reason == "CALLER_UNKNOWN"
    idle = served.client(purpose="unspecified")
    for call in (idle.face.search, lambda probe: idle.face.compare(probe, probe)):
        with pytest.raises(InvalidArgument) as refused:
            call(b"1,0,0")
        assert refused.value.reason == "PURPOSE_REQUIRED"
        assert refused.value.field_violations[0].field == "caller.purpose"
    assert idle.asking(purpose="data_quality").face.search(b"1,0,0").header.searched == 0


def test_a_sample_that_cannot_be_used_names_itself_and_its_reason(client: LikenessClient) -> None:
    with pytest.raises(InvalidArgument) as caught:
        client.face.search(sample(b"no numbers", name="a.jpg"))
    assert caught.value.reason == "NOT_A_VECTOR"
    assert "a.jpg" in caught.value.message
    with pytest.raises(InvalidArgument) as analysed:
        client.face.analyze(b"no numbers")
    assert analysed.value.reason == "NOT_A_VECTOR"


def test_a_quality_override_is_recorded(client: LikenessClient) -> None:
    with pytest.raises(InvalidArgument) as caught:
        client.face.enroll(b"1,0,0|q=10")
    assert caught.value.reason == "QUALITY_TOO_LOW"
    enrolled = client.face.enroll(b"1,0,0|q=10", quality_override="the only photograph")
    assert enrolled.reference.quality_override == "the only photograph"


def test_a_mistyped_gallery_is_named_in_the_header(client: LikenessClient) -> None:
    client.face.enroll(b"1,0,0", metadata=metadata(galleries=["wanted"]))
    header = client.face.search(b"1,0,0", galleries=["wanted", "wnated"]).header
    assert (list(header.unknown_galleries), header.searched) == (["wnated"], 1)


def test_a_request_id_used_for_one_modality_enrols_nothing_in_another(
    prepare: Callable[..., Served], modality: HoldingModality, tmp_path: Path
) -> None:
    client = prepare(composing(modality, VectorModality(name="object"))).start().client()
    faces = client.face.enroll(b"1,0,0", request_id="request-1")
    with pytest.raises(AlreadyExists) as caught:
        client.object.enroll(b"1,0,0", request_id="request-1")
    assert caught.value.reason == "REQUEST_ID_REUSED"
    assert list(client.object.list()) == []
    assert not client.object.enroll(b"1,0,0", request_id="request-2").replayed
    assert client.face.enroll(b"1,0,0", request_id="request-1").reference == faces.reference


def test_a_write_of_an_older_release_is_known_when_it_is_sent_again(
    prepare: Callable[..., Served], modality: HoldingModality, tmp_path: Path
) -> None:
    """An older release stored the receipt, its answer was lost, and the client tries again after the upgrade."""
    sent = matching.EnrollRequest(
        sample=common.Sample(data=b"1,0,0"), metadata=metadata(galleries=["wanted"])
    )
    sent.caller.entity, sent.caller.purpose = "NCB-AA", common.PURPOSE_WANTED_PERSON
    content = sent.SerializeToString(deterministic=True)
    key = RequestKey("NCB-AA", "request-1", hashlib.sha256(b"likeness.v1.EnrollRequest\0" + content).digest())
    home = tmp_path / "home"
    with Store.open(home, key_file=home / "keys.json") as store:
        finding = modality.extract([Sample(b"1,0,0", "probe")], Mode.ENROL)[0].findings[0]
        assert finding.template is not None
        reference = Reference(
            reference_id=new_id(),
            modality="face",
            facets=Facets("NCB-AA", frozenset({"wanted"})),
            template_space=finding.template.space,
            model=finding.template.model,
        )
        stored = only(store.write([Write(key, Enrol(reference, finding.template))]))
    client = prepare(composing(modality, VectorModality(name="object"))).start().client()
    wanted = metadata(galleries=["wanted"])
    again = client.face.enroll(b"1,0,0", metadata=wanted, request_id="request-1")
    assert (again.replayed, again.reference.reference_id) == (True, stored.reference_id)
    with pytest.raises(AlreadyExists):
        client.object.enroll(b"1,0,0", metadata=wanted, request_id="request-1")
    assert list(client.object.list()) == []


def test_a_page_token_means_nothing_to_another_query(served: Served, client: LikenessClient) -> None:
    for n in range(3):
        client.face.enroll(f"1,{n},0".encode(), metadata=metadata(galleries=["wanted"]))
    requests = Requests(common.CallerContext(entity="NCB-AA", purpose=common.PURPOSE_WANTED_PERSON))
    with grpc.insecure_channel(served.address) as channel:
        list_ = face_pb2_grpc.FaceServiceStub(channel).List
        first = list_(requests.list(galleries=["wanted"], page_size=1))
        again = requests.list(galleries=["wanted"], page_size=5)
        again.page_token = first.next_page_token
        assert len(list_(again).references) == 2
        narrower = requests.list(galleries=["wanted"], owners=["NCB-AA"])
        for other in (requests.list(galleries=["other"]), narrower):
            other.page_token = first.next_page_token
            with pytest.raises(grpc.RpcError) as caught:
                list_(other)
            assert from_rpc(caught.value).reason == "PAGE_TOKEN_INVALID"

"""Limits, deadlines and faults: refused clearly, disclosed to no stranger, and never at others' cost."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from likeness.client import (
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    ResourceExhausted,
    metadata,
    sample,
)
from likeness.client.errors import from_rpc
from likeness.client.requests import EnrollOptions, Requests
from likeness.engine.metadata_rules import MAX_GALLERIES, MAX_RESTRICTED
from likeness.rpc.convert.answers import LEAST_ANSWER_BYTES
from likeness.telemetry import logs, metrics
from likeness.v1 import common_pb2 as common
from likeness.v1 import face_pb2_grpc
from likeness.v1 import matching_pb2 as matching
from tests.contract.conftest import HoldingModality, Served
from tests.waiting import PATIENCE, eventually

SERVICE = "likeness.v1.FaceService"


def value(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.fixture
def log() -> Iterator[Callable[[], list[dict[str, object]]]]:
    stream = io.StringIO()
    root, ours = logging.getLogger(), logging.getLogger("likeness")
    before = root.handlers[:], root.level, ours.level
    logs.configure("INFO", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


def test_more_than_fits_is_refused_with_the_time_to_come_back_and_then_succeeds(
    prepare: Callable[..., Served], modality: HoldingModality
) -> None:
    served = prepare(workers=1, queue=1).start()
    impatient, patient = served.client(retries=0), served.client(retries=50)
    with ThreadPoolExecutor(3) as pool:
        taken = [pool.submit(impatient.face.analyze, b"1,0,0|hold") for _ in range(2)]
        modality.wait_until_inside()
        eventually(lambda: value("likeness_rpc_queue_depth") == 1)
        with pytest.raises(ResourceExhausted) as caught:
            impatient.face.analyze(b"1,0,0")
        assert caught.value.reason == "TOO_BUSY"
        assert caught.value.retry_after == 0.5
        later = pool.submit(patient.face.analyze, b"1,0,0")
        modality.go_on.set()
        assert [len(answer.result(PATIENCE).findings) for answer in (*taken, later)] == [1, 1, 1]


def test_the_bytes_under_way_are_limited_and_one_request_alone_is_let_in(
    prepare: Callable[..., Served], modality: HoldingModality
) -> None:
    served = prepare(max_bytes_in_flight=1 << 20).start()
    client = served.client(retries=0)
    large = b"1,0,0|hold" + b" " * (1 << 20)
    with ThreadPoolExecutor(1) as pool:
        alone = pool.submit(client.face.analyze, large)
        modality.wait_until_inside()
        with pytest.raises(ResourceExhausted):
            client.face.analyze(b"1,0,0")
        modality.go_on.set()
        assert len(alone.result(PATIENCE).findings) == 1


def test_a_request_with_a_deadline_that_passes_while_it_waits_is_answered_so(
    prepare: Callable[..., Served], modality: HoldingModality
) -> None:
    served = prepare(workers=1, max_deadline=4.0).start()
    client = served.client(retries=0)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.face.analyze, b"1,0,0|hold")
        modality.wait_until_inside()
        with pytest.raises(DeadlineExceeded) as waiting:
            client.face.analyze(b"1,0,0")
        assert "waited for its turn" in waiting.value.message
        with pytest.raises(DeadlineExceeded, match="worked on"):
            first.result(PATIENCE)
    modality.go_on.set()
    eventually(lambda: len(client.face.analyze(b"1,0,0").findings) == 1)


def test_work_for_a_caller_that_went_away_stops_at_its_next_check(
    prepare: Callable[..., Served], modality: HoldingModality
) -> None:
    served = prepare(workers=1).start()
    with grpc.insecure_channel(served.address) as channel:
        request = matching.SearchRequest()
        request.caller.entity, request.caller.purpose = "NCB-AA", common.PURPOSE_SYSTEM_TEST
        request.probe.data = b"1,0,0|hold"
        call = face_pb2_grpc.FaceServiceStub(channel).Search.future(request)
        modality.wait_until_inside()
        in_flight = {"service": SERVICE, "method": "Search"}
        assert value("likeness_rpc_in_flight", **in_flight) == 1
        call.cancel()  # type: ignore[no-untyped-call]
        eventually(lambda: value("likeness_rpc_in_flight", **in_flight) == 0)
    modality.go_on.set()
    served.client().face.analyze(b"1,0,0")  # the only worker is free again
    gone, analysis = (record.entry for record in served.composition.store.audit_entries())
    assert (gone.rpc, gone.outcome, gone.candidates) == ("Search", "CALLER_GONE", ())
    assert (analysis.rpc, analysis.outcome) == ("Analyze", "OK")


def test_a_log_position_beyond_the_head_is_refused_at_once_and_with_a_reason(served: Served) -> None:
    client = served.client(retries=0)
    with pytest.raises(FailedPrecondition) as caught:
        client.face.search(b"1,0,0", min_log_position=1)
    assert caught.value.reason == "LOG_POSITION_UNKNOWN"
    enrolled = client.face.enroll(b"1,0,0")
    answer = client.face.search(b"1,0,0", min_log_position=enrolled.log_position)
    assert answer.answers[0].candidates[0].reference.reference_id == enrolled.reference.reference_id


def test_sizes_and_counts_over_the_limit_are_refused_by_name(prepare: Callable[..., Served]) -> None:
    served = prepare(max_sample_bytes=2048, max_k=5, max_message_bytes=1 << 16).start()
    client = served.client()
    with pytest.raises(InvalidArgument) as large:
        client.face.search(sample(b"1" * 2049, name="big.jpg"))
    assert large.value.reason == "SAMPLE_TOO_LARGE"
    assert "big.jpg" in large.value.message
    with pytest.raises(InvalidArgument) as many:
        client.face.search(b"1,0,0", k=6)
    assert many.value.field_violations[0].field == "options.k"
    assert many.value.metadata["limit"] == "5"
    with pytest.raises(ResourceExhausted) as beyond:
        client.face.search(b"1" * (1 << 17))
    assert beyond.value.retry_after is None


def test_an_unexpected_fault_tells_the_client_an_incident_and_the_log_the_stack(
    served: Served, modality: HoldingModality, log: Callable[[], list[dict[str, object]]]
) -> None:
    modality.broken = True
    with pytest.raises(Internal) as caught:
        served.client().face.analyze(b"1,0,0")
    assert "Jane Roe" not in caught.value.message
    incident = caught.value.metadata["incident"]
    (line,) = [entry for entry in log() if entry.get("incident")]
    assert line["incident"] == incident
    assert line["error"] == "builtins.RuntimeError"
    assert any("extract" in frame for frame in line["stack"])  # type: ignore[attr-defined]
    assert "Jane Roe" not in json.dumps(log())


def test_each_rpc_leaves_one_log_line_and_its_measures(
    served: Served, log: Callable[[], list[dict[str, object]]]
) -> None:
    labels = {"service": SERVICE, "method": "Search", "code": "OK"}
    before = value("likeness_rpc_duration_seconds_count", **labels)
    client = served.client(operator="Jane Roe", case_reference="case 7")
    answer = client.face.search(sample(b"1,0,0", name="roe.jpg"))
    with pytest.raises(InvalidArgument):
        served.client().face.search(b"")
    eventually(lambda: len([line for line in log() if line["event"] == "rpc"]) == 2)
    done, refused = (line for line in log() if line["event"] == "rpc")
    assert (done["method"], done["code"], done["entity"]) == ("Search", "OK", "NCB-AA")
    assert (refused["code"], refused["reason"]) == ("INVALID_ARGUMENT", "EMPTY_SAMPLE")
    assert isinstance(done["seconds"], float)
    assert done["audit_position"] == answer.header.audit_position > 0
    assert not any(word in json.dumps(log()).lower() for word in ("roe", "case 7", "dropped"))
    assert value("likeness_rpc_duration_seconds_count", **labels) == before + 1
    assert value("likeness_rpc_in_flight", service=SERVICE, method="Search") == 0


def test_the_log_line_of_a_write_names_its_request_unless_that_could_be_personal_data(
    served: Served, log: Callable[[], list[dict[str, object]]]
) -> None:
    client = served.client()
    enrolled = client.face.enroll(b"1,0,0", request_id="0192e4a7-aaaa-7000-8000-0123456789ab")
    with pytest.raises(InvalidArgument):
        client.face.enroll(b"", request_id="jane-roe-1984")
    eventually(lambda: len([line for line in log() if line["event"] == "rpc"]) == 2)
    done, refused = (line for line in log() if line["event"] == "rpc")
    assert done["request_id"] == "0192e4a7-aaaa-7000-8000-0123456789ab"
    assert (done["log_position"], done["replayed"]) == (enrolled.log_position, False)
    assert str(refused["request_id"]).startswith("sha256:")
    assert "roe" not in json.dumps(log())


def test_a_call_that_the_client_cancels_is_counted_so(served: Served, modality: HoldingModality) -> None:
    labels = {"service": SERVICE, "method": "Analyze", "code": "CANCELLED"}
    before = value("likeness_rpc_duration_seconds_count", **labels)
    with grpc.insecure_channel(served.address) as channel:
        stub = face_pb2_grpc.FaceServiceStub(channel)
        request = matching.AnalyzeRequest()
        request.caller.entity = "NCB-AA"
        request.sample.data = b"1,0,0|hold"
        call = stub.Analyze.future(request)
        modality.wait_until_inside()
        call.cancel()  # type: ignore[no-untyped-call]
        eventually(lambda: value("likeness_rpc_duration_seconds_count", **labels) == before + 1)


def test_an_explanation_without_a_stored_source_is_a_failed_precondition(served: Served) -> None:
    client = served.client()
    enrolled = client.face.enroll(b"1,0,0")
    request = matching.Comparand(reference_id=enrolled.reference.reference_id)
    with pytest.raises(FailedPrecondition) as caught:
        client.face.compare(b"1,0,0", request, explain=True)
    assert caught.value.reason == "SOURCE_NOT_KEPT"


LARGEST = metadata(
    subject_id="s" * 1024,
    owner="NCB-AA",
    galleries=[f"{n:02}" + "g" * 62 for n in range(MAX_GALLERIES)],
    category="unidentified_remains",
    notices=["\u0645" * 512] * 30 + ["n" * 1024],
    owner_reference="o" * 1024,
    attributes={f"{n:02}": "x" * 990 for n in range(31)},
    denied_entities=[f"{n:03}" + "d" * 61 for n in range(MAX_RESTRICTED)],
    permitted_entities=["NCB-AA", *(f"{n:03}" + "p" * 61 for n in range(MAX_RESTRICTED - 1))],
    permitted_purposes=[name.removeprefix("PURPOSE_") for name in common.Purpose.keys()[1:]],
)
"""Of all that an owner may say about as much as there may be."""


def test_no_answer_is_larger_than_its_limit(prepare: Callable[..., Served]) -> None:
    served = prepare(max_answer_bytes=LEAST_ANSWER_BYTES).start()
    requests = Requests(common.CallerContext(entity="NCB-AA", purpose=common.PURPOSE_WANTED_PERSON))
    options = [("grpc.max_receive_message_length", LEAST_ANSWER_BYTES)]
    with grpc.insecure_channel(served.address, options) as channel:
        stub = face_pb2_grpc.FaceServiceStub(channel)
        override: EnrollOptions = {"metadata": LARGEST, "quality_override": "w" * 1024}
        for n in range(4):
            enrolment = requests.enroll(f"1,0.{n},0".encode(), **override)
            enrolled = stub.Enroll(enrolment)
            assert stub.Enroll(enrolment).replayed
        assert enrolled.ByteSize() > LEAST_ANSWER_BYTES / 3
        (outcome,) = stub.EnrollMany(
            iter([matching.EnrollManyRequest(sequence=1, enrolment=requests.enroll(b"0,0,1", **override))])
        )
        assert outcome.HasField("enrolled")
        assert stub.Get(requests.get(enrolled.reference.reference_id)).HasField("reference")
        assert stub.Update(requests.update(enrolled.reference.reference_id, LARGEST)).HasField("reference")
        listing = requests.list(page_size=1000)
        pages = [stub.List(listing)]
        while pages[-1].next_page_token:
            listing.page_token = pages[-1].next_page_token
            pages.append(stub.List(listing))
        assert [len(page.references) for page in pages] == [2, 2, 1]
        search = requests.search(b"1,0,0;0,1,0", min_log_position=enrolled.log_position)
        found = stub.Search(search)
        last = list(stub.SearchWithProgress(search))[-1].answer
        for answer in (found, last):
            assert [len(probe.candidates) for probe in answer.answers] == [5, 5]
            assert any(c.abridged for probe in answer.answers for c in probe.candidates)
        wide = b"1,0,0|" + b" " * LEAST_ANSWER_BYTES
        assert stub.Compare(requests.compare(wide, wide)).HasField("score")
        refused: list[tuple[Callable[[], object], str]] = [
            (lambda: stub.Compare(requests.compare(wide, wide, explain=True)), "without a picture"),
            (lambda: stub.Analyze(requests.analyze(b"1,0,0;" * 4000 + b"|q=40")), "Select one"),
            (lambda: stub.Search(requests.search(b"1,0,0;" * 100)), "select one"),
        ]
        for call, remedy in refused:
            with pytest.raises(grpc.RpcError, match=remedy) as caught:
                call()
            error = from_rpc(caught.value)
            assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "ANSWER_TOO_LARGE")
            assert not error.is_transient

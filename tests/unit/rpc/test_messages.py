"""What is not a sample has a limit, checked on bytes; what is no message is refused as such."""

from __future__ import annotations

from typing import Any

import pytest

from likeness.domain.errors import Exhausted, InvalidInput
from likeness.rpc.messages import MAX_FRAME_FIELDS, Unreadable, reader
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching

LIMIT = 64 << 10
PHOTOGRAPH = common.Sample(data=bytes(1 << 20), name="p.jpg")
CALLER = common.CallerContext(entity="NCB-AA")


def read(kind: type[Any], data: bytes) -> object:
    return reader(kind.FromString, kind.DESCRIPTOR, LIMIT)(data)


def enrolment(**metadata: object) -> matching.EnrollRequest:
    return matching.EnrollRequest(
        caller=CALLER,
        sample=PHOTOGRAPH,
        metadata=common.ReferenceMetadata(**metadata),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    "request_",
    [
        matching.SearchRequest(caller=CALLER, probe=PHOTOGRAPH),
        enrolment(subject_id="x" * 1000),
        matching.EnrollManyRequest(sequence=1, enrolment=enrolment()),
        matching.CompareRequest(
            probe=matching.Comparand(sample=PHOTOGRAPH), candidate=matching.Comparand(sample=PHOTOGRAPH)
        ),
        matching.ListRequest(galleries=["g"] * 256),
        matching.GetRequest(),
    ],
)
def test_samples_do_not_count(request_: matching.SearchRequest) -> None:
    assert read(type(request_), request_.SerializeToString()) == request_


@pytest.mark.parametrize(
    "request_",
    [
        matching.SearchRequest(probe=PHOTOGRAPH, options=common.SearchOptions(galleries=[""] * LIMIT)),
        matching.ListRequest(galleries=[""] * LIMIT),
        enrolment(attributes={str(n): "x" * 1000 for n in range(66)}),
        matching.EnrollManyRequest(enrolment=enrolment(notices=[""] * LIMIT)),
        matching.GetRequest(reference_id="x" * LIMIT),
        matching.SearchRequest(probe=common.Sample(name="x" * LIMIT)),
    ],
)
def test_all_other_bytes_than_the_samples_have_a_limit(request_: matching.SearchRequest) -> None:
    found = read(type(request_), request_.SerializeToString())
    assert isinstance(found, Unreadable)
    assert isinstance(found.error, Exhausted)
    assert found.error.reason == "REQUEST_TOO_LARGE"
    assert found.error.retry_after is None


def test_millions_of_fields_are_refused_before_they_are_counted() -> None:
    empty = b"\x12\x00" * 20_000_000  # SearchRequest.probe, over and over
    found = read(matching.SearchRequest, empty)
    assert isinstance(found, Unreadable)
    assert str(MAX_FRAME_FIELDS) in found.error.message


def test_fields_of_all_nested_messages_are_counted_together() -> None:
    """A message may hold thousands of messages of thousands of fields each."""
    enrolment = b"\x12\x00" * (MAX_FRAME_FIELDS // 2)  # EnrollRequest.sample, over and over
    length = bytes([len(enrolment) & 0x7F | 0x80, len(enrolment) >> 7])
    found = read(matching.EnrollManyRequest, (b"\x12" + length + enrolment) * 100)
    assert isinstance(found, Unreadable)
    assert str(MAX_FRAME_FIELDS) in found.error.message


@pytest.mark.parametrize("size", [0, 2 * LIMIT])
@pytest.mark.parametrize("data", [b"\xff", b"\x0f", b"\x12\x7f\x00", b"\x0a\x01\xff", b"\x0b"])
def test_what_is_no_message_is_an_invalid_argument(data: bytes, size: int) -> None:
    frame = matching.SearchRequest(probe=common.Sample(data=bytes(size))).SerializeToString() if size else b""
    found = read(matching.SearchRequest, frame + data)
    assert isinstance(found, Unreadable)
    assert isinstance(found.error, InvalidInput)
    assert found.error.reason == "MALFORMED_MESSAGE"
    assert "likeness.v1.SearchRequest" in found.error.message

"""What the protocol files promise in annotations and comments is what the service does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from likeness.app.settings import load
from likeness.client.errors import CallFailed, from_rpc, from_status
from likeness.client.requests import Requests
from likeness.engine.engine import DEFAULT_PAGE
from likeness.engine.metadata_rules import (
    MAX_ATTRIBUTES,
    MAX_GALLERIES,
    MAX_METADATA_BYTES,
    MAX_NOTICES,
    MAX_RESTRICTED,
    MAX_TEXT,
)
from likeness.rpc import identity
from likeness.rpc.convert.requests import DEFAULT_K, MAX_COORDINATE, MAX_FILTERS, MAX_SAMPLE_NAME
from likeness.rpc.convert.required import is_required
from likeness.v1 import common_pb2 as common
from likeness.v1 import face_pb2_grpc
from likeness.v1 import matching_pb2 as matching
from tests.contract.conftest import Served

PROTOS = Path(__file__).parents[2] / "protos" / "likeness" / "v1"
CALLER = common.CallerContext(entity="NCB-AA", purpose=common.PURPOSE_WANTED_PERSON)


def test_every_required_field_that_is_left_out_is_refused_by_its_name(served: Served) -> None:
    with grpc.insecure_channel(served.address) as channel:
        stub: Any = face_pb2_grpc.FaceServiceStub(channel)
        for method, request in _whole_requests():
            fields = list(_required(request))
            assert fields, method
            for full_path, left_out in fields:
                path = full_path.removeprefix("enrolment.")  # an item is refused as Enroll would refuse it
                error = _refusal(stub, method, left_out)
                if path in ("caller", "caller.entity"):
                    expected = (grpc.StatusCode.UNAUTHENTICATED, "CALLER_UNKNOWN", "caller.entity")
                elif path.endswith(".data"):
                    expected = (grpc.StatusCode.INVALID_ARGUMENT, "EMPTY_SAMPLE", path)
                else:
                    expected = (grpc.StatusCode.INVALID_ARGUMENT, "REQUIRED_FIELD_MISSING", path)
                (violation,) = error.field_violations
                assert (error.code, error.reason, violation.field) == expected, (method, path)


def _whole_requests() -> Iterator[tuple[str, Message]]:
    requests = Requests(CALLER)
    enrolment = requests.enroll(b"1,0,0", quality_override="no other photograph")
    yield "Enroll", enrolment
    yield "EnrollMany", matching.EnrollManyRequest(enrolment=enrolment)
    yield "Get", requests.get("r")
    yield "List", requests.list()
    yield "Update", requests.update("r", common.ReferenceMetadata())
    yield "Expunge", requests.expunge("r", "why")
    yield "Search", requests.search(b"1,0,0")
    yield "SearchWithProgress", requests.search(b"1,0,0")
    yield "Compare", requests.compare(b"1,0,0", b"1,0,0")
    yield "Analyze", requests.analyze(b"1,0,0")


def _required(message: Any, prefix: str = "") -> Iterator[tuple[str, Message]]:
    """Each required field of a message and of those in it, with a copy of the message that leaves it out."""
    for field in message.DESCRIPTOR.fields:
        path = prefix + field.name
        if is_required(field):
            copy = type(message)()
            copy.CopyFrom(message)
            copy.ClearField(field.name)
            yield path, copy
        if field.message_type and not field.is_repeated and message.HasField(field.name):
            for inner, part in _required(getattr(message, field.name), f"{path}."):
                copy = type(message)()
                copy.CopyFrom(message)
                getattr(copy, field.name).CopyFrom(part)
                yield inner, copy


def _refusal(stub: Any, method: str, request: Message) -> CallFailed:
    if method == "EnrollMany":
        (outcome,) = stub.EnrollMany(iter([request]))
        return from_status(outcome.rejected)
    with pytest.raises(grpc.RpcError) as caught:
        answer = getattr(stub, method)(request)
        if method == "SearchWithProgress":
            list(answer)
    return from_rpc(caught.value)


def test_the_limits_in_the_comments_are_those_of_the_service() -> None:
    settings = load(environment={})
    mib = 1 << 20
    promised = {
        "common": (
            f"text is at most {MAX_TEXT} characters",
            f"At most {identity.MAX_TEXT} characters.",
            f"At most {MAX_RESTRICTED}.",
            f"at most {MAX_METADATA_BYTES} bytes together",
            f"at most {MAX_GALLERIES} names",
            f"at most {MAX_NOTICES} texts",
            f"at most {MAX_ATTRIBUTES} pairs",
            f"at most {settings.grpc.max_sample_bytes // mib} MiB (SAMPLE_TOO_LARGE)",
            f"at most {settings.decoding.max_pixels // 10**6} million pixels",
            f"At most {MAX_SAMPLE_NAME} characters. It is not stored",
            f"At most {MAX_FILTERS}, as of the other filters",
            f"1 to {settings.grpc.max_k}; 0 means {DEFAULT_K}",
            f"no number is beyond {MAX_COORDINATE}",
        ),
        "matching": (
            f"may take {settings.grpc.default_deadline:g} s",
            f"longer one than {settings.grpc.max_deadline:g} s",
            f"may take {settings.grpc.default_deadline:g} s once it is worked on",
            f"sends nothing for {settings.grpc.stream_idle:g} s",
            f"has at most {settings.grpc.max_message_bytes // mib} MiB, of which at most "
            f"{settings.grpc.max_metadata_bytes >> 10} KiB are no sample",
            f"most {settings.grpc.max_answer_bytes // mib} MiB, which is what gRPC clients take",
            f"At most {MAX_FILTERS}, as of the other filters",
            f"0 means {DEFAULT_PAGE}, more than {settings.grpc.max_page_size} means {settings.grpc.max_page_size}",
        ),
    }
    for name, phrases in promised.items():
        text = " ".join((PROTOS / f"{name}.proto").read_text(encoding="utf-8").replace("//", " ").split())
        missing = [phrase for phrase in phrases if phrase not in text]
        assert not missing, f"{name}.proto does not say: {missing}"

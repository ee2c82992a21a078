"""Every error becomes a status with a reason that clients can test, and nothing more than they should know."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

from likeness.client.errors import CLASSES, InvalidArgument, build, from_status
from likeness.domain import errors as domain
from likeness.domain.errors import ErrorKind, LikenessError, TooBusy
from likeness.rpc.errors import report_of, to_status


def every_error() -> list[type[LikenessError]]:
    found, queue = [], [LikenessError]
    while queue:
        kind = queue.pop()
        found.append(kind)
        queue += kind.__subclasses__()
    return [error for error in found if error.__module__ == domain.__name__]


def test_every_kind_is_a_status_code_of_its_own() -> None:
    codes = {grpc.StatusCode[kind.value] for kind in ErrorKind}
    assert len(codes) == len(ErrorKind)
    assert grpc.StatusCode.OK not in codes


def test_the_client_has_a_class_for_every_code_that_the_service_gives() -> None:
    assert {grpc.StatusCode[kind.value] for kind in ErrorKind} <= set(CLASSES)


@pytest.mark.parametrize("error", every_error())
def test_every_error_reaches_the_client_with_code_reason_message_and_metadata(
    error: type[LikenessError],
) -> None:
    report = report_of(error("what, and the remedy", metadata={"limit": "5"}))
    sent = rpc_status.to_status(to_status(report))
    seen = build(sent.code, sent.details, sent.trailing_metadata)
    assert seen.code == grpc.StatusCode[error.kind.value]
    assert (seen.message, seen.reason) == ("what, and the remedy", error.reason)
    assert seen.metadata == {"limit": "5"}
    assert type(seen) is CLASSES[seen.code]


def test_the_field_of_an_invalid_request_is_named() -> None:
    sent = rpc_status.to_status(to_status(report_of(domain.InvalidInput("k is 0", field="options.k"))))
    (violation,) = build(sent.code, sent.details, sent.trailing_metadata).field_violations
    assert (violation.field, violation.description) == ("options.k", "k is 0")


def test_a_busy_service_says_when_to_come_back() -> None:
    sent = rpc_status.to_status(to_status(report_of(TooBusy("full", retry_after=0.25))))
    seen = build(sent.code, sent.details, sent.trailing_metadata)
    assert seen.retry_after == 0.25
    assert seen.is_transient
    too_large = rpc_status.to_status(to_status(report_of(domain.Exhausted("too large"))))
    assert not build(too_large.code, too_large.details, too_large.trailing_metadata).is_transient


def test_an_unexpected_error_tells_an_incident_and_nothing_of_itself() -> None:
    report = report_of(ValueError("secret detail"))
    assert report.kind is ErrorKind.INTERNAL
    assert "secret" not in report.message
    assert report.metadata["incident"] in report.message
    assert report.metadata["incident"] != report_of(ValueError("secret detail")).metadata["incident"]


def test_what_is_too_long_for_a_trailer_is_cut() -> None:
    error = LikenessError("m" * 100_000, metadata={f"key {n}": "v" * 10_000 for n in range(100)})
    status = to_status(report_of(error))
    assert status.ByteSize() < 8192
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.reason == "INTERNAL"


def test_an_item_of_a_stream_is_refused_with_all_that_a_call_is() -> None:
    error = domain.InvalidInput("bad", field="sample.data", reason="EMPTY", metadata={"limit": "5"})
    refused = from_status(to_status(report_of(error)))
    assert isinstance(refused, InvalidArgument)
    assert (refused.reason, refused.message, refused.metadata) == ("EMPTY", "bad", {"limit": "5"})
    assert [violation.field for violation in refused.field_violations] == ["sample.data"]
    busy = from_status(to_status(report_of(TooBusy("full", retry_after=2.0))))
    assert (busy.retry_after, busy.is_transient) == (2.0, True)


def test_trailers_that_are_not_a_status_are_passed_over() -> None:
    seen = build(grpc.StatusCode.UNAVAILABLE, "gone", [("grpc-status-details-bin", b"\xff\xff"), ("x", "y")])
    assert (seen.message, seen.reason, seen.metadata) == ("gone", "", {})

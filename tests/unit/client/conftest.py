"""A server that fails as instructed, so that the client's own conduct can be seen."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

from likeness.v1 import face_pb2_grpc
from likeness.v1 import matching_pb2 as matching


def failure(code: grpc.StatusCode, *, retry_after: float | None = None) -> Any:
    """A status to abort with."""
    details = []
    if retry_after is not None:
        info = error_details_pb2.RetryInfo()
        info.retry_delay.FromNanoseconds(int(retry_after * 1e9))
        details.append(any_pb2.Any())
        details[0].Pack(info)
    status = status_pb2.Status(code=code.value[0], message="as instructed", details=details)
    return rpc_status.to_status(status)


class Script(face_pb2_grpc.FaceServiceServicer):
    """Answers enrolments; each single one first takes its turn from `failures`.

    `refusal`: what every stream is answered at once. `streams`: how many streams carried items.
    `break_after`: how many items of a stream are answered before it breaks; one number per stream.
    `refuse_once`: sequences of items that are rejected as transient the first time.
    """

    def __init__(self) -> None:
        self.failures: list[Any] = []
        self.break_after: list[int] = []
        self.refuse_once: set[int] = set()
        self.request_ids: list[str] = []
        self.refusal: Any = None
        self.refused = 0
        self.streams = 0

    def Enroll(self, request: matching.EnrollRequest, context: Any) -> matching.EnrollResponse:  # noqa: N802
        self.request_ids.append(request.request_id)
        if self.failures:
            context.abort_with_status(self.failures.pop(0))
        return matching.EnrollResponse(log_position=len(self.request_ids))

    def EnrollMany(  # noqa: N802
        self, request_iterator: Iterator[matching.EnrollManyRequest], context: Any
    ) -> Iterator[matching.EnrollManyResponse]:
        if self.refusal is not None:
            self.refused += 1
            context.abort_with_status(self.refusal)
        first = next(request_iterator, None)
        if first is None:
            return
        self.streams += 1
        left = self.break_after.pop(0) if self.break_after else 1 << 30
        for item in itertools.chain([first], request_iterator):
            if left == 0:
                context.abort_with_status(failure(grpc.StatusCode.UNAVAILABLE))
            left -= 1
            self.request_ids.append(item.enrolment.request_id)
            response = matching.EnrollManyResponse(sequence=item.sequence)
            if item.sequence in self.refuse_once:
                self.refuse_once.remove(item.sequence)
                response.rejected.code = grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
            else:
                response.enrolled.log_position = item.sequence
            yield response

    def _unused(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    Get = List = Update = Expunge = Search = SearchWithProgress = Compare = Analyze = _unused


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def address(script: Script) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(4))
    face_pb2_grpc.add_FaceServiceServicer_to_server(script, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()

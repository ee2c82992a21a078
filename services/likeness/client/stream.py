"""A stream of enrolments as seen from the client: what was sent and not yet answered. Does no input or output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc

from likeness.client import errors
from likeness.client.requests import Requests, SampleLike, new_request_id
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching

WINDOW = 16
"""Items sent and not yet answered; enough to keep a service busy, few enough to hold in memory."""

_CODES: Mapping[str, grpc.StatusCode] = {code.name: code for code in grpc.StatusCode}


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One item. A path is read when its turn comes. `tag` is the caller's own and comes back with the outcome."""

    sample: SampleLike
    metadata: common.ReferenceMetadata | None = None
    quality_override: str = ""
    request_id: str = field(default_factory=new_request_id)
    tag: object = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item: durable (`enrolled`), or refused with a reason (`rejected`)."""

    enrolment: Enrolment
    enrolled: matching.EnrollResponse | None = None
    rejected: common.Rejection | None = None


@dataclass(slots=True)
class _Sent:
    enrolment: Enrolment
    request: matching.EnrollManyRequest
    failures: int = 0


class Pending:
    """The items of one stream that have no outcome yet.

    Args:
        requests: builds the requests.
        window: the most items without an outcome.
        retries: how often one item is sent again after a refusal that may pass.
    """

    def __init__(self, requests: Requests, window: int, retries: int) -> None:
        self._requests = requests
        self._window = window
        self._retries = retries
        self._sent: dict[int, _Sent] = {}
        self._next = 1

    def __len__(self) -> int:
        return len(self._sent)

    @property
    def is_full(self) -> bool:
        """Whether an outcome must come before the next item."""
        return len(self._sent) >= self._window

    def admit(self, item: Enrolment) -> matching.EnrollManyRequest | Outcome:
        """The request to send, or the outcome of an item whose file cannot be read."""
        try:
            enrolment = self._requests.enroll(
                item.sample,
                metadata=item.metadata,
                quality_override=item.quality_override,
                request_id=item.request_id,
            )
        except OSError as error:
            message = (
                f"{item.sample!s} cannot be read ({error.strerror}); check the path and its permissions."
            )
            return Outcome(item, rejected=common.Rejection(reason="UNREADABLE_FILE", message=message))
        request = matching.EnrollManyRequest(sequence=self._next, enrolment=enrolment)
        self._sent[self._next] = _Sent(item, request)
        self._next += 1
        return request

    def unanswered(self) -> list[matching.EnrollManyRequest]:
        """What must be sent again over a new stream, in order, with the same request ids."""
        return [sent.request for sent in self._sent.values()]

    def settle(self, response: matching.EnrollManyResponse) -> Outcome | matching.EnrollManyRequest | None:
        """The outcome, or the request to send again, or None for an answer that was not waited for."""
        sent = self._sent.get(response.sequence)
        if sent is None:
            return None
        if response.HasField("rejected") and self._may_pass(response.rejected):
            sent.failures += 1
            if sent.failures <= self._retries:
                return sent.request
        del self._sent[response.sequence]
        if response.HasField("rejected"):
            return Outcome(sent.enrolment, rejected=response.rejected)
        return Outcome(sent.enrolment, enrolled=response.enrolled)

    @staticmethod
    def _may_pass(rejection: common.Rejection) -> bool:
        code = _CODES.get(rejection.metadata.get("code", ""), grpc.StatusCode.UNKNOWN)
        return errors.build(code, rejection.message).is_transient


def ended_early() -> errors.CallFailed:
    """The error of a stream that the service ended although something was still unanswered."""
    return errors.Unavailable(
        "The service ended the stream before everything in it was answered.", code=grpc.StatusCode.UNAVAILABLE
    )

"""A stream of enrolments as seen from the client: what was sent and not yet answered. Does no input or output."""

from __future__ import annotations

from dataclasses import dataclass, field

import grpc

from likeness.client import errors
from likeness.client.requests import Requests, SampleLike, new_request_id
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching

WINDOW = 16
"""Items sent and not yet answered; enough to keep a service busy, few enough to hold in memory."""


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
    """What became of one item: durable (`enrolled`), or refused with what `enroll` would raise (`rejected`)."""

    enrolment: Enrolment
    enrolled: matching.EnrollResponse | None = None
    rejected: errors.CallFailed | None = None


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
            unreadable = errors.InvalidArgument(
                message, code=grpc.StatusCode.INVALID_ARGUMENT, reason="UNREADABLE_FILE"
            )
            return Outcome(item, rejected=unreadable)
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
        rejected = errors.from_status(response.rejected) if response.HasField("rejected") else None
        if rejected is not None and rejected.is_transient:
            sent.failures += 1
            if sent.failures <= self._retries:
                return sent.request
        del self._sent[response.sequence]
        if rejected is not None:
            return Outcome(sent.enrolment, rejected=rejected)
        return Outcome(sent.enrolment, enrolled=response.enrolled)


def ended_early() -> errors.CallFailed:
    """The error of a stream that the service ended although something was still unanswered."""
    return errors.Unavailable(
        "The service ended the stream before everything in it was answered.", code=grpc.StatusCode.UNAVAILABLE
    )

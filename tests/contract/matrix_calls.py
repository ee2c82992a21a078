"""Every way to ask the service about one reference: all methods, those that stream as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from google.protobuf import field_mask_pb2
from google.protobuf.message import Message

from likeness.domain.access import Action
from likeness.v1 import common_pb2 as common
from likeness.v1 import face_pb2_grpc
from likeness.v1 import matching_pb2 as matching

ABSENT = "01a22144-ee73-7d76-9b03-cc79a7f67496"
PROBE = common.Sample(data=b"1,0")
POOR = common.Sample(data=b"1,0|q=10")
"""Too poor to be enrolled, so that to ask for it changes nothing."""

PRINCIPAL = "x-principal"
"""The metadata of a call that the service under test takes for the principal that is proven."""

MOST = 1000
"""Candidates and references in one answer: all."""


@dataclass(frozen=True)
class Target:
    """What is asked about: the id of a reference, the only gallery that it is in, and what it was enrolled by.

    The texts of all targets are of one length, so that answers about two of them can be compared byte for byte.
    """

    reference_id: str
    number: int

    @property
    def gallery(self) -> str:
        """That holds it alone."""
        return f"gallery-{self.number:04}"

    @property
    def request_id(self) -> str:
        """Of its enrolment."""
        return f"request-{self.number:04}"


NOWHERE = Target(ABSENT, 9999)
"""What was never enrolled."""


@dataclass(frozen=True)
class Asked:
    """By whom a call is made and about what. `frontline`: whether a search is by the frontline's profile."""

    caller: common.CallerContext
    target: Target
    frontline: bool
    principal: str

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with the call."""
        return ((PRINCIPAL, self.principal),)

    def request_id(self, method: str) -> str:
        """Of a change that this caller asks for."""
        return f"{method}-{self.principal}-{self.caller.purpose}-{self.target.number:04}"


Answers: TypeAlias = Sequence[Message]
Stub: TypeAlias = face_pb2_grpc.FaceServiceStub
Call: TypeAlias = Callable[[Stub, Asked], Answers]


def _get(stub: Stub, asked: Asked) -> Answers:
    request = matching.GetRequest(caller=asked.caller, reference_id=asked.target.reference_id)
    return [stub.Get(request, metadata=asked.metadata)]


def _update(stub: Stub, asked: Asked) -> Answers:
    request = matching.UpdateRequest(
        caller=asked.caller,
        request_id=asked.request_id("update"),
        reference_id=asked.target.reference_id,
        metadata=common.ReferenceMetadata(attributes={"seen": "yes"}),
        update_mask=field_mask_pb2.FieldMask(paths=["attributes"]),
    )
    return [stub.Update(request, metadata=asked.metadata)]


def _expunge(stub: Stub, asked: Asked) -> Answers:
    request = matching.ExpungeRequest(
        caller=asked.caller,
        request_id=asked.request_id("expunge"),
        reference_id=asked.target.reference_id,
    )
    return [stub.Expunge(request, metadata=asked.metadata)]


def _compare(stub: Stub, asked: Asked) -> Answers:
    request = matching.CompareRequest(
        caller=asked.caller,
        probe=matching.Comparand(sample=PROBE),
        candidate=matching.Comparand(reference_id=asked.target.reference_id),
    )
    return [stub.Compare(request, metadata=asked.metadata)]


def _searching(
    asked: Asked, galleries: Sequence[str], profile: common.Profile.ValueType
) -> matching.SearchRequest:
    options = common.SearchOptions(
        galleries=galleries,
        k=0 if asked.frontline else MOST,
        profile=common.PROFILE_FRONTLINE if asked.frontline else profile,
        group_by_subject=False,
    )
    return matching.SearchRequest(caller=asked.caller, probe=PROBE, options=options)


def _search(stub: Stub, asked: Asked) -> Answers:
    return _found(stub, asked, [asked.target.gallery])


def _search_all(stub: Stub, asked: Asked) -> Answers:
    return _found(stub, asked, [])


def _found(stub: Stub, asked: Asked, galleries: Sequence[str]) -> Answers:
    request = _searching(asked, galleries, common.PROFILE_INTERACTIVE)
    return [stub.Search(request, metadata=asked.metadata)]


def _search_with_progress(stub: Stub, asked: Asked) -> Answers:
    return _last(stub, asked, [asked.target.gallery])


def _search_all_with_progress(stub: Stub, asked: Asked) -> Answers:
    return _last(stub, asked, [])


def _last(stub: Stub, asked: Asked, galleries: Sequence[str]) -> Answers:
    """The answer at the end of a stream, which must have compared as many references as are searched."""
    request = _searching(asked, galleries, common.PROFILE_EXHAUSTIVE)
    updates = list(stub.SearchWithProgress(request, metadata=asked.metadata))
    answer = updates[-1].answer
    assert all(update.progress.total == answer.header.searched for update in updates[:-1])
    return [answer]


def _list(stub: Stub, asked: Asked) -> Answers:
    return [stub.List(_listing(asked, [asked.target.gallery]), metadata=asked.metadata)]


def _list_all(stub: Stub, asked: Asked) -> Answers:
    return [stub.List(_listing(asked, []), metadata=asked.metadata)]


def _listing(asked: Asked, galleries: Sequence[str]) -> matching.ListRequest:
    statuses = [common.STATUS_ACTIVE, common.STATUS_SUSPENDED, common.STATUS_EXPUNGED]
    return matching.ListRequest(caller=asked.caller, galleries=galleries, statuses=statuses, page_size=MOST)


def _enroll(stub: Stub, asked: Asked) -> Answers:
    return [stub.Enroll(_enrolling(asked), metadata=asked.metadata)]


def _enroll_many(stub: Stub, asked: Asked) -> Answers:
    items = iter([matching.EnrollManyRequest(sequence=1, enrolment=_enrolling(asked))])
    return list(stub.EnrollMany(items, metadata=asked.metadata))


def _enrolling(asked: Asked) -> matching.EnrollRequest:
    return matching.EnrollRequest(caller=asked.caller, request_id=asked.target.request_id, sample=POOR)


def _analyze(stub: Stub, asked: Asked) -> Answers:
    request = matching.AnalyzeRequest(caller=asked.caller, sample=PROBE)
    return [stub.Analyze(request, metadata=asked.metadata)]


ABOUT_ONE: Mapping[str, tuple[Action, Call]] = {
    "Get": (Action.GET, _get),
    "Update": (Action.UPDATE, _update),
    "Compare": (Action.COMPARE, _compare),
    "Search": (Action.SEARCH, _search),
    "SearchWithProgress": (Action.SEARCH, _search_with_progress),
    "List": (Action.LIST, _list),
    "Enroll": (Action.ENROLL, _enroll),
    "EnrollMany": (Action.ENROLL, _enroll_many),
    "Expunge": (Action.EXPUNGE, _expunge),
}
"""What asks about one reference: by its id, its gallery or the request that enrolled it. Expunge comes last, for it
changes what the others are answered."""

ABOUT_ALL: Mapping[str, tuple[Action, Call]] = {
    "Search": (Action.SEARCH, _search_all),
    "SearchWithProgress": (Action.SEARCH, _search_all_with_progress),
    "List": (Action.LIST, _list_all),
    "Analyze": (Action.ANALYZE, _analyze),
}
"""What asks about no reference in particular."""

"""A hub of countries behind the real service, and what it answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from likeness.access.judging import CedarAccess
from likeness.app.settings import load
from likeness.domain.access import Principal
from likeness.domain.changes import RequestKey
from likeness.domain.quotas import QuotaLimits
from likeness.domain.references import Caller, Facets, Reference, Status
from likeness.domain.samples import Sample
from likeness.engine.engine import Engine, Enrolled, Enrolment
from likeness.rpc.convert.enums import purpose_value
from likeness.rpc.identity import AuthContext, Metadata
from likeness.testing.composition import LocalComposition
from likeness.testing.server import LocalServer
from likeness.testing.vectors import VectorModality
from likeness.v1 import common_pb2 as common
from likeness.v1 import face_pb2_grpc
from likeness.v1 import matching_pb2 as matching
from tests.contract.matrix_calls import NOWHERE, PRINCIPAL, Answers, Asked, Call, Target
from tests.oracle.access.cases import COUNTRIES, ROLES, Asking, Held
from tests.unit.access.hub import DIRECTORY, hub

_UNLIMITED = QuotaLimits(hour=10**9, day=10**9, subject=10**9, probe=10**9)


@dataclass(frozen=True)
class Outcome:
    """What a call was answered: `reason` of the refusal or "", `answers` without what differs from call to call,
    and as `content` all of it in bytes, with the names of the target taken out."""

    reason: str
    answers: Answers
    content: bytes


def directory() -> str:
    """One principal for every role and entity."""
    places = DIRECTORY.partition("[principals")[0]
    principals = (
        f'[principals."{principal(role, entity)}"]\nentities = ["{entity}"]\nroles = ["{role}"]\n'
        for role in ROLES
        for entity in COUNTRIES
    )
    return places + "".join(principals)


def principal(role: str, entity: str) -> str:
    """The SPIFFE identifier of who calls in a role for an entity."""
    return f"spiffe://hub.test/{entity.lower()}/{role}"


def prove(auth_context: AuthContext, metadata: Metadata) -> Principal:
    """Whoever the call names is taken as proven."""
    del auth_context
    return Principal(str(dict(metadata).get(PRINCIPAL, "")))


@contextmanager
def serving(
    home: Path, modality: VectorModality
) -> Iterator[tuple[LocalServer[LocalComposition], CedarAccess]]:
    """The real service over a home folder, judged by the policies that ship."""
    home.mkdir(parents=True, exist_ok=True)
    access, _ = hub(home, directory=directory())
    settings = load(environment={}, overrides={"home": home / "data", "address": "127.0.0.1:0"})
    server = LocalServer(
        settings,
        lambda given: LocalComposition.open(given.home, modality, limits=_UNLIMITED),
        access=access,
        prove=prove,
    )
    with server:
        yield server, access


def hold(engine: Engine, held: Sequence[Held]) -> Mapping[Held, Target]:
    """Enrol references; the earlier, the more like the probe."""
    made = engine.enrol_many(_enrolment(number, one) for number, one in enumerate(held))
    targets = {}
    for number, (one, answer) in enumerate(zip(held, made, strict=True)):
        assert isinstance(answer, Enrolled)
        targets[one] = Target(answer.reference.reference_id, number)
        if one.status is Status.EXPUNGED:
            key = _key(one.owner, f"expunge-{number:04}")
            engine.expunge(Caller(one.owner), key, answer.reference.reference_id, reason="")
    return targets


def _enrolment(number: int, held: Held) -> Enrolment:
    status = Status.SUSPENDED if held.status is Status.SUSPENDED else Status.ACTIVE
    target = Target("", number)
    facets = Facets(held.owner, frozenset({target.gallery}), held.category, status, held.restrictions)
    return Enrolment(
        Caller(held.owner),
        _key(held.owner, target.request_id),
        Reference("", "face", facets, subject_id=f"subject {number}"),
        Sample(b"1,%f" % (number / 2000)),
    )


def _key(owner: str, request_id: str) -> RequestKey:
    return RequestKey(owner, request_id, hashlib.sha256(request_id.encode()).digest())


class Door:
    """Asks a service over a real connection."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address)
        self._stub = face_pb2_grpc.FaceServiceStub(self._channel)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def ask(self, asking: Asking, call: Call, target: Target = NOWHERE) -> Outcome:
        """Make one call."""
        asked = Asked(
            common.CallerContext(entity=asking.entity, purpose=purpose_value(asking.purpose)),
            target,
            asking.frontline,
            principal(asking.role, asking.entity),
        )
        try:
            answers = call(self._stub, asked)
        except grpc.RpcError as error:
            return _refusal(error, target)
        reason = "".join(map(_settled, answers))
        content = b"\n".join(answer.SerializeToString(deterministic=True) for answer in answers)
        return Outcome(reason, answers, _nameless(content, target))


def _refusal(error: Any, target: Target) -> Outcome:
    """Code, message and details."""
    trailers = {item.key: item.value for item in error.trailing_metadata()}
    details = trailers.pop("grpc-status-details-bin", b"")
    content = repr((error.code(), error.details(), sorted(trailers.items()))).encode()
    status = status_pb2.Status.FromString(details)
    return Outcome(_ordered(status), (), _nameless(content + status.SerializeToString(), target))


def _ordered(status: Any) -> str:
    """Write metadata, which is in no order, in one that is the same in every process; returns the reason."""
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info):
            detail.value = info.SerializeToString(deterministic=True)
    return str(info.reason)


def _settled(answer: Any) -> str:
    """Take out what differs from call to call: the time, and positions in log and audit.

    Returns the reason of an item that was rejected, else "".
    """
    if isinstance(answer, matching.EnrollManyResponse):
        return _ordered(answer.rejected)
    if isinstance(answer, matching.AnalyzeResponse):
        answer.ClearField("analyze_time")
    if isinstance(answer, matching.SearchResponse | matching.CompareResponse):
        header = answer.header
        header.log_position = header.audit_position = 0
        header.audit_digest = ""
    return ""


def _nameless(content: bytes, target: Target) -> bytes:
    for name in (target.reference_id, target.gallery, target.request_id):
        content = content.replace(name.encode(), b"?" * len(name))
    return content

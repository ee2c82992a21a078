"""Every call that was judged leaves one entry, with what was asked and answered, before its caller is answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from likeness.app.settings import load
from likeness.client import (
    AlreadyExists,
    CallFailed,
    Enrolment,
    FailedPrecondition,
    InvalidArgument,
    LikenessClient,
    NotFound,
    PermissionDenied,
    Unauthenticated,
    metadata,
    reference,
)
from likeness.domain.access import Access, Action, Asked, Grant, Level, Principal
from likeness.domain.audit import AuditEntry, AuditShown
from likeness.domain.errors import Denied, Unavailable
from likeness.domain.quotas import DAY, Charge
from likeness.domain.references import Purpose
from likeness.engine.store_upkeep import StoreUpkeep
from likeness.rpc.identity import AuthContext, Metadata
from likeness.store.store import Store
from likeness.testing.server import LocalServer
from tests.contract.conftest import HoldingModality, Served, composing
from tests.waiting import eventually

SERVING = health_pb2.HealthCheckResponse.SERVING
PROVEN = Principal("spiffe://fr.example/case-system", "https://idp.example#7", "Jane Roe")
OTHERS = "NCB-ZZ"
"""An entity that may do nothing."""


class Gatekeeper:
    """Lets everybody do everything, but for one entity."""

    policy = "ab12"

    def judge(self, asked: Asked) -> Grant:
        """See `Access.judge`."""
        if asked.caller.entity == OTHERS:
            refusal = Denied("No policy lets this entity call.")
            refusal.decided_by = ("forbid-others",)
            raise refusal
        return Grant(principal=asked.principal, policy=self.policy, decided_by=("allow-all",))


def prove(auth_context: AuthContext, metadata: Metadata) -> Principal:
    """Every peer is the same one."""
    del auth_context, metadata
    return PROVEN


@pytest.fixture
def judged(tmp_path: Path, modality: HoldingModality) -> Iterator[Served]:
    """A server whose peers are proven and judged."""
    settings = load(environment={}, overrides={"home": tmp_path / "judged", "address": "127.0.0.1:0"})
    access: Access = Gatekeeper()
    with LocalServer(settings, composing(modality), access=access, prove=prove) as served:
        yield served


def record(served: Served) -> list[AuditEntry]:
    """All entries, oldest first."""
    return [each.entry for each in served.composition.store.audit_entries(limit=1000)]


Call = Callable[[LikenessClient, str], object]
CALLS: dict[Action, Call] = {
    Action.ENROLL: lambda client, _: client.face.enroll(b"0,1,0"),
    Action.GET: lambda client, known: client.face.get(known),
    Action.LIST: lambda client, _: list(client.face.list()),
    Action.UPDATE: lambda client, known: client.face.update(known, metadata(category="wanted")),
    Action.SEARCH: lambda client, _: client.face.search(b"1,0,0"),
    Action.COMPARE: lambda client, known: client.face.compare(b"1,0,0", reference(known)),
    Action.ANALYZE: lambda client, _: client.face.analyze(b"1,0,0"),
    Action.EXPUNGE: lambda client, known: client.face.expunge(known, "done"),
}

SHOWS = {Action.GET, Action.LIST, Action.COMPARE}


@pytest.mark.parametrize("action", CALLS)
def test_every_method_leaves_one_entry_of_who_asked_and_what_was_answered(
    judged: Served, action: Action
) -> None:
    client = judged.client(case_reference="2026-7", operator="a clerk")
    known = client.face.enroll(b"1,0,0").reference.reference_id
    CALLS[action](client, known)
    (_, entry) = record(judged)
    assert (entry.rpc, entry.outcome, entry.modality) == (action.value, "OK", "face")
    assert (entry.caller.entity, entry.caller.purpose) == ("NCB-AA", Purpose.WANTED_PERSON)
    assert (entry.caller.case_reference, entry.caller.operator) == ("2026-7", "Jane Roe")
    assert (entry.principal, entry.person) == (PROVEN.name, PROVEN.person)
    assert (entry.policy, entry.decided_by) == ("ab12", ("allow-all",))
    if action in SHOWS:
        assert entry.shown == (AuditShown("NCB-AA", Level.FULL, (known,)),)
    elif action is Action.SEARCH:
        assert list(entry.answered()) == [(known, "NCB-AA", Level.FULL)]
    if action in {Action.SEARCH, Action.ANALYZE}:
        assert entry.probe == judged.composition.store.probe_digest(b"1,0,0")


@pytest.mark.parametrize("action", CALLS)
def test_a_denied_call_of_every_method_leaves_one_entry(judged: Served, action: Action) -> None:
    known = judged.client().face.enroll(b"1,0,0").reference.reference_id
    with pytest.raises(PermissionDenied):
        CALLS[action](judged.client(entity=OTHERS), known)
    (_, entry) = record(judged)
    assert (entry.rpc, entry.outcome, entry.caller.entity) == (action.value, "PERMISSION_DENIED", OTHERS)
    assert (entry.principal, entry.policy, entry.shown) == (PROVEN.name, "ab12", ())
    assert entry.decided_by == ("forbid-others",)
    if action in {Action.GET, Action.UPDATE, Action.EXPUNGE}:
        assert entry.details == {"reference_id": known}
    if action is Action.COMPARE:
        assert entry.details == {"sides": [judged.composition.store.probe_digest(b"1,0,0"), known]}


def test_the_entry_of_a_refused_search_says_what_it_asked_for(judged: Served) -> None:
    other = judged.client(entity=OTHERS)
    galleries, owners, categories = ["wanted", "missing"], ["NCB-AA"], ["wanted"]
    with pytest.raises(PermissionDenied):
        other.face.search(
            b"1,0,0",
            galleries=galleries,
            owners=owners,
            categories=categories,
            k=7,
            max_fmr=0.01,
            exhaustive=True,
        )
    with pytest.raises(PermissionDenied):
        list(
            other.face.list(galleries=galleries, owners=owners, categories=categories, statuses=["suspended"])
        )
    search, listed = record(judged)
    expected = {"galleries": ["missing", "wanted"], "owners": ["NCB-AA"], "categories": ["wanted"]}
    assert (search.filters, listed.filters) == (expected, {**expected, "statuses": ["suspended"]})
    assert search.options == {
        "k": 7,
        "max_fmr": 0.01,
        "exhaustive": True,
        "frontline": False,
        "lights_out": False,
    }


def test_what_fails_after_it_was_judged_leaves_one_entry_with_the_reason(
    served: Served, client: LikenessClient
) -> None:
    known = client.face.enroll(b"1,0,0", request_id="once").reference.reference_id
    other = served.client(entity="NCB-BB")
    failures: list[tuple[type[CallFailed], Callable[[], object]]] = [
        (NotFound, lambda: client.face.get("nothing")),
        (PermissionDenied, lambda: other.face.expunge(known, "not mine")),
        (AlreadyExists, lambda: client.face.enroll(b"0,1,0", request_id="once")),
        (InvalidArgument, lambda: client.face.search(b"")),
        (InvalidArgument, lambda: served.client(purpose="unspecified").face.search(b"1,0,0")),
        (FailedPrecondition, lambda: client.fingerprint.search(b"1,0,0")),
    ]
    for kind, call in failures:
        with pytest.raises(kind):
            call()
    got = [(entry.rpc, entry.outcome, entry.caller.entity) for entry in record(served)[1:]]
    assert got == [
        ("Get", "NOT_FOUND", "NCB-AA"),
        ("Expunge", "NOT_THE_OWNER", "NCB-BB"),
        ("Enroll", "REQUEST_ID_REUSED", "NCB-AA"),
        ("Search", "EMPTY_SAMPLE", "NCB-AA"),
        ("Search", "PURPOSE_REQUIRED", "NCB-AA"),
        ("Search", "MODALITY_NOT_SERVED", "NCB-AA"),
    ]


def test_a_replay_leaves_an_entry_that_says_so(served: Served, client: LikenessClient) -> None:
    first = client.face.enroll(b"1,0,0", request_id="r-1")
    client.face.enroll(b"1,0,0", request_id="r-1")
    for _ in range(2):
        client.face.expunge(first.reference.reference_id, "done", request_id="r-2")
    entries = record(served)
    assert [(entry.rpc, entry.details.get("replayed", False)) for entry in entries] == [
        ("Enroll", False),
        ("Enroll", True),
        ("Expunge", False),
        ("Expunge", True),
    ]
    assert {entry.details["reference_id"] for entry in entries} == {first.reference.reference_id}


def test_every_item_of_a_stream_leaves_one_entry(served: Served, client: LikenessClient) -> None:
    items = [Enrolment(data) for data in (b"1,0,0", b"", b"0,1,0")]
    assert len(list(client.face.enroll_many(items))) == len(items)
    assert sorted((entry.rpc, entry.outcome) for entry in record(served)) == [
        ("Enroll", "EMPTY_SAMPLE"),
        ("Enroll", "OK"),
        ("Enroll", "OK"),
    ]


def test_a_call_of_nobody_is_not_recorded_and_one_of_a_proven_peer_is(judged: Served, served: Served) -> None:
    for server in (judged, served):
        with pytest.raises(Unauthenticated):
            server.client(entity="").face.get("x")
    (entry,) = record(judged)
    assert (entry.rpc, entry.outcome, entry.caller.entity) == ("Get", "CALLER_UNKNOWN", "")
    assert entry.principal == PROVEN.name
    assert record(served) == []


@pytest.mark.parametrize("action", CALLS)
def test_nothing_is_answered_that_cannot_be_recorded(
    judged: Served, action: Action, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, other = judged.client(retries=0), judged.client(retries=0, entity=OTHERS)
    known = client.face.enroll(b"1,0,0").reference.reference_id
    monkeypatch.setattr(judged.composition.store._writer, "_commit", _broken)
    for caller in (client, other):
        with pytest.raises(CallFailed) as refusal:
            CALLS[action](caller, known)
        assert refusal.value.reason == "STORAGE_UNAVAILABLE"


def test_a_service_that_cannot_record_is_not_ready_until_it_can(
    judged: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, client = judged.composition.store, judged.client(retries=0)
    upkeep = StoreUpkeep(store)
    with grpc.insecure_channel(judged.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)

        def ready(service: str) -> bool:
            return bool(stub.Check(health_pb2.HealthCheckRequest(service=service)).status == SERVING)

        assert ready("")
        with monkeypatch.context() as broken:
            broken.setattr(store._writer, "_commit", _broken)
            with pytest.raises(CallFailed):
                client.face.list(timeout=60).__next__()
            eventually(lambda: not ready(""))
            assert not ready("likeness.v1.FaceService")
            assert ready("live")
            with pytest.raises(Unavailable):
                upkeep.tick()
            assert not ready("")
        upkeep.tick()
        eventually(lambda: ready(""))
    assert [entry.rpc for entry in record(judged)] == ["Resume"]
    upkeep.close()


def test_refusals_beyond_the_quota_are_refused_without_their_reason_and_on_record_by_number(
    tmp_path: Path, modality: HoldingModality, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = (int(time.time()) // DAY + 2) * DAY
    monkeypatch.setattr(Charge, "ends", lambda *_: ends)  # no window ends within the test
    home = tmp_path / "flooded"
    given = {"home": home, "address": "127.0.0.1:0", "quotas.refusals": 2}
    settings = load(environment={}, overrides=given)
    with LocalServer(settings, composing(modality), access=Gatekeeper(), prove=prove) as served:
        client, other = served.client(retries=0), served.client(retries=0, entity=OTHERS)
        refused = [lambda: client.face.get("nothing"), lambda: other.face.get("nothing")]
        for number in range(8):
            with pytest.raises(CallFailed) as failed:
                refused[number % 2]()
            own = ("NOT_FOUND", "PERMISSION_DENIED")[number % 2]
            assert failed.value.reason == (own if number < 2 else "QUOTA_OF_REFUSALS")
            assert failed.value.code.name == (own if number < 2 else "RESOURCE_EXHAUSTED")
        (rejected,) = client.face.enroll_many([Enrolment(b"")])
        assert rejected.rejected is not None
        assert rejected.rejected.reason == "QUOTA_OF_REFUSALS"
        client.face.search(b"1,0,0")
        found = [(entry.rpc, entry.outcome) for entry in record(served)]
        further = ("Refusals", "QUOTA_OF_REFUSALS")
        assert found == [("Get", "NOT_FOUND"), ("Get", "PERMISSION_DENIED"), *[further] * 3, ("Search", "OK")]
    with Store.open(home, key_file=home / "keys.json") as store:
        last = store.audit_entries(limit=1000)[-1].entry
    assert (last.rpc, last.details["further"], last.principal) == ("Refusals", 7, PROVEN.name)


def test_a_request_that_cannot_be_read_is_recorded_where_it_is_proven_whose_it_is(
    judged: Served, served: Served
) -> None:
    for server in (judged, served):
        with grpc.insecure_channel(server.address) as channel:
            call = channel.unary_unary("/likeness.v1.FaceService/Get", bytes, bytes)
            with pytest.raises(grpc.RpcError):
                call(b"\xff\xff")
    (entry,) = record(judged)
    assert (entry.rpc, entry.outcome, entry.principal) == ("Get", "MALFORMED_MESSAGE", PROVEN.name)
    assert record(served) == []


def _broken(_: object) -> object:
    raise Unavailable("The disk has gone.", reason="STORAGE_UNAVAILABLE")

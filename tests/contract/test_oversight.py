"""The real server over mutual TLS: a bureau cuts its entities off, and reads who received its references."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import grpc
import pytest

from likeness.access.judging import CedarAccess
from likeness.access.sources import Sources
from likeness.access.suspensions import read_suspensions, suspend
from likeness.client import (
    AsyncLikenessClient,
    CallFailed,
    Enrolment,
    FailedPrecondition,
    InvalidArgument,
    LikenessClient,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
    metadata,
)
from likeness.domain.audit import AuditEntry
from likeness.domain.errors import InvalidInput
from likeness.domain.references import Caller
from likeness.engine import oversight as engine
from likeness.protocol import OVERSIGHT, SERVICES
from likeness.rpc.oversight import READINGS_OF_ENTITY, RETRY_AFTER_READING
from likeness.store.store import Store
from likeness.telemetry import metrics
from likeness.v1 import common_pb2 as common
from likeness.v1 import oversight_pb2 as oversight
from tests.certificates import TRUST_DOMAIN, ServerFiles, credentials
from tests.contract.conftest import HoldingModality, Served
from tests.contract.test_unwritable import read_only
from tests.unit.access.hub import hub
from tests.waiting import PATIENCE, eventually

SAMPLE = b"1,0,0"
CLOSE = b"1,0.1,0"
FACE = next(service.name for service in SERVICES if service.modality == "face")
NEVER = 60.0
"""Seconds between two looks at the files: what a call changes is not found by looking."""

DIRECTORY = f"""
[countries.AA]
[countries.BB]
[bureaus.NCB-AA]
country = "AA"
[bureaus.CUSTOMS-AA]
country = "AA"
[bureaus.NCB-BB]
country = "BB"
[entities.AA-POLICE]
bureau = "NCB-AA"
[entities.AA-BORDER]
bureau = "NCB-AA"
[entities.AA-HARBOUR]
bureau = "NCB-AA"
[entities.AA-CUSTOMS]
bureau = "CUSTOMS-AA"
[entities.BB-POLICE]
bureau = "NCB-BB"
[principals."spiffe://{TRUST_DOMAIN}/aa/supervisor"]
bureaus = ["NCB-AA"]
roles = ["supervisor"]
[principals."spiffe://{TRUST_DOMAIN}/aa/owner"]
bureaus = ["NCB-AA"]
roles = ["data_owner"]
[principals."spiffe://{TRUST_DOMAIN}/aa/police-supervisor"]
entities = ["AA-POLICE", "AA-BORDER"]
roles = ["supervisor"]
[principals."spiffe://{TRUST_DOMAIN}/aa/police"]
entities = ["AA-POLICE"]
roles = ["case_system", "data_owner"]
[principals."spiffe://{TRUST_DOMAIN}/aa/auditor"]
entities = ["AA-POLICE"]
roles = ["auditor"]
[principals."spiffe://{TRUST_DOMAIN}/bb/police"]
entities = ["BB-POLICE"]
roles = ["examiner", "data_owner"]
"""


class Hub:
    """A server with policies, and clients of it with certificates of their own."""

    def __init__(self, prepare: Callable[..., Served], folder: Path, poll_seconds: float = NEVER) -> None:
        self.folder = folder
        self.access: CedarAccess
        self.access, _ = hub(folder, directory=DIRECTORY)
        files = ServerFiles(folder / "tls").write()
        given = {"access.poll_seconds": poll_seconds, **files.settings}
        self.served = prepare(access=self.access, **given).start()

    def client(self, principal: str, entity: str, **given: Any) -> LikenessClient:
        name = f"spiffe://{TRUST_DOMAIN}/{principal}"
        return self.served.client(credentials=credentials(name), entity=entity, retries=0, **given)

    @property
    def bureau(self) -> LikenessClient:
        return self.client("aa/supervisor", "AA-BORDER", purpose="unspecified")

    @property
    def police(self) -> LikenessClient:
        return self.client("aa/police", "AA-POLICE")

    @property
    def entries(self) -> list[AuditEntry]:
        return [record.entry for record in self.served.composition.store.audit_entries(limit=1000)]

    def suspended(self) -> set[str]:
        file = self.folder / "suspended.json"
        return set(read_suspensions(file.read_bytes(), "f")) if file.exists() else set()


@pytest.fixture
def country_hub(prepare: Callable[..., Served], tmp_path: Path) -> Hub:
    return Hub(prepare, tmp_path)


def test_an_open_stream_ends_when_its_bureau_cuts_its_entity_off(
    country_hub: Hub, modality: HoldingModality
) -> None:
    in_flight = metrics.rpc_in_flight(FACE, "EnrollMany")
    bureau = country_hub.bureau

    def items() -> Iterator[Enrolment]:
        yield Enrolment(SAMPLE, request_id="1")
        eventually(lambda: modality.seen == [SAMPLE])
        bureau.oversight.suspend("AA-POLICE", "key lost")
        eventually(lambda: in_flight._value.get() == 0)
        yield Enrolment(SAMPLE, request_id="2")

    with pytest.raises(PermissionDenied) as denied:
        list(country_hub.police.face.enroll_many(items()))
    assert denied.value.reason == "ENTITY_SUSPENDED"
    assert country_hub.suspended() == {"AA-POLICE"}


def test_an_open_stream_ends_although_whoever_cut_its_entity_off_has_gone_away(
    prepare: Callable[..., Served], tmp_path: Path, modality: HoldingModality
) -> None:
    """The rules are in force then, and nobody but the next look finds the calls that they end."""
    often = Hub(prepare, tmp_path, poll_seconds=0.02)
    in_flight = metrics.rpc_in_flight(FACE, "EnrollMany")

    def items() -> Iterator[Enrolment]:
        yield Enrolment(SAMPLE, request_id="1")
        eventually(lambda: modality.seen == [SAMPLE])
        often.access.suspend(Caller("AA-BORDER"), "AA-POLICE", "key lost", lambda: 0)
        eventually(lambda: in_flight._value.get() == 0)
        yield Enrolment(SAMPLE, request_id="2")

    with pytest.raises(PermissionDenied) as denied:
        list(often.police.face.enroll_many(items()))
    assert denied.value.reason == "ENTITY_SUSPENDED"


def test_an_entity_reads_so_many_records_at_once(
    country_hub: Hub, received: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, reading, go_on = Store.received, threading.Semaphore(0), threading.Event()

    def held(*given: Any) -> object:
        reading.release()
        assert go_on.wait(PATIENCE)
        return read(*given)

    monkeypatch.setattr(Store, "received", held)
    owner = country_hub.client("aa/owner", "AA-POLICE").oversight
    counts: list[int] = []
    readers = [
        threading.Thread(target=lambda: counts.append(len(list(owner.record()))))
        for _ in range(READINGS_OF_ENTITY)
    ]
    for reader in readers:
        reader.start()
        assert reading.acquire(timeout=PATIENCE)
    with pytest.raises(ResourceExhausted) as refused:
        list(owner.record())
    assert (refused.value.reason, refused.value.retry_after) == ("TOO_BUSY", RETRY_AFTER_READING)
    other = threading.Thread(
        target=lambda: list(country_hub.client("bb/police", "BB-POLICE").oversight.record())
    )
    other.start()
    assert reading.acquire(timeout=PATIENCE)
    go_on.set()
    for reader in (*readers, other):
        reader.join()
    assert counts == [len(list(owner.record()))] * READINGS_OF_ENTITY


def test_a_record_that_is_read_ends_when_its_reader_is_cut_off(
    country_hub: Hub, received: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two stretches, of which the second comes when the reader is cut off."""
    monkeypatch.setattr(engine, "STRETCH", 1)
    read, reading, go_on = Store.received, threading.Event(), threading.Event()

    def held(*given: Any) -> object:
        reading.set()
        assert go_on.wait(PATIENCE)
        return read(*given)

    monkeypatch.setattr(Store, "received", held)
    rows = country_hub.client("aa/auditor", "AA-POLICE").oversight.record()
    caught = list[PermissionDenied]()

    def receive() -> None:
        with pytest.raises(PermissionDenied) as denied:
            list(rows)
        caught.append(denied.value)

    receiving = threading.Thread(target=receive)
    receiving.start()
    assert reading.wait(PATIENCE)
    country_hub.bureau.oversight.suspend("AA-POLICE", "key lost")
    receiving.join()
    go_on.set()
    assert caught[0].reason == "ENTITY_SUSPENDED"
    acts = [(entry.rpc, entry.outcome) for entry in country_hub.entries]
    assert acts.count(("ReadRecord", "OK")) == 1
    assert ("ReadRecord", "ENTITY_SUSPENDED") not in acts


def test_a_search_under_way_ends_when_its_bureau_cuts_its_entity_off(
    country_hub: Hub, modality: HoldingModality
) -> None:
    client, caught = country_hub.police, list[PermissionDenied]()

    def search() -> None:
        with pytest.raises(PermissionDenied) as denied:
            client.face.search(b"1,0,0|hold")
        caught.append(denied.value)

    searching = threading.Thread(target=search)
    searching.start()
    modality.wait_until_inside()
    country_hub.bureau.oversight.suspend("AA-POLICE", "key lost")
    searching.join()
    assert caught[0].reason == "ENTITY_SUSPENDED"


def test_what_is_cut_off_is_listed_and_resumed(country_hub: Hub) -> None:
    bureau, police = country_hub.bureau.oversight, country_hub.police
    done = bureau.suspend("AA-POLICE", "key lost")
    (row,) = bureau.suspensions()
    assert row == done.suspension
    assert (row.entity, row.reason) == ("AA-POLICE", "key lost")
    assert row.by == f"spiffe://{TRUST_DOMAIN}/aa/supervisor"
    assert row.audit_position == done.header.audit_position
    with pytest.raises(PermissionDenied) as denied:
        police.face.search(SAMPLE)
    assert denied.value.reason == "ENTITY_SUSPENDED"
    assert bureau.resume("AA-POLICE").resumed
    assert not bureau.resume("AA-POLICE").resumed
    assert list(bureau.suspensions()) == []
    police.face.search(SAMPLE)


def test_the_asynchronous_client_oversees_too(country_hub: Hub, received: tuple[str, str]) -> None:
    async def oversee() -> tuple[list[str], set[str]]:
        given = credentials(f"spiffe://{TRUST_DOMAIN}/aa/owner")
        address = country_hub.served.address
        async with AsyncLikenessClient(
            address, entity="AA-POLICE", credentials=given, timeout=PATIENCE
        ) as client:
            await client.oversight.suspend("AA-BORDER", "key lost")
            names = [row.entity async for row in client.oversight.suspensions()]
            assert (await client.oversight.resume("AA-BORDER")).resumed
            return names, {row.reference_id async for row in client.oversight.record()}

    assert asyncio.run(oversee()) == (["AA-BORDER"], set(received))


def test_what_is_cut_off_is_listed_page_by_page(country_hub: Hub) -> None:
    country_hub.client("aa/owner", "AA-HARBOUR").oversight.suspend("AA-POLICE", "key lost")
    country_hub.client("aa/owner", "AA-HARBOUR").oversight.suspend("AA-BORDER", "key lost")
    stub, caller = stub_of(country_hub, "aa/owner"), common.CallerContext(entity="AA-HARBOUR")
    names, token = list[list[str]](), ""
    while not names or token:
        request = oversight.ListSuspensionsRequest(caller=caller, page_size=1, page_token=token)
        page = stub.ListSuspensions(request)
        names.append([row.entity for row in page.suspensions])
        token = page.next_page_token
    assert names == [["AA-BORDER"], ["AA-POLICE"]]
    with pytest.raises(grpc.RpcError, match="page_token"):
        malformed = "%"
        stub.ListSuspensions(oversight.ListSuspensionsRequest(caller=caller, page_token=malformed))


def stub_of(country_hub: Hub, principal: str) -> Any:
    given = credentials(f"spiffe://{TRUST_DOMAIN}/{principal}")
    return OVERSIGHT.stub(grpc.secure_channel(country_hub.served.address, given))


def test_an_entity_of_another_bureau_is_answered_as_one_that_does_not_exist(country_hub: Hub) -> None:
    bureau = country_hub.bureau.oversight
    names = ("AA-CUSTOMS", "BB-POLICE", "XX-NOBODY")
    for act in (lambda name: bureau.suspend(name, "why"), bureau.resume):
        answers = set()
        for name in names:
            with pytest.raises(PermissionDenied) as denied:
                act(name)
            error = denied.value
            metadata = tuple(sorted((key, value.replace(name, "?")) for key, value in error.metadata.items()))
            answers.add((error.reason, error.message.replace(name, "?"), metadata))
        (only,) = answers
        assert only[0] == "NOT_PERMITTED_BY_POLICY"
    assert country_hub.suspended() == set()


@pytest.mark.parametrize(
    ("principal", "entity"),
    [
        ("aa/police-supervisor", "AA-BORDER"),
        ("aa/police", "AA-POLICE"),
        ("aa/auditor", "AA-POLICE"),
        ("bb/police", "BB-POLICE"),
    ],
)
def test_who_does_not_stand_for_the_bureau_cuts_nobody_off(
    country_hub: Hub, principal: str, entity: str
) -> None:
    client = country_hub.client(principal, entity).oversight
    other = "AA-BORDER" if entity == "AA-POLICE" else "AA-POLICE"
    for act in (lambda: client.suspend(other, "why"), lambda: client.resume(other)):
        with pytest.raises(PermissionDenied) as denied:
            act()
        assert denied.value.reason == "NOT_PERMITTED_BY_POLICY"
    assert country_hub.suspended() == set()


def test_nobody_cuts_itself_off_nor_is_left_without_who_can_resume(country_hub: Hub) -> None:
    with pytest.raises(InvalidArgument) as refused:
        country_hub.bureau.oversight.suspend("AA-BORDER", "a mistake")
    assert refused.value.reason == "SUSPENDS_ITSELF"
    country_hub.client("aa/owner", "AA-POLICE").oversight.suspend("AA-BORDER", "key lost")
    with pytest.raises(PermissionDenied) as denied:
        country_hub.bureau.oversight.suspend("AA-POLICE", "revenge")
    assert denied.value.reason == "ENTITY_SUSPENDED"
    assert country_hub.suspended() == {"AA-BORDER"}


def test_every_act_leaves_one_entry_of_who_did_what(country_hub: Hub) -> None:
    bureau = country_hub.client("aa/supervisor", "AA-BORDER", case_reference="2026-7").oversight
    before = country_hub.access.policy
    headers = [bureau.suspend("AA-POLICE", "key lost").header, bureau.resume("AA-POLICE").header]
    list(bureau.suspensions())
    for name in ("XX", "AA-BORDER"):
        with pytest.raises(CallFailed):
            bureau.suspend(name, "why")
    entries = country_hub.entries
    assert [(entry.rpc, entry.outcome, entry.details.get("entity")) for entry in entries] == [
        ("SuspendEntity", "OK", "AA-POLICE"),
        ("ResumeEntity", "OK", "AA-POLICE"),
        ("ListSuspensions", "OK", None),
        ("SuspendEntity", "NOT_PERMITTED_BY_POLICY", "XX"),
        ("SuspendEntity", "SUSPENDS_ITSELF", "AA-BORDER"),
    ]
    assert [header.audit_position for header in headers] == [1, 2]
    assert entries[0].policy == before == headers[0].policy
    for entry in entries:
        assert entry.principal == f"spiffe://{TRUST_DOMAIN}/aa/supervisor"
        assert (entry.caller.entity, entry.caller.case_reference) == ("AA-BORDER", "2026-7")
    assert entries[0].decided_by == ("bureaus-cut-their-entities-off",)
    assert entries[0].details["reason"] == "key lost"


def test_what_an_operator_cut_off_its_bureau_does_not_let_in(country_hub: Hub) -> None:
    suspend(country_hub.folder / "suspended.json", "AA-POLICE", "by contract", by="an operator")
    country_hub.access.refresh()
    bureau = country_hub.bureau.oversight
    with pytest.raises(PermissionDenied) as denied:
        bureau.resume("AA-POLICE")
    assert denied.value.reason == "SUSPENDED_BY_OPERATOR"
    assert bureau.suspend("AA-POLICE", "ours now").suspension.reason == "by contract"
    assert [(row.by, row.audit_position) for row in bureau.suspensions()] == [("an operator", 0)]
    (entry, *_) = country_hub.entries
    assert (entry.rpc, entry.outcome) == ("ResumeEntity", "SUSPENDED_BY_OPERATOR")


def test_what_cannot_be_written_down_is_not_done(country_hub: Hub) -> None:
    (country_hub.folder / "suspended.json.lock").mkdir()
    with pytest.raises(FailedPrecondition) as failed:
        country_hub.bureau.oversight.suspend("AA-POLICE", "key lost")
    assert failed.value.reason == "SUSPENSIONS_NOT_WRITABLE"
    assert [(entry.rpc, entry.outcome) for entry in country_hub.entries] == [
        ("SuspendEntity", "SUSPENSIONS_NOT_WRITABLE")
    ]
    country_hub.police.face.search(SAMPLE)


def test_what_cannot_go_on_record_is_neither_done_nor_answered(
    country_hub: Hub, received: tuple[str, str]
) -> None:
    bureau, owner = country_hub.bureau.oversight, country_hub.client("aa/owner", "AA-POLICE").oversight
    bureau.suspend("AA-HARBOUR", "key lost")
    read_only(country_hub.served, on=True)
    for act in (
        lambda: bureau.suspend("AA-POLICE", "key lost"),
        lambda: bureau.resume("AA-HARBOUR"),
        lambda: list(bureau.suspensions()),
        lambda: list(owner.record()),
    ):
        with pytest.raises(Unavailable) as refused:
            act()
        assert refused.value.reason == "STORAGE_UNAVAILABLE"
    assert country_hub.suspended() == {"AA-HARBOUR"}
    read_only(country_hub.served, on=False)


def test_a_mistake_in_the_directory_keeps_no_bureau_from_cutting_off(country_hub: Hub) -> None:
    directory = country_hub.folder / "directory.toml"
    directory.write_text(DIRECTORY.replace('country = "BB"', 'country = "ZZ"'))
    country_hub.bureau.oversight.suspend("AA-POLICE", "key lost")
    assert [(entry.rpc, entry.outcome) for entry in country_hub.entries] == [("SuspendEntity", "OK")]
    with pytest.raises(PermissionDenied) as denied:
        country_hub.police.face.search(SAMPLE)
    assert denied.value.reason == "ENTITY_SUSPENDED"
    assert country_hub.bureau.oversight.resume("AA-POLICE")
    country_hub.police.face.search(SAMPLE)


def test_a_change_that_is_not_in_force_is_reported_and_on_record_once(
    country_hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(_: Sources) -> bytes:
        raise InvalidInput("It cannot be read.", reason="ACCESS_FILE_UNREADABLE")

    monkeypatch.setattr(Sources, "read_suspensions", unreadable)
    with pytest.raises(FailedPrecondition) as failed:
        country_hub.bureau.oversight.suspend("AA-POLICE", "key lost")
    assert failed.value.reason == "SUSPENSIONS_NOT_TAKEN"
    assert [(entry.rpc, entry.outcome) for entry in country_hub.entries] == [("SuspendEntity", "OK")]


def test_without_policies_nobody_oversees_anything(served: Served) -> None:
    client = served.client().oversight
    for call in (
        lambda: client.suspend("NCB-BB", "why"),
        lambda: client.resume("NCB-BB"),
        lambda: list(client.suspensions()),
        lambda: list(client.record()),
    ):
        with pytest.raises(FailedPrecondition) as refused:
            call()
        assert refused.value.reason == "OVERSIGHT_WITHOUT_POLICY"


@pytest.fixture
def received(country_hub: Hub) -> tuple[str, str]:
    """Two references of AA-POLICE, which a search abroad has answered, and of which one was read at home."""
    police = country_hub.police
    first = police.face.enroll(SAMPLE, metadata=metadata(subject_id="S-1", category="suspect")).reference
    second = police.face.enroll(CLOSE, metadata=metadata(subject_id="S-2")).reference
    abroad = country_hub.client("bb/police", "BB-POLICE", case_reference="their secret", operator="a clerk")
    abroad.face.enroll(SAMPLE, metadata=metadata(subject_id="S-1"))
    abroad.face.search(SAMPLE, k=3)
    police.face.get(second.reference_id)
    return first.reference_id, second.reference_id


def test_an_owner_reads_who_received_its_references_and_nothing_else_of_others(
    country_hub: Hub, received: tuple[str, str]
) -> None:
    owner = country_hub.client("aa/owner", "AA-POLICE", purpose="unspecified")
    rows = list(owner.oversight.record())
    abroad = [row for row in rows if row.entity == "BB-POLICE"]
    assert {row.reference_id for row in abroad} == set(received)
    assert (abroad[0].method, abroad[0].purpose) == ("Search", common.PURPOSE_WANTED_PERSON)
    assert abroad[0].level == common.LEVEL_CANDIDATE
    (read,) = [row for row in rows if row.entity == "AA-POLICE" and row.method == "Get"]
    assert (read.reference_id, read.level) == (received[1], common.LEVEL_FULL)
    for secret in ("their secret", "a clerk"):
        assert secret not in str(rows)
    abroad_rows = list(country_hub.client("bb/police", "BB-POLICE").oversight.record())
    assert not {row.reference_id for row in abroad_rows} & set(received)


def test_the_record_is_narrowed_by_reference_subject_and_time(
    country_hub: Hub, received: tuple[str, str]
) -> None:
    record = country_hub.client("aa/owner", "AA-POLICE").oversight.record
    rows = list(record())
    first, second = received
    assert list(record(reference_id=second)) == [row for row in rows if row.reference_id == second]
    assert list(record(subject_id="S-1")) == [row for row in rows if row.reference_id == first]
    assert list(record(reference_id="0198c0de-7000-7000-8000-000000000000")) == []
    last = rows[-1].time.ToDatetime(tzinfo=UTC)
    assert list(record(since=last)) == [row for row in rows if row.time == rows[-1].time]
    assert list(record(until=last)) == [row for row in rows if row.time != rows[-1].time]
    with pytest.raises(NotFound):
        list(record(subject_id="S-9"))
    assert list(record(after=rows[-1].audit_position)) == []


@pytest.mark.parametrize("stretch", [1, 2, 100])
def test_a_record_ends_at_its_limit_and_goes_on_from_there(
    country_hub: Hub, received: tuple[str, str], monkeypatch: pytest.MonkeyPatch, stretch: int
) -> None:
    monkeypatch.setattr(engine, "STRETCH", stretch)
    owner = country_hub.client("aa/owner", "AA-POLICE").oversight
    whole = list(owner.record())
    stub, caller = stub_of(country_hub, "aa/owner"), common.CallerContext(entity="AA-POLICE")
    rows, position, complete = [], 0, False
    while not complete:
        request = oversight.ReadRecordRequest(caller=caller, max_entries=1, after_position=position)
        messages = list(stub.ReadRecord(request, timeout=PATIENCE))
        got = [entry for message in messages for entry in message.entries]
        assert len({entry.audit_position for entry in got}) <= 1
        rows += got
        assert messages[0].header.audit_position
        position, complete = messages[-1].read_position, messages[-1].complete
    assert rows == whole
    assert len(whole) > 1


@pytest.mark.parametrize(
    "given",
    [{"max_entries": 100_001}, {"max_entries": -1}, {"after_position": -1}, {"reference_id": "a b"}],
)
def test_what_is_out_of_range_is_refused_and_recorded_once(country_hub: Hub, given: dict[str, Any]) -> None:
    stub, caller = stub_of(country_hub, "aa/owner"), common.CallerContext(entity="AA-POLICE")
    with pytest.raises(grpc.RpcError, match=next(iter(given))):
        list(stub.ReadRecord(oversight.ReadRecordRequest(caller=caller, **given), timeout=PATIENCE))
    assert [(entry.rpc, entry.outcome) for entry in country_hub.entries] == [("ReadRecord", "INVALID_INPUT")]


def test_who_reads_the_record_is_on_record(country_hub: Hub, received: tuple[str, str]) -> None:
    list(country_hub.client("aa/auditor", "AA-POLICE").oversight.record(reference_id=received[0]))
    entry = country_hub.entries[-1]
    assert (entry.rpc, entry.outcome, entry.caller.entity) == ("ReadRecord", "OK", "AA-POLICE")
    assert entry.details["reference_id"] == received[0]
    assert entry.decided_by == ("owners-read-who-received-their-references",)
    with pytest.raises(PermissionDenied):
        list(country_hub.client("aa/supervisor", "AA-POLICE").oversight.record())

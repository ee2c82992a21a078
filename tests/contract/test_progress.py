"""A search that tells how far it has come, and stops when its caller goes away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import grpc
import pytest

from likeness.client import AsyncLikenessClient, InvalidArgument, LikenessClient
from likeness.domain.answers import Score
from likeness.domain.modality import Clutter
from likeness.domain.samples import Template
from likeness.engine import local_shard
from likeness.rpc import handlers
from likeness.telemetry import metrics
from likeness.testing.vectors import VectorModality
from likeness.v1 import common_pb2 as common
from likeness.v1 import face_pb2_grpc
from likeness.v1 import matching_pb2 as matching
from tests.contract.conftest import HoldingModality, Served
from tests.waiting import PATIENCE, eventually


class SlowModality(HoldingModality):
    """Counts what it compares; after the first batch it waits until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.compared = 0
        self.first = threading.Event()

    def compare(
        self,
        probe: Template,
        candidates: Sequence[Template],
        *,
        clutter: Clutter | None = None,
        exact: bool = False,
    ) -> list[Score]:
        if self.compared:
            self.first.set()
            assert self.go_on.wait(PATIENCE)
        self.compared += len(candidates)
        return VectorModality.compare(self, probe, candidates)


@pytest.fixture
def modality() -> SlowModality:
    return SlowModality()


@pytest.fixture
def served(prepare: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> Served:
    """Of a server that compares two references at a time and tells of every batch; it has seven."""
    monkeypatch.setattr(local_shard, "EXHAUSTIVE_BATCH", 2)
    monkeypatch.setattr(handlers, "PROGRESS_SECONDS", 0.01)

    served = prepare().start()
    client = served.client()
    for number in range(7):
        client.face.enroll(f"1,{number}".encode())
    return served


def test_the_answer_is_that_of_a_search_without_progress(
    client: LikenessClient, modality: SlowModality
) -> None:
    modality.go_on.set()
    reports: list[tuple[int, int]] = []
    answer = client.face.search(b"1,0", exhaustive=True, k=3, progress=lambda *words: reports.append(words))
    plain = client.face.search(b"1,0", exhaustive=True, k=3)

    def ids(response: matching.SearchResponse) -> list[str]:
        return [str(c.reference.reference_id) for c in response.answers[0].candidates]

    assert len(ids(plain)) == 3
    assert ids(answer) == ids(plain)
    assert answer.header.audit_position > 0
    assert all(total == 7 for _, total in reports)


def test_progress_is_reported_before_the_answer(client: LikenessClient, modality: SlowModality) -> None:
    reports: list[tuple[int, int]] = []

    def report(compared: int, total: int) -> None:
        reports.append((compared, total))
        modality.go_on.set()

    client.face.search(b"1,0", exhaustive=True, progress=report)
    assert reports[0] == (2, 7)
    assert modality.compared == 7


async def test_progress_is_reported_to_the_asynchronous_client_as_well(
    served: Served, modality: SlowModality
) -> None:
    modality.go_on.set()
    reports: list[tuple[int, int]] = []
    async with AsyncLikenessClient(served.address, entity="NCB-AA", purpose="wanted_person") as other:
        answer = await other.face.search(
            b"1,0;0,1", exhaustive=True, progress=lambda *words: reports.append(words)
        )
    assert len(answer.answers) == 2
    assert all(total == 14 for _, total in reports)


def test_a_cancelled_search_stops_and_is_on_record_without_an_answer(
    served: Served, client: LikenessClient, modality: SlowModality
) -> None:
    before = client.face.search(b"1,0").header.audit_position
    modality.compared = 0
    request = matching.SearchRequest(
        caller=common.CallerContext(entity="NCB-AA", purpose=common.PURPOSE_WANTED_PERSON),
        probe=common.Sample(data=b"1,0"),
        options=common.SearchOptions(profile=common.PROFILE_EXHAUSTIVE),
    )
    with grpc.insecure_channel(served.address) as channel:
        updates = face_pb2_grpc.FaceServiceStub(channel).SearchWithProgress(request)
        assert modality.first.wait(PATIENCE)
        updates.cancel()  # type: ignore[no-untyped-call]
        with pytest.raises(grpc.RpcError):
            list(updates)
    under_way = metrics.rpc_in_flight("likeness.v1.FaceService", "SearchWithProgress")
    eventually(lambda: under_way._value.get() == 0)  # the server has seen that the caller is gone
    modality.go_on.set()
    store = served.composition.store
    eventually(lambda: store.audit_head().position == before + 1)
    (record,) = store.audit_entries(before)
    assert (record.entry.outcome, record.entry.candidates) == ("CALLER_GONE", ())
    assert modality.compared < 7 + 7


def test_a_bad_probe_is_refused_as_in_a_plain_search(client: LikenessClient) -> None:
    with pytest.raises(InvalidArgument) as refused:
        client.face.search(b"no vector", exhaustive=True, progress=lambda *_: None)
    assert refused.value.reason == "NOT_A_VECTOR"

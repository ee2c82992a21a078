"""A service whose store takes no writes answers nothing, and says that it is not ready until it does."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from likeness.client import LikenessClient, Unavailable
from likeness.domain import errors
from likeness.engine.store_upkeep import StoreUpkeep
from likeness.rpc import server
from likeness.rpc.server import LIVE, OVERALL
from tests.contract.conftest import Served
from tests.waiting import eventually

STATUS = health_pb2.HealthCheckResponse
FACE = "likeness.v1.FaceService"


def read_only(served: Served, *, on: bool) -> None:
    """Have the database refuse writes, as a file system does that was mounted again for reading."""
    connection = served.composition.store._writer._connection
    connection.connection.driver_connection.execute(f"PRAGMA query_only={'ON' if on else 'OFF'}")  # type: ignore[union-attr]


def status_of(served: Served, service: str) -> int:
    with grpc.insecure_channel(served.address) as channel:
        question = health_pb2.HealthCheckRequest(service=service)
        return int(health_pb2_grpc.HealthStub(channel).Check(question, timeout=60).status)


CALLS: dict[str, Callable[[LikenessClient, str], object]] = {
    "search": lambda client, _: client.face.search(b"1,0,0"),
    "analyze": lambda client, _: client.face.analyze(b"1,0,0"),
    "compare": lambda client, one: client.face.compare(b"1,0,0", b"1,0,0"),
    "get": lambda client, one: client.face.get(one),
    "list": lambda client, _: list(client.face.list()),
    "enroll": lambda client, _: client.face.enroll(b"0,1,0"),
    "expunge": lambda client, one: client.face.expunge(one, reason="court order"),
}


def test_nothing_is_answered_and_readiness_says_so(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_WATCH_SECONDS", 0.01)
    client = served.client(retries=0)
    one = str(client.face.enroll(b"1,0,0").reference.reference_id)
    assert status_of(served, OVERALL) == STATUS.SERVING
    read_only(served, on=True)
    for name, call in CALLS.items():
        with pytest.raises(Unavailable) as refusal:
            call(client, one)
        assert (name, refusal.value.reason) == (name, "STORAGE_UNAVAILABLE")
    for service in (OVERALL, FACE):
        eventually(lambda service=service: status_of(served, service) == STATUS.NOT_SERVING)  # type: ignore[misc]
    assert status_of(served, LIVE) == STATUS.SERVING
    upkeep = StoreUpkeep(served.composition.store)
    with pytest.raises(errors.Unavailable):
        upkeep.tick()
    assert served.composition.store.is_failing
    read_only(served, on=False)
    upkeep.tick()
    assert not served.composition.store.is_failing
    eventually(lambda: status_of(served, OVERALL) == STATUS.SERVING)
    for name, call in CALLS.items():
        assert call(client, one) is not None, name
    assert served.composition.store.verify(full=True).problems == ()

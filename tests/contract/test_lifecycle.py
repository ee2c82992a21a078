"""The life of a server: health, reflection, start, drain, and the errors of each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from likeness.app.settings import Settings
from likeness.client import CallFailed, FailedPrecondition, LikenessClient, Unavailable
from likeness.domain.errors import Precondition, WrongKey
from likeness.telemetry import metrics
from likeness.testing.composition import LocalComposition
from tests.contract.conftest import HoldingModality, Served
from tests.waiting import PATIENCE, eventually

Status = health_pb2.HealthCheckResponse
FACE = "likeness.v1.FaceService"


def health(address: str, service: str) -> int:
    with grpc.insecure_channel(address) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        return int(health_pb2_grpc.HealthStub(channel).Check(request, timeout=PATIENCE).status)


def refused(reason: str) -> float:
    """Searches that the metrics count with this reason; alerts tell a planned restart from a fault by it."""
    labels = {"service": FACE, "method": "Search", "code": "UNAVAILABLE", "reason": reason}
    return metrics.REGISTRY.get_sample_value("likeness_rpc_errors_total", labels) or 0


def test_a_serving_server_is_healthy_and_describes_itself(served: Served) -> None:
    assert [health(served.address, name) for name in (FACE, "", "live")] == [Status.SERVING] * 3
    with grpc.insecure_channel(served.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert FACE in database.get_services()
        described = database.FindFileContainingSymbol(FACE)
    assert [method.name for method in described.service[0].method] == [
        "Enroll", "EnrollMany", "Get", "List", "Update", "Expunge", "Search", "SearchWithProgress", "Compare",
        "Analyze",
    ]  # fmt: skip


@pytest.mark.parametrize("package", ["grpc.reflection.v1", "grpc.reflection.v1alpha"])
def test_reflection_answers_under_both_of_its_names_and_describes_them(served: Served, package: str) -> None:
    def asked(**question: str) -> reflection_pb2.ServerReflectionResponse:
        (answer,) = ask(iter([reflection_pb2.ServerReflectionRequest(**question)]), timeout=PATIENCE)
        return answer

    with grpc.insecure_channel(served.address) as channel:
        ask = channel.stream_stream(
            f"/{package}.ServerReflection/ServerReflectionInfo",
            reflection_pb2.ServerReflectionRequest.SerializeToString,
            reflection_pb2.ServerReflectionResponse.FromString,
        )
        services = {service.name for service in asked(list_services="").list_services_response.service}
        assert services >= {
            FACE,
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
        }
        for name in services:
            described = asked(file_containing_symbol=name).file_descriptor_response.file_descriptor_proto
            files = [descriptor_pb2.FileDescriptorProto.FromString(file) for file in described]
            assert name in {f"{file.package}.{service.name}" for file in files for service in file.service}
            missing = {needed for file in files for needed in file.dependency} - {file.name for file in files}
            assert not missing


def test_a_server_listens_and_is_alive_while_it_starts_and_serves_only_when_warm(
    prepare: Callable[..., Served], modality: HoldingModality, tmp_path: Path
) -> None:
    warming, warm = threading.Event(), threading.Event()

    def slow(given: Settings) -> LocalComposition:
        warming.set()
        assert warm.wait(PATIENCE)
        return LocalComposition.open(given.home, modality)

    served = prepare(slow)
    with ThreadPoolExecutor(2) as pool:
        starting = pool.submit(served.start)
        assert warming.wait(PATIENCE)
        assert health(served.address, FACE) == Status.NOT_SERVING
        assert health(served.address, "") == Status.NOT_SERVING
        assert health(served.address, "live") == Status.SERVING
        before = refused("STARTING")
        with pytest.raises(Unavailable) as caught:
            served.client(retries=0).face.search(b"1,0,0")
        assert caught.value.reason == "STARTING"
        assert refused("STARTING") == before + 1
        with pytest.raises(Unavailable, match=r"not ready within 0\.2 s"):
            served.client().wait_ready(0.2)
        waiting = pool.submit(served.client().wait_ready, PATIENCE)
        warm.set()
        waiting.result(PATIENCE)
        starting.result(PATIENCE)
    assert health(served.address, FACE) == Status.SERVING


def test_draining_finishes_what_is_under_way_refuses_the_rest_and_closes_the_store(
    served: Served, modality: HoldingModality
) -> None:
    client = served.client(retries=0)
    with ThreadPoolExecutor(2) as pool:
        under_way = pool.submit(client.face.enroll, b"1,0,0|hold")
        modality.wait_until_inside()
        draining = pool.submit(served.drain)
        eventually(lambda: health(served.address, FACE) == Status.NOT_SERVING)
        assert health(served.address, "live") == Status.SERVING
        before = refused("DRAINING")
        with pytest.raises(Unavailable) as caught:
            client.face.search(b"1,0,0")
        assert caught.value.reason == "DRAINING"
        assert refused("DRAINING") == before + 1
        assert not draining.done()
        modality.go_on.set()
        assert under_way.result(PATIENCE).reference.reference_id
        draining.result(PATIENCE)
    assert served.composition.closed.is_set()
    with pytest.raises(Unavailable):
        client.face.search(b"1,0,0")


def test_a_large_answer_has_left_before_the_connection_is_closed(
    prepare: Callable[..., Served], modality: HoldingModality
) -> None:
    served = prepare(max_answer_bytes=16 << 20).start()
    client = served.client(retries=0)
    large = b"1,0,0|hold" + b" " * (8 << 20)
    with ThreadPoolExecutor(2) as pool:
        under_way = pool.submit(client.face.compare, large, b"1,0,0", explain=True)
        modality.wait_until_inside()
        draining = pool.submit(served.drain)
        modality.go_on.set()
        assert len(under_way.result(PATIENCE).explanation) > 8 << 20
        draining.result(PATIENCE)


def test_what_does_not_finish_within_the_grace_is_cut_off(
    prepare: Callable[..., Served], modality: HoldingModality
) -> None:
    served = prepare(drain_grace=0.1).start()
    client = served.client(retries=0)
    with ThreadPoolExecutor(2) as pool:
        under_way = pool.submit(client.face.enroll, b"1,0,0|hold")
        modality.wait_until_inside()
        draining = pool.submit(served.drain)
        with pytest.raises(CallFailed):
            under_way.result(PATIENCE)
        modality.go_on.set()
        draining.result(PATIENCE)
    assert served.composition.closed.is_set()


def test_an_acknowledged_enrolment_is_there_after_a_restart(
    prepare: Callable[..., Served],
) -> None:
    first = prepare().start()
    enrolled = first.client().face.enroll(b"1,0,0", request_id="request-1")
    first.drain()
    second = prepare().start().client()
    assert second.face.get(enrolled.reference.reference_id).log_position == enrolled.log_position
    assert second.face.enroll(b"1,0,0", request_id="request-1").replayed


def test_a_taken_port_is_a_clear_error(served: Served, prepare: Callable[..., Served]) -> None:
    with pytest.raises(Precondition, match="set address to another") as caught:
        prepare(address=served.address).start()
    assert caught.value.reason == "ADDRESS_UNAVAILABLE"


def test_a_server_whose_engine_cannot_be_built_says_why_and_stops_listening(
    prepare: Callable[..., Served],
) -> None:
    def fails(_: Settings) -> LocalComposition:
        raise WrongKey("The key ring does not open this store.")

    served = prepare(fails)
    with pytest.raises(WrongKey):
        served.start()
    with pytest.raises(Unavailable), LikenessClient(served.address, entity="NCB-AA", retries=0) as client:
        client.face.analyze(b"1,0,0")


def test_what_is_not_served_says_so_and_is_not_healthy(served: Served) -> None:
    assert health(served.address, "likeness.v1.FingerprintService") == Status.NOT_SERVING
    with pytest.raises(FailedPrecondition) as refused:
        served.client().fingerprint.search(b"a record")
    assert refused.value.reason == "MODALITY_NOT_SERVED"
    assert "fingerprint" in str(refused.value)

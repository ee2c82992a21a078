"""A further modality is one entry and one service: all else is as for those of the release."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from likeness.app.composition import Composed, compose
from likeness.app.registry import ENTRIES
from likeness.app.settings import load
from likeness.client import Enrolment, FailedPrecondition, LikenessClient, metadata
from likeness.domain.errors import InvalidInput
from likeness.protocol import SERVICES
from likeness.telemetry import metrics
from likeness.testing.server import LocalServer
from likeness.v1 import common_pb2 as common
from tests.contract.tones import ENTRY, SERVICE
from tests.waiting import PATIENCE

WITH_TONES = (*ENTRIES, ENTRY)
HIGH, LOW = b"1,0.1,0", b"0,0.2,1"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[LocalServer[Composed]]:
    """Tones and nothing else, so that no model needs to be built."""
    settings = load(
        environment={"LIKENESS_MODALITIES": "tone"},
        overrides={"home": tmp_path, "grpc.address": "127.0.0.1:0"},
        entries=WITH_TONES,
    )
    with LocalServer(settings, compose, services=(*SERVICES, SERVICE)) as server:
        yield server


@pytest.fixture
def client(served: LocalServer[Composed]) -> LikenessClient:
    return served.client()


def test_it_is_enrolled_and_searched(client: LikenessClient) -> None:
    client.wait_ready(PATIENCE, modality="tone")
    tones = client.of("tone")
    ids = [
        tones.enroll(tone, metadata=metadata(galleries=["bells"])).reference.reference_id
        for tone in (HIGH, LOW)
    ]
    (answer,) = tones.search(HIGH, galleries=["bells"], k=2).answers
    assert [found.reference.reference_id for found in answer.candidates] == ids
    assert answer.candidates[0].score.fmr.value < answer.candidates[1].score.fmr.value
    outcomes = {
        outcome.enrolment.sample: outcome for outcome in tones.enroll_many(map(Enrolment, (LOW, b"no tone")))
    }
    refusal = outcomes[b"no tone"].rejected
    assert outcomes[LOW].rejected is None
    assert refusal is not None and refusal.reason == "NOT_A_VECTOR"


def test_it_has_health_reflection_and_metrics(served: LocalServer[Composed], client: LikenessClient) -> None:
    with grpc.insecure_channel(served.address) as channel:
        request = health_pb2.HealthCheckRequest(service=SERVICE.name)
        status = health_pb2_grpc.HealthStub(channel).Check(request, timeout=PATIENCE).status
        assert SERVICE.name in ProtoReflectionDescriptorDatabase(channel).get_services()
    assert status == health_pb2.HealthCheckResponse.SERVING
    assert metrics.REGISTRY.get_sample_value("likeness_serving", {"service": SERVICE.name}) == 1
    client.of("tone").enroll(HIGH)
    (listed,) = client.of("tone").list()
    assert listed.modality == common.MODALITY_UNSPECIFIED  # this protocol has no name for it


def test_other_modalities_that_are_not_served_are_declined(client: LikenessClient) -> None:
    with pytest.raises(FailedPrecondition) as caught:
        client.face.search(HIGH)
    assert caught.value.reason == "MODALITY_NOT_SERVED"


def test_its_section_is_among_the_settings(tmp_path: Path) -> None:
    home = {"LIKENESS_HOME": str(tmp_path)}
    settings = load(environment=home | {"LIKENESS_TONE_CALIBRATION": "/srv/t.json"}, entries=WITH_TONES)
    assert settings.of(ENTRY).calibration == Path("/srv/t.json")
    assert settings.served == WITH_TONES
    with pytest.raises(InvalidInput, match="'tone' is not a modality"):
        load(environment=home | {"LIKENESS_MODALITIES": "tone"})

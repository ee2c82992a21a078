"""The real server with policies: who is let in, what they see, and how an entity is cut off at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from likeness.access.judging import CedarAccess
from likeness.access.suspensions import resume, suspend
from likeness.client import Enrolment, LikenessClient, PermissionDenied, metadata
from likeness.domain.access import Principal
from likeness.protocol import SERVICES
from likeness.rpc.identity import AuthContext, Metadata
from likeness.telemetry import metrics
from tests.contract.conftest import HoldingModality, Served
from tests.unit.access.hub import CASES, DIRECTORY, EXAMINER, GATE, OWNER, hub
from tests.waiting import eventually

SAMPLE = b"1,0,0"
FACE = next(service.name for service in SERVICES if service.modality == "face")
OFTEN = 0.02
"""Seconds between two looks at the files."""


class Proven:
    """Whoever is named here is taken as proven."""

    def __init__(self) -> None:
        self.name = ""

    def __call__(self, auth_context: AuthContext, metadata: Metadata) -> Principal:
        return Principal(name=self.name)


class Hub:
    """A server with policies, and clients of it by their principals."""

    def __init__(self, prepare: Callable[..., Served], folder: Path) -> None:
        self.folder = folder
        self.access: CedarAccess
        self.access, self.observed = hub(folder)
        self._proven = Proven()
        settings = {"access.poll_seconds": OFTEN}
        self._served = prepare(access=self.access, prove=self._proven, **settings).start()

    @property
    def suspensions(self) -> Path:
        return self.folder / "suspended.json"

    def client(self, principal: str, entity: str, **given: Any) -> LikenessClient:
        self._proven.name = principal
        return self._served.client(entity=entity, retries=0, **given)


@pytest.fixture
def country_hub(prepare: Callable[..., Served], tmp_path: Path) -> Hub:
    return Hub(prepare, tmp_path)


def test_answers_name_the_policies_that_they_were_judged_by(country_hub: Hub) -> None:
    country_hub.client(OWNER, "AA-POLICE").face.enroll(SAMPLE)
    client = country_hub.client(CASES, "AA-POLICE")
    answer = client.face.search(SAMPLE)
    assert answer.header.policy == country_hub.access.policy
    compared = client.face.compare(SAMPLE, SAMPLE)
    assert compared.header.policy == country_hub.access.policy


def test_each_principal_sees_the_same_reference_at_its_own_level(country_hub: Hub) -> None:
    described = metadata(subject_id="S-1", category="suspect")
    enrolled = country_hub.client(OWNER, "AA-POLICE").face.enroll(SAMPLE, metadata=described).reference
    (own,) = country_hub.client(CASES, "AA-POLICE").face.search(SAMPLE).answers[0].candidates
    assert own.reference.metadata.subject_id == "S-1"
    (abroad,) = country_hub.client(EXAMINER, "BB-POLICE").face.search(SAMPLE).answers[0].candidates
    assert abroad.reference.reference_id == enrolled.reference_id
    assert abroad.reference.metadata.subject_id == ""


@pytest.mark.parametrize(
    ("principal", "entity", "reason"),
    [
        ("", "AA-POLICE", "PRINCIPAL_UNKNOWN"),
        (CASES, "BB-POLICE", "ENTITY_NOT_OF_PRINCIPAL"),
        (GATE, "AA-BORDER", "NOT_PERMITTED_BY_POLICY"),
    ],
)
def test_a_call_that_may_not_be_done_is_denied_with_its_reason(
    country_hub: Hub, principal: str, entity: str, reason: str
) -> None:
    with pytest.raises(PermissionDenied) as denied:
        country_hub.client(principal, entity).face.enroll(SAMPLE)
    assert denied.value.reason == reason


def test_a_reference_that_policy_hides_is_as_one_that_does_not_exist(country_hub: Hub) -> None:
    client = country_hub.client(OWNER, "AA-POLICE")
    enrolled = client.face.enroll(SAMPLE, metadata=metadata(category="witness")).reference
    gate = country_hub.client(GATE, "AA-BORDER", purpose="border_control")
    answer = gate.face.search(SAMPLE, frontline=True)
    assert not answer.answers[0].candidates
    assert answer.header.searched == 0
    assert enrolled.reference_id not in str(answer)


def test_the_frontline_searches_by_its_profile_alone(country_hub: Hub) -> None:
    gate = country_hub.client(GATE, "AA-BORDER", purpose="border_control")
    gate.face.search(SAMPLE, frontline=True)
    for exhaustive in (False, True):
        with pytest.raises(PermissionDenied) as denied:
            gate.face.search(SAMPLE, exhaustive=exhaustive)
        assert denied.value.reason == "NOT_PERMITTED_BY_POLICY"
        assert "PROFILE_FRONTLINE" in str(denied.value)


def test_an_open_stream_ends_when_its_entity_is_cut_off(country_hub: Hub, modality: HoldingModality) -> None:
    client = country_hub.client(OWNER, "AA-POLICE")
    in_flight = metrics.rpc_in_flight(FACE, "EnrollMany")

    def items() -> Iterator[Enrolment]:
        yield Enrolment(SAMPLE, request_id="1")
        eventually(lambda: modality.seen == [SAMPLE])
        suspend(country_hub.suspensions, "AA-POLICE", "key lost")
        eventually(lambda: in_flight._value.get() == 0)
        yield Enrolment(SAMPLE, request_id="2")

    with pytest.raises(PermissionDenied) as denied:
        list(client.face.enroll_many(items()))
    assert denied.value.reason == "ENTITY_SUSPENDED"


def test_a_call_that_is_worked_on_ends_when_its_entity_is_cut_off(
    country_hub: Hub, modality: HoldingModality
) -> None:
    client = country_hub.client(CASES, "AA-POLICE")
    caught: list[PermissionDenied] = []

    def search() -> None:
        with pytest.raises(PermissionDenied) as denied:
            client.face.search(b"1,0,0|hold")
        caught.append(denied.value)

    searching = threading.Thread(target=search)
    searching.start()
    modality.wait_until_inside()
    suspend(country_hub.suspensions, "AA-POLICE", "key lost")
    searching.join()
    assert caught[0].reason == "ENTITY_SUSPENDED"


def test_calls_that_may_go_on_are_not_touched_by_a_change(
    country_hub: Hub, modality: HoldingModality
) -> None:
    client = country_hub.client(EXAMINER, "BB-POLICE")
    found: list[object] = []
    searching = threading.Thread(target=lambda: found.append(client.face.search(b"1,0,0|hold")))
    searching.start()
    modality.wait_until_inside()
    suspend(country_hub.suspensions, "AA-POLICE", "key lost")
    eventually(lambda: len(country_hub.observed.in_force) == 2)
    modality.go_on.set()
    searching.join()
    assert len(found) == 1


def test_an_entity_calls_again_once_it_is_resumed(country_hub: Hub) -> None:
    client = country_hub.client(CASES, "AA-POLICE")
    suspend(country_hub.suspensions, "AA-POLICE", "")
    eventually(lambda: len(country_hub.observed.in_force) == 2)
    with pytest.raises(PermissionDenied):
        client.face.search(SAMPLE)
    resume(country_hub.suspensions, "AA-POLICE")
    eventually(lambda: len(country_hub.observed.in_force) == 3)
    client.face.search(SAMPLE)


def test_a_wrong_change_is_not_taken_and_calls_go_on(country_hub: Hub) -> None:
    client = country_hub.client(CASES, "AA-POLICE")
    before = client.face.search(SAMPLE).header.policy
    (country_hub.folder / "directory.toml").write_text(DIRECTORY.replace('country = "BB"', 'country = "ZZ"'))
    eventually(lambda: len(country_hub.observed.refusals) == 1)
    assert client.face.search(SAMPLE).header.policy == before

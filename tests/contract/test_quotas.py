"""Scores in steps and quotas, as a client of the real server meets them where a policy judges calls."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from likeness.app.settings import Settings, load
from likeness.client import CallFailed, LikenessClient, reference
from likeness.domain.access import Asked, Grant, Principal
from likeness.domain.errors import InvalidInput
from likeness.domain.quotas import DAY, Charge, QuotaLimits
from likeness.testing.composition import LocalComposition
from likeness.testing.server import LocalServer
from likeness.testing.vectors import VectorModality


class Policy:
    """Lets everything pass, and is a policy."""

    policy = "c0ffee"

    def judge(self, asked: Asked) -> Grant:
        return Grant(principal=replace(asked.principal, name="spiffe://hub/case-system"), policy=self.policy)


def nobody(*_: object) -> Principal:
    return Principal()


@pytest.fixture(autouse=True)
def one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """No window ends within a test."""
    ends = (int(time.time()) // DAY + 2) * DAY
    monkeypatch.setattr(Charge, "ends", lambda *_: ends)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer[LocalComposition]]:
    settings = load(
        environment={"LIKENESS_HOME": str(tmp_path)},
        overrides={
            "grpc.address": "127.0.0.1:0",
            "metrics.address": "",
            "modalities": "face",
            "quotas.hour": 6,
            "quotas.subject": 2,
            "quotas.probe": 3,
        },
    )

    def compose(given: Settings) -> LocalComposition:
        return LocalComposition.open(given.home, VectorModality(), limits=given.quotas.limits())

    with LocalServer(settings, compose, access=Policy(), prove=nobody) as served:
        yield served


@pytest.fixture
def client(server: LocalServer[LocalComposition]) -> LikenessClient:
    return server.client()


def enrolled(client: LikenessClient) -> str:
    return client.face.enroll(b"1").reference.reference_id


def best(client: LikenessClient, probe: bytes) -> tuple[float, ...]:
    """Score, its parts, and false match rate of the best candidate."""
    (answer,) = client.face.search(probe).answers
    score = answer.candidates[0].score
    return (score.value, *(part.value for part in score.parts), score.fmr.value)


def refusal(client: LikenessClient, probe: bytes) -> CallFailed:
    with pytest.raises(CallFailed) as failed:
        client.face.search(probe)
    return failed.value


def test_scores_rates_and_the_audit_are_in_steps(
    server: LocalServer[LocalComposition], client: LikenessClient
) -> None:
    reference_id = enrolled(client)
    assert best(client, b"0.93,0.3676") == pytest.approx((0.9, 0.9, 1e-3))
    (entry,) = server.composition.store.audit_entries(server.composition.store.audit_head().position - 1)
    assert entry.entry.candidates[0].score == pytest.approx(0.9)
    compared = client.face.compare(b"0.93,-0.3676", reference(reference_id))
    assert (compared.score.value, compared.score.fmr.value) == pytest.approx((0.9, 1e-3))


def test_of_a_resemblance_that_one_stranger_in_a_thousand_has_nothing_is_answered(
    client: LikenessClient,
) -> None:
    reference_id = enrolled(client)
    found = client.face.search(b"0.8,0.6", max_fmr=0.1)
    assert not found.answers[0].candidates
    assert found.header.max_fmr == pytest.approx(1e-3)
    compared = client.face.compare(b"0.8,-0.6", reference(reference_id)).score
    assert (compared.value, list(compared.parts), compared.fmr.value) == (-1, [], 1)


def test_a_probe_again_and_again_ends_with_its_reason_and_when_to_come_back(client: LikenessClient) -> None:
    for _ in range(3):
        client.face.search(b"0.3,0.7")
    error = refusal(client, b"0.3,0.7")
    assert (error.code.name, error.reason) == ("RESOURCE_EXHAUSTED", "QUOTA_OF_PROBE")
    assert error.metadata["quota"] == "probe"
    ends = datetime.fromisoformat(error.metadata["ends"]).timestamp()
    assert error.retry_after is not None
    assert 0 < error.retry_after <= 2 * DAY
    assert ends % DAY == 0
    assert "ask the operator" in error.message


def test_so_many_in_an_hour_whatever_is_sought(client: LikenessClient) -> None:
    probes: Sequence[bytes] = [b"1,0", b"0,1", b"-1,0", b"0,-1", b"0,0,1", b"0,0,-1"]
    for probe in probes:
        client.face.search(probe)
    assert refusal(client, b"0,0,0,1").reason == "QUOTA_OF_PRINCIPAL"
    assert client.face.analyze(b"1,0").findings


def test_a_subject_stays_in_answers_coarsely_and_is_compared_no_more(client: LikenessClient) -> None:
    reference_id = enrolled(client)
    assert best(client, b"1,0.2")[0] == pytest.approx(0.96)
    assert best(client, b"1,0,0.2")[0] == pytest.approx(0.96)
    assert best(client, b"1,0,0,0.2") == pytest.approx((0.9, 1e-3))
    with pytest.raises(CallFailed) as failed:
        client.face.compare(b"1,0,0,0,0.2", reference(reference_id))
    assert failed.value.reason == "QUOTA_OF_SUBJECT"


def test_the_settings_are_the_limits() -> None:
    settings = load(
        environment={"LIKENESS_QUOTAS_ROLES": "examiner.probe=60, case_system.day=400000,examiner.hour=7"},
        overrides={"quotas.subject": 5},
    )
    roles = {"examiner": {"probe": 60, "hour": 7}, "case_system": {"day": 400_000}}
    assert settings.quotas.limits() == QuotaLimits(subject=5, by_role=roles)


@pytest.mark.parametrize(
    ("written", "remedy"),
    [("examinr.probe=60", "did you mean 'examiner'?"), ("zzz.probe=60", "there are case_system, frontline")],
)
def test_a_role_that_there_is_not_is_refused(written: str, remedy: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(remedy)):
        load(environment={"LIKENESS_QUOTAS_ROLES": written})

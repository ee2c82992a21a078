"""What the commands make of a service that refuses the caller, against a real one whose judge can be told to."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from likeness.cli.failures import Exit
from likeness.cli.refusals import NEVER_OF_A_FILE
from likeness.client.stream import WINDOW
from likeness.domain.access import Action, Asked, Grant
from likeness.domain.errors import Denied, LikenessError, Precondition, Unproven
from likeness.domain.quotas import DAY, Charge
from likeness.v1.reasons_pb2 import Reason
from tests.unit.cli.conftest import run

FILES = 100

REFUSALS = [
    Denied("No policy lets you; ask the operator.", reason="NOT_PERMITTED_BY_POLICY"),
    Denied("The entity is cut off; ask its bureau.", reason="ENTITY_SUSPENDED"),
    Unproven("The token has expired; get another.", reason="TOKEN_EXPIRED"),
    Precondition("The key was erased; ask the operator.", reason="OWNER_KEY_ERASED"),
]


class Judge:
    """Refuses calls of an action once it has let so many of them pass, while there is a refusal."""

    policy = "c0ffee"

    def __init__(self) -> None:
        self.refusal: LikenessError | None = None
        self.action = Action.ENROLL
        self.passes = 0
        self.judged = 0

    def judge(self, asked: Asked) -> Grant:
        if asked.action is self.action and self.refusal is not None:
            self.judged += 1
            if self.judged > self.passes:
                raise self.refusal
        return Grant(principal=replace(asked.principal, name="spiffe://hub/case-system"), policy=self.policy)


@pytest.fixture
def judge() -> Judge:
    return Judge()


@pytest.fixture
def served(judge: Judge, serve: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    ends = (int(time.time()) // DAY + 2) * DAY
    monkeypatch.setattr(Charge, "ends", lambda *_: ends)  # no window ends within a test
    serve(judge, **{"quotas.probe": 2, "quotas.hour": 3})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "pictures"
    root.mkdir()
    for number in range(FILES):
        (root / f"{number:03}.jpg").write_text(f"1,{number / FILES}")
    return root


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.reason)
def test_a_run_ends_at_the_first_refusal_of_its_caller_and_goes_on_once_that_is_put_right(
    judge: Judge, folder: Path, refusal: LikenessError
) -> None:
    judge.refusal, judge.passes = refusal, 40
    refused = run("enroll", folder)
    assert refused.exit_code == Exit.REFUSED
    assert judge.judged <= judge.passes + 2 * WINDOW
    first = json.loads(refused.stdout)
    assert (first["enrolled"], first["rejected"], first["refusal"]) == (40, 0, refusal.reason)
    assert (first["enrolled"], first["remaining"]) == (40, 60)
    assert 0 < first["refused"] <= first["remaining"]
    assert f"refused who asks, whatever the files hold: {refusal.message}" in refused.stderr
    assert "60 files are left; run the same command again" in refused.stderr
    assert "--override" not in refused.stderr
    assert not list(Path().glob("likeness-rejects*"))
    judge.refusal = None
    second = run("enroll", folder)
    assert second.exit_code == Exit.DONE
    done = json.loads(second.stdout)
    assert (done["enrolled"], done["already_enrolled"], done["remaining"]) == (60, 40, 0)


def test_a_run_ends_where_the_reason_of_a_file_would_not_be_learnt(
    judge: Judge, serve: Callable[..., None], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = (int(time.time()) // DAY + 2) * DAY
    monkeypatch.setattr(Charge, "ends", lambda *_: ends)
    serve(judge, **{"quotas.refusals": 2})
    for number in range(FILES):
        if number % 10 == 9:
            (folder / f"{number:03}.jpg").write_text("1,0|q=10")
    refused = run("enroll", folder)
    assert refused.exit_code == Exit.REFUSED
    first = json.loads(refused.stdout)
    assert (first["rejected"], first["refusal"]) == (2, "QUOTA_OF_REFUSALS")
    assert first["enrolled"] >= 18
    assert "run the same command again" in refused.stderr


@pytest.mark.usefixtures("served")
def test_a_run_whose_first_question_is_refused_ends_as_one_whose_files_are(
    judge: Judge, folder: Path
) -> None:
    """It asks first whether the server is the one that the journal belongs to."""
    run("enroll", folder / "000.jpg")
    judge.refusal, judge.action = REFUSALS[1], Action.GET
    refused = run("enroll", folder)
    assert refused.exit_code == Exit.REFUSED
    done = json.loads(refused.stdout)
    assert (done["remaining"], done["refusal"]) == (FILES, "ENTITY_SUSPENDED")
    assert f"{FILES} files are left" in refused.stderr


@pytest.mark.usefixtures("served")
def test_files_that_an_older_release_noted_for_a_refusal_are_sent(judge: Judge, folder: Path) -> None:
    judge.refusal = REFUSALS[0]
    run("enroll", folder, "--journal", "j.jsonl")
    assert Path("j.jsonl").read_text() == ""
    judge.refusal = None
    run("enroll", folder, "--journal", "j.jsonl")
    noted = {"reference_id": "", "log_position": 0, "reason": "ENTITY_SUSPENDED", "message": "cut off"}
    entries = [json.loads(line) | noted for line in Path("j.jsonl").read_text().splitlines()]
    Path("j.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    done = json.loads(run("enroll", folder, "--journal", "j.jsonl").stdout)
    assert (done["already_enrolled"], done["rejected"]) == (FILES, 0)


def test_every_reason_that_journals_may_have_is_one_of_the_protocol() -> None:
    assert {f"REASON_{reason}" for reason in NEVER_OF_A_FILE} <= set(Reason.keys())


@pytest.mark.usefixtures("served")
def test_a_search_that_is_refused_in_the_middle_keeps_what_was_answered(judge: Judge, folder: Path) -> None:
    run("enroll", folder)
    judge.refusal, judge.action, judge.passes = REFUSALS[1], Action.SEARCH, 2
    probes = [folder / f"{number:03}.jpg" for number in (0, 30, 60, 90)]
    result = run("search", *probes, "--sheet", "sheet.png")
    assert result.exit_code == Exit.REFUSED
    assert len(result.stdout.splitlines()) == 2
    assert f"{REFUSALS[1].message} 2 probes were not searched with." in result.stderr
    assert Path("sheet.png").exists()


@pytest.mark.usefixtures("served")
def test_a_probe_that_was_sent_too_often_does_not_stop_the_others(folder: Path) -> None:
    run("enroll", folder / "000.jpg")
    probes = [folder / f"probe-{number}.jpg" for number in range(4)]
    for probe, vector in zip(probes, ("1,0", "1,0", "1,0", "0,1"), strict=True):
        probe.write_text(vector)
    result = run("search", *probes)
    assert result.exit_code == Exit.PARTLY
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [answer.get("rejection", {}).get("reason") for answer in answers] == [
        None,
        None,
        "QUOTA_OF_PROBE",
        None,
    ]


@pytest.mark.usefixtures("served")
def test_a_quota_of_searches_that_is_used_up_is_a_refusal(folder: Path) -> None:
    run("enroll", folder / "000.jpg")
    probes = []
    for name, vector in enumerate(
        ("1,0", "0,1", "-1,0", "0,-1", "0,0,1")
    ):  # of which no two are nearly the same
        probes.append(folder / f"probe-{name}.jpg")
        probes[-1].write_text(vector)
    result = run("search", *probes)
    assert result.exit_code == Exit.REFUSED
    assert len(result.stdout.splitlines()) == 3
    assert "ask the operator of the service for more. 2 probes were not searched with." in result.stderr

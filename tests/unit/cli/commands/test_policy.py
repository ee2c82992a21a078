"""`likeness policy`, over files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from likeness.access.suspensions import read_suspensions
from likeness.cli.main import app
from tests.unit.access.hub import CASES, DIRECTORY, GATE, OWNER

_CASES = f"""
[[case]]
name = "a search"
principal = "{CASES}"
entity = "AA-POLICE"
action = "Search"
purpose = "wanted_person"
level = "candidate"
reference = {{ owner = "BB-POLICE", category = "suspect" }}

[[case]]
principal = "{OWNER}"
entity = "AA-BORDER"
action = "SuspendEntity"
target = "AA-POLICE"

[[case]]
principal = "{OWNER}"
entity = "AA-BORDER"
action = "ResumeEntity"
target = "BB-POLICE"
expect = "NOT_PERMITTED_BY_POLICY"

[[case]]
principal = "{OWNER}"
entity = "AA-BORDER"
action = "ReadRecord"

[[case]]
principal = "{GATE}"
entity = "AA-BORDER"
action = "Enroll"
expect = "NOT_PERMITTED_BY_POLICY"

[[case]]
principal = "{GATE}"
entity = "AA-BORDER"
action = "Search"
purpose = "wanted_person"
frontline = true
fmr_one_in = 10000
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "directory.toml").write_text(DIRECTORY)
    (tmp_path / "cases.toml").write_text(_CASES)
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LIKENESS_ACCESS_DIRECTORY", str(tmp_path / "directory.toml"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def policy(*words: str) -> Result:
    return CliRunner().invoke(app, ["policy", *words])


def test_check_counts_what_would_be_in_force() -> None:
    done = policy("check", "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert (document["entities"], document["principals"], document["suspended"]) == (3, 7, 0)
    assert len(document["policy"]) == 64


def test_check_refuses_a_mistyped_condition(folder: Path) -> None:
    (folder / "own.cedar").write_text(
        '@id("p") permit (principal, action == Action::"seeHit", resource)'
        ' when { resource.category == Category::"victm" };'
    )
    done = policy("check", "--policies", "own.cedar")
    assert done.exit_code == 2
    assert "victm" in done.output


def test_explain_says_what_policies_decided_and_how_much_is_seen() -> None:
    words = (
        "--principal",
        GATE,
        "--entity",
        "AA-BORDER",
        "--action",
        "Search",
        "--purpose",
        "border_control",
    )
    denied = policy("explain", *words, "--json")
    assert denied.exit_code == 1
    assert "PROFILE_FRONTLINE" in json.loads(denied.stdout)["message"]
    about = ("--owner", "BB-POLICE", "--category", "suspect")
    done = policy("explain", *words, "--frontline", "--fmr-one-in", "1000", *about, "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["decided_by"] == ["frontline-searches"]
    assert document["level"] == "hit"
    assert document["levels"]["seeHit"] == {"allowed": True, "by": "frontline-sees-hits"}
    assert document["levels"]["seeCandidate"]["allowed"] is False


def test_explain_says_why_a_call_is_denied() -> None:
    done = policy("explain", "--principal", GATE, "--entity", "AA-BORDER", "--action", "Enroll", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["result"] == "NOT_PERMITTED_BY_POLICY"
    shown = policy(
        "explain", "--principal", GATE, "--entity", "AA-BORDER", "--action", "Enroll", "--table"
    ).stdout
    assert "no policy permits this" in shown


def test_explain_names_the_policies_that_forbid_a_call(folder: Path) -> None:
    (folder / "own.cedar").write_text(
        '@id("some") permit (principal, action in [Action::"Search", Action::"Get"], resource);'
        '@id("closed") forbid (principal, action == Action::"Search", resource);'
    )
    words = ("explain", "--policies", "own.cedar", "--principal", GATE, "--entity", "AA-BORDER")
    done = policy(*words, "--action", "Search", "--json")
    assert json.loads(done.stdout)["decided_by"] == ["closed"]
    assert "forbidden by closed" in policy(*words, "--action", "Search", "--table").stdout
    assert "permitted by some" in policy(*words, "--action", "Get", "--table").stdout


def test_explain_says_whether_a_bureau_may_cut_an_entity_off() -> None:
    words = ("--principal", OWNER, "--entity", "AA-BORDER", "--action", "suspendentity", "--json")
    done = policy("explain", *words, "--target", "AA-POLICE")
    assert json.loads(done.stdout)["decided_by"] == ["bureaus-cut-their-entities-off"], done.output
    done = policy("explain", *words, "--target", "BB-POLICE")
    assert json.loads(done.stdout)["result"] == "NOT_PERMITTED_BY_POLICY"
    assert "not a method" in policy("explain", *words[:-2], "Serach").output


def test_test_tries_every_case(folder: Path) -> None:
    done = policy("test", "cases.toml", "--json")
    assert done.exit_code == 0, done.output
    assert [row["result"] for row in json.loads(done.stdout)["cases"]] == [
        "ALLOWED",
        "ALLOWED",
        "NOT_PERMITTED_BY_POLICY",
        "ALLOWED",
        "NOT_PERMITTED_BY_POLICY",
        "ALLOWED",
    ]
    (folder / "cases.toml").write_text(_CASES.replace("candidate", "full"))
    done = policy("test", "cases.toml", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["wrong"] == 1


@pytest.mark.parametrize("content", ["[[case]]", "case = 1", "\x00", "{", '{"case": [{"principal": 3}]}'])
def test_malformed_cases_are_refused(folder: Path, content: str) -> None:
    (folder / "cases.toml").write_text(content)
    assert policy("test", "cases.toml").exit_code == 2


def test_an_entity_is_cut_off_and_let_in_again(folder: Path) -> None:
    file = folder / "suspended.json"
    assert policy("suspend", "AA-POLICE", "--reason", "key lost").exit_code == 0
    assert read_suspensions(file.read_bytes(), "f")["AA-POLICE"].reason == "key lost"
    words = ("--principal", CASES, "--entity", "AA-POLICE", "--action", "Search", "--json")
    assert json.loads(policy("explain", *words).stdout)["result"] == "ENTITY_SUSPENDED"
    assert policy("resume", "AA-POLICE").exit_code == 0
    assert read_suspensions(file.read_bytes(), "f") == {}
    assert policy("resume", "AA-POLICE").exit_code == 2


def test_what_the_directory_does_not_have_is_not_cut_off(folder: Path) -> None:
    assert policy("suspend", "AA-POLCE").exit_code == 2
    assert not (folder / "suspended.json").exists()

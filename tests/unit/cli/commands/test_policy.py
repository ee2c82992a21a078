"""`likeness policy`, over files."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from likeness.access.suspensions import read_suspensions, suspend
from likeness.cli.main import app
from likeness.domain.audit import AuditEntry
from likeness.domain.errors import Unavailable
from likeness.domain.storage import AuditReceipt
from likeness.store.act_socket import ActSocket
from likeness.store.store import Store
from tests.unit.access.hub import CASES, DIRECTORY, GATE, OWNER
from tests.unit.cli.holding import held

ME = f"local:{pwd.getpwuid(os.geteuid()).pw_name}"

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


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """The store of the home, as a server has it."""
    with held(folder / "home") as store:
        yield store


def entries(store: Store) -> list[tuple[str, str, str, object]]:
    """The operator's acts: method, principal, operator, and the entity that they are about."""
    found = [record.entry for record in store.audit_entries()]
    return [(e.rpc, e.principal, e.caller.operator, e.details["entity"]) for e in found]


def test_a_typo_is_refused_with_the_nearest_name() -> None:
    refused = policy("suspend", "AA-POLCE")
    assert refused.exit_code == 2
    assert "did you mean AA-POLICE" in " ".join(refused.output.split())


def test_an_entity_is_cut_off_and_let_in_again(folder: Path, store: Store) -> None:
    file = folder / "suspended.json"
    assert policy("suspend", "AA-POLICE", "--reason", "key lost", "--operator", "Jane").exit_code == 0
    row = read_suspensions(file.read_bytes(), "f")["AA-POLICE"]
    assert (row.reason, row.by, row.audit) == ("key lost", "Jane", 1)
    words = ("--principal", CASES, "--entity", "AA-POLICE", "--action", "Search", "--json")
    assert json.loads(policy("explain", *words).stdout)["result"] == "ENTITY_SUSPENDED"
    assert policy("resume", "AA-POLICE").exit_code == 0
    assert read_suspensions(file.read_bytes(), "f") == {}
    assert policy("resume", "AA-POLICE").exit_code == 2
    assert entries(store) == [
        ("SuspendEntity", ME, "Jane", "AA-POLICE"),
        ("ResumeEntity", ME, "", "AA-POLICE"),
    ]


def test_without_a_server_the_command_itself_puts_it_on_record(folder: Path) -> None:
    with held(folder / "home"):
        pass
    assert policy("suspend", "AA-POLICE").exit_code == 0
    assert policy("resume", "AA-POLICE").exit_code == 0
    with held(folder / "home") as store:
        assert [found[:2] for found in entries(store)] == [("SuspendEntity", ME), ("ResumeEntity", ME)]


def test_a_full_disk_hinders_nobody_from_being_cut_off_and_lets_nobody_in(folder: Path) -> None:
    def full(_: AuditEntry) -> AuditReceipt:
        raise Unavailable("The disk is full.", reason="STORAGE_UNAVAILABLE")

    with Store.open(folder / "home", key_file=folder / "home" / "keys.json") as store:
        with closing(ActSocket(folder / "home", full)):
            done = policy("suspend", "AA-POLICE", "--reason", "key lost")
            assert (done.exit_code, "not on record: The disk is full" in done.stderr) == (1, True)
            refused = policy("resume", "AA-POLICE")
            assert (refused.exit_code, "disk is full" in refused.stderr) == (3, True)
            (row,) = map(json.loads, policy("suspended", "--json").stdout.splitlines())
            assert (row["entity"], row["by"], row["audit_position"]) == ("AA-POLICE", ME, 0)
            assert "not on record" in policy("suspended", "--table").stdout
        with closing(ActSocket(folder / "home", store.audit)):
            assert policy("suspend", "AA-POLICE", "--reason", "key lost").exit_code == 0
    (again,) = map(json.loads, policy("suspended", "--json").stdout.splitlines())
    assert again == {**row, "audit_position": 1}


def test_rules_that_are_not_taken_hinder_nobody_from_being_cut_off(
    folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "own.cedar").write_text("permit (")
    monkeypatch.setenv("LIKENESS_ACCESS_POLICIES", str(folder / "own.cedar"))
    assert policy("suspend", "AA-POLICE").exit_code == 0


def test_who_is_cut_off_is_listed(store: Store) -> None:
    none = policy("suspended", "--json")
    assert (none.exit_code, none.stdout, "0 entities" in none.stderr) == (0, "", True)
    assert policy("suspend", "BB-POLICE", "--operator", "Jane", "--reason", "key lost").exit_code == 0
    assert policy("suspend", "AA-POLICE").exit_code == 0
    rows = [json.loads(line) for line in policy("suspended", "--json").stdout.splitlines()]
    assert [(row["entity"], row["by"], row["reason"], row["audit_position"]) for row in rows] == [
        ("AA-POLICE", ME, "", 2),
        ("BB-POLICE", "Jane", "key lost", 1),
    ]
    assert datetime.fromisoformat(rows[0]["since"]).tzinfo is not None
    table = policy("suspended", "--table").stdout
    for part in ("AA-POLICE", "BB-POLICE", "Jane", "key lost", f"{rows[0]['since'][:10]}"):
        assert part in table


def test_what_a_bureau_cut_off_is_listed_as_its(folder: Path) -> None:
    principal = "spiffe://hub.example/aa/supervisor"
    suspend(folder / "suspended.json", "AA-POLICE", "key lost", by=principal, caller="AA-BORDER")
    (row,) = map(json.loads, policy("suspended", "--json").stdout.splitlines())
    assert (row["by"], row["caller"]) == (principal, "AA-BORDER")
    table = "".join(policy("suspended", "--table").stdout.split())
    assert "supervisorforAA-BORDER" in table


def test_a_damaged_list_is_refused(folder: Path) -> None:
    (folder / "suspended.json").write_text("[]")
    for word in (("suspended",), ("suspend", "AA-POLICE"), ("resume", "AA-POLICE")):
        refused = policy(*word)
        assert (refused.exit_code, "suspended.json" in refused.stderr) == (2, True)


def test_what_the_directory_does_not_have_is_not_cut_off(folder: Path) -> None:
    assert policy("suspend", "AA-POLCE").exit_code == 2
    assert not (folder / "suspended.json").exists()

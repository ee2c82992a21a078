from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from likeness.app.composition import key_file
from likeness.app.settings import load
from likeness.cli.failures import Exit
from likeness.cli.main import app
from likeness.domain.audit import AuditCandidate, AuditEntry, JsonValue
from likeness.domain.references import Caller, Purpose
from likeness.store.sqlite.files import DATABASE
from likeness.store.store import Store
from tests.unit.cli.holding import held

CALLER = Caller("NCB-XX", Purpose.MISSING_PERSON, "case-7", "clerk")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder whose chain holds three entries."""
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path))
    key = key_file(load(environment={}, overrides={"home": tmp_path}))
    with Store.open(tmp_path, key_file=key) as store:
        for number in range(3):
            found = (AuditCandidate(f"reference-{number}", 0.875, 1e-4, (None, True, False)[number]),)
            store.audit(
                AuditEntry("Search", CALLER, "OK", searched=40, candidates=found, calibration="measured")
            )
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["audit", *words])


def test_a_whole_chain_is_verified_and_gives_a_digest_to_keep(home: Path) -> None:
    result = run("verify")
    report = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (report["entries"], report["verified_to"], report["problems"]) == (3, 3, [])
    assert run("verify", "--expect", f"3:{report['digest']}").exit_code == 0
    assert f"\n3:{report['digest']}" in run("verify", "--table").stdout


@pytest.mark.parametrize("expected", [f"3:{'0' * 64}", f"4:{'0' * 64}"])
def test_an_expected_entry_that_is_not_in_the_chain_is_reported(home: Path, expected: str) -> None:
    result = run("verify", "--expect", expected)
    assert result.exit_code == Exit.DAMAGED
    assert "is not in this chain" in result.stdout


@pytest.mark.parametrize("expected", ["3:00", "x"])
def test_a_mistyped_entry_is_a_mistake_and_no_damage(home: Path, expected: str) -> None:
    result = run("verify", "--expect", expected)
    assert result.exit_code == Exit.USAGE
    assert "write POSITION:DIGEST" in result.stderr


def test_a_changed_entry_breaks_the_chain(home: Path) -> None:
    with sqlite3.connect(home / DATABASE) as connection:
        connection.execute("UPDATE audit SET at = at + 1 WHERE position = 2")
    connection.close()
    result = run("verify")
    assert result.exit_code == Exit.DAMAGED
    assert json.loads(result.stdout)["verified_to"] == 1
    shown = run("show")
    assert shown.exit_code == Exit.DAMAGED
    assert shown.stderr.startswith("error: Audit entry 2")


def test_entries_are_shown_with_who_why_and_what(home: Path) -> None:
    entries = [json.loads(line) for line in run("show", "-n", "2").stdout.splitlines()]
    assert [e["position"] for e in entries] == [2, 3]
    assert (entries[0]["entity"], entries[0]["purpose"]) == ("NCB-XX", "missing_person")
    assert entries[0]["candidates"] == [
        {
            "reference_id": "reference-1",
            "score": 0.875,
            "fmr": 1e-4,
            "measurable": True,
            "owner": "",
            "level": "",
        }
    ]
    (one,) = run("show", "--position", "1").stdout.splitlines()
    assert json.loads(one)["position"] == 1
    table = run("show", "--table", "-n", "0").stdout
    assert table.count("NCB-XX / clerk, for missing_person / case-7") == 3
    rates = [line.split("FMR ")[1].strip() for line in table.splitlines() if "FMR" in line]
    assert rates == ["1.0e-04 or below", "1.0e-04", "below 1.0e-04"]


@pytest.mark.parametrize("position", ["4", "999999999999"])
def test_a_position_beyond_the_end_is_not_found_and_not_called_missing(home: Path, position: str) -> None:
    result = run("show", "--position", position)
    assert result.exit_code == Exit.REFUSED
    assert f"no audit entry {position}: the audit has 3 entries" in result.stderr
    assert "backup" not in result.stderr


@pytest.mark.parametrize("position", ["0", "-1"])
def test_a_position_before_the_first_is_refused(home: Path, position: str) -> None:
    assert run("show", "--position", position).exit_code == Exit.USAGE


def test_a_comparison_is_shown_with_its_score_and_rate(home: Path) -> None:
    details: dict[str, JsonValue] = {
        "sides": ["one", "other"],
        "score": 2.90147,
        "fmr": 1e-4,
        "measurable": False,
    }
    key = key_file(load(environment={}, overrides={"home": home}))
    with Store.open(home, key_file=key) as store:
        store.audit(AuditEntry("Compare", CALLER, "OK", calibration="measured", details=details))
    table = run("show", "--table", "-n", "1").stdout
    assert "score 2.901  FMR below 1.0e-04" in table
    assert "sides one and other" in table


def test_a_server_may_have_the_store_open(home: Path) -> None:
    with held(home):
        assert run("verify").exit_code == 0
        assert len(run("show").stdout.splitlines()) == 3


def test_no_store_is_reported_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "none"))
    result = run("verify")
    assert result.exit_code == Exit.REFUSED
    assert "--home" in result.stderr
    assert not (tmp_path / "none").exists()


def test_a_search_is_shown_with_what_it_asked_for(home: Path) -> None:
    key = key_file(load(environment={}, overrides={"home": home}))
    with Store.open(home, key_file=key) as store:
        store.audit(
            AuditEntry(
                "Search",
                CALLER,
                "OK",
                modality="face",
                probe="ab12",
                options={"k": 8, "max_fmr": 1e-4, "exhaustive": True},
                filters={"galleries": ["missing", "wanted"], "owners": [], "categories": ["victim"]},
                details={"presentations": [8, 3]},
            )
        )
    table = run("show", "--table", "-n", "1").stdout
    for part in (
        "face; probe ab12",
        "galleries missing, wanted; owners all; categories victim",
        "at most 8 candidates each; false match rate limited to 0.0001; every reference compared",
        "candidates answered: 8 and 3, for each of 2 presentations",
        "0 references searched",
    ):
        assert part in " ".join(table.split())
    assert "presentations 8" not in table
    shown = json.loads(run("show", "--position", "4").stdout)
    assert shown["candidates_per_presentation"] == [8, 3]


def test_filters_that_nothing_matches_are_named(home: Path) -> None:
    nothing = run("show", "--case", "case-8", "--outcome", "OK", "--from", "2026-01-31")
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    assert (
        nothing.stderr == "No entry matches --case case-8, --outcome OK, --from 2026-01-31T00:00:00+00:00.\n"
    )
    assert run("show", "--case", "case-7").stderr == ""
    exported = run("export", "--case", "case-8")
    assert exported.stderr.startswith("No entry matches --case case-8.\n")


def test_what_another_act_asked_for_is_shown(home: Path) -> None:
    filters: dict[str, JsonValue] = {"galleries": ["missing"], "owners": [], "case": "2026-114"}
    with held(home) as store:
        store.audit(AuditEntry("List", CALLER, "NOT_PERMITTED_BY_POLICY", filters=filters))
    table = run("show", "--table", "-n", "1").stdout
    assert "asked for case 2026-114; galleries missing" in " ".join(table.split())


def test_an_old_entry_with_control_characters_steers_no_terminal(home: Path) -> None:
    key = key_file(load(environment={}, overrides={"home": home}))
    with Store.open(home, key_file=key) as store:
        details: dict[str, JsonValue] = {"reference_id": "r", "reason": "x\n\x1b[2J\u202e"}
        store.audit(AuditEntry("Expunge", CALLER, "OK", details=details))
    assert "reason x\\n\\x1b[2J\\u202e" in " ".join(run("show", "--table", "-n", "1").stdout.split())
    line = run("show", "--position", "4").stdout
    assert "\x1b" not in line
    assert json.loads(line)["details"]["reason"] == "x\n\x1b[2J\u202e"


def test_the_tree_is_verified_with_the_chain(home: Path) -> None:
    assert len(json.loads(run("verify").stdout)["root"]) == 44
    with sqlite3.connect(home / DATABASE) as connection:
        connection.execute("UPDATE audit_tree SET commitment = zeroblob(32) WHERE position = 1")
    connection.close()
    result = run("verify")
    assert result.exit_code == Exit.DAMAGED
    (problem,) = json.loads(result.stdout)["problems"]
    assert "tree over the audit is missing or damaged at entry 1" in problem


@pytest.mark.parametrize(
    ("outcome", "decided_by", "shown"),
    [
        ("OK", ("frontline-searches",), "policy c0ffee; permitted by frontline-searches"),
        ("NOT_FOUND", ("frontline-searches",), "policy c0ffee; permitted by frontline-searches"),
        ("NOT_PERMITTED_BY_POLICY", (), "policy c0ffee; no policy permits this"),
        ("NOT_PERMITTED_BY_POLICY", ("closed",), "policy c0ffee; forbidden by closed"),
        ("PRINCIPAL_UNKNOWN", (), "policy c0ffee"),
    ],
)
def test_an_entry_names_the_policies_that_decided(
    home: Path, outcome: str, decided_by: tuple[str, ...], shown: str
) -> None:
    with Store.open(home, key_file=key_file(load(environment={}, overrides={"home": home}))) as store:
        store.audit(AuditEntry("Search", CALLER, outcome, policy="c0ffee", decided_by=decided_by))
    lines = [line.strip() for line in run("show", "-n", "1", "--table").stdout.splitlines()]
    assert shown in lines

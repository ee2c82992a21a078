"""Finding entries of the audit, and giving a part of it to who may have it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from likeness.app.composition import key_file
from likeness.app.settings import load
from likeness.cli.failures import Exit
from likeness.cli.main import app
from likeness.domain.access import Grant, Level, Principal
from likeness.domain.audit import AuditCandidate, AuditEntry, AuditShown
from likeness.domain.references import Caller, Purpose
from likeness.domain.storage import only
from likeness.store.store import Store
from tests.unit.store.writes import enrol, expunge

SECRET_CASE, SECRET_CLERK = "=2026-114", "Jane Roe"
GRANT = Grant(principal=Principal("spiffe://bb.example/system", "https://idp.example#7"))
BUREAU = Caller("NCB-BB", Purpose.WANTED_PERSON, SECRET_CASE, SECRET_CLERK, GRANT)
PROBE = b"the probe of another"


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Ids of references by name, in a home whose audit has five entries about them."""
    home = tmp_path / "home"
    monkeypatch.setenv("LIKENESS_HOME", str(home))
    with Store.open(home, key_file=key_file(load(environment={}, overrides={"home": home}))) as store:
        names = {
            name: only(store.write([enrol(seed, owner=owner, subject_id=subject)])).reference_id
            for seed, (name, owner, subject) in enumerate(
                [("own", "NCB-FR", "a/b"), ("gone", "NCB-FR", "c"), ("foreign", "NCB-ZZ", "d")]
            )
        }
        only(store.write([expunge(names["gone"])]))
        for entry in entries(names, store.probe_digest(PROBE)):
            store.audit(entry)
    yield names


def entries(names: dict[str, str], probe: str) -> list[AuditEntry]:
    """A search of this release and one of an older, a read, a refusal, and a comparison of something else."""
    candidates = (
        AuditCandidate(names["own"], 0.9, 1e-6, True, "NCB-FR", Level.CANDIDATE),
        AuditCandidate(names["foreign"], 0.8, 1e-6, True, "NCB-ZZ", Level.FULL),
    )
    older = (AuditCandidate(names["gone"], 0.7, 1e-6), AuditCandidate(names["foreign"], 0.6, 1e-6))
    who, person = GRANT.principal.name, GRANT.principal.person
    shown = (AuditShown("NCB-FR", Level.FULL, (names["own"],)),)
    return [
        AuditEntry("Search", BUREAU, "OK", probe=probe, candidates=candidates, principal=who, person=person),
        AuditEntry("Search", Caller("NCB-CC"), "OK", candidates=older),
        AuditEntry("Get", BUREAU, "OK", shown=shown, details={"reference_id": names["own"]}),
        AuditEntry("Get", BUREAU, "NOT_FOUND", details={"reference_id": names["own"]}),
        AuditEntry("Compare", Caller("NCB-ZZ"), "OK", details={"sides": [probe, "x"]}),
    ]


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["audit", *words])


def shown(*words: str) -> list[int]:
    result = run("show", "--json", *words)
    assert result.exit_code == 0, result.stderr
    return [json.loads(line)["position"] for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "positions"),
    [
        (["--case", SECRET_CASE], [1, 3, 4]),
        (["--entity", "NCB-CC"], [2]),
        (["--operator", SECRET_CLERK, "--method", "Get"], [3, 4]),
        (["--principal", GRANT.principal.name], [1]),
        (["--principal", GRANT.principal.person], [1]),
        (["--outcome", "NOT_FOUND"], [4]),
        (["--owner", "NCB-FR"], [1, 2, 3]),
        (["--owner", "NCB-FR", "--last", "1"], [3]),
        (["--from", "2999-01-01"], []),
        (["--to", "2999-01-01", "--method", "Compare"], [5]),
        (["--to", "2020-01-01"], []),
    ],
)
def test_entries_are_found_by_what_they_say(
    written: dict[str, str], words: list[str], positions: list[int]
) -> None:
    assert shown(*words) == positions


def test_entries_are_found_by_reference_and_by_the_file_of_a_probe(
    written: dict[str, str], tmp_path: Path
) -> None:
    assert shown("--reference", written["own"]) == [1, 3, 4]
    assert shown("--reference", written["gone"]) == [2]
    probe, other = tmp_path / "probe", tmp_path / "other"
    probe.write_bytes(PROBE)
    other.write_bytes(PROBE + b"!")
    assert shown("--probe", str(probe)) == [1, 5]
    assert shown("--probe", str(other)) == []


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (["--method", "SuspndEntity"], "SuspendEntity"),
        (["--method", "search"], "Search"),
        (["--outcome", "NOT_PERMITED"], "NOT_PERMITTED_BY_POLICY"),
    ],
)
def test_a_method_or_outcome_that_does_not_exist_is_refused(
    written: dict[str, str], words: list[str], nearest: str
) -> None:
    refused = run("show", *words)
    assert refused.exit_code == Exit.USAGE
    assert f"the nearest name is {nearest}." in " ".join(refused.stderr.split())


def test_an_owner_or_reference_that_is_not_known_is_named(written: dict[str, str]) -> None:
    for command in ("show", "export"):
        unknown = run(command, "--owner", "NCB-FX")
        assert unknown.exit_code == 0
        assert "no reference of an owner NCB-FX; the nearest name is NCB-F" in unknown.stderr
        assert "no reference of" not in run(command, "--owner", "NCB-FR").stderr
    assert "never held a reference nobody" in run("show", "--reference", "nobody").stderr
    known = run("show", "--reference", written["own"], "--from", "2999-01-01")
    assert "No entry matches" in known.stderr
    assert "never held" not in known.stderr


def test_an_owner_learns_who_received_its_references_and_nothing_of_others(written: dict[str, str]) -> None:
    result = run("export", "--owner", "NCB-FR")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    got = [(row["position"], row["entity"], row["method"], row["reference_id"], row["level"]) for row in rows]
    assert got == [
        (1, "NCB-BB", "Search", written["own"], "candidate"),
        (2, "NCB-CC", "Search", written["gone"], ""),  # expunged since, and an entry without owners
        (3, "NCB-BB", "Get", written["own"], "full"),
    ]
    assert all(
        set(row) == {"time", "position", "entity", "purpose", "method", "reference_id", "level"}
        for row in rows
    )
    for secret in (SECRET_CASE, SECRET_CLERK, written["foreign"], "NCB-ZZ", "spiffe", "idp.example"):
        assert secret not in result.stdout


def test_a_case_and_a_subject_are_exported_whole(written: dict[str, str]) -> None:
    case = [json.loads(line) for line in run("export", "--case", SECRET_CASE).stdout.splitlines()]
    assert [row["position"] for row in case] == [1, 3, 4]
    assert {row["operator"] for row in case} == {SECRET_CLERK}
    assert [c["reference_id"] for c in case[0]["candidates"]] == [written["own"], written["foreign"]]
    subject = [json.loads(line) for line in run("export", "--subject", "NCB-FR/a/b").stdout.splitlines()]
    assert [row["position"] for row in subject] == [1, 3, 4]
    nobody = run("export", "--subject", "NCB-FR/c")
    assert nobody.exit_code != 0
    assert "by its identifier" in nobody.stderr


def test_a_table_holds_no_formula(written: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "case.csv"
    result = run("export", "--case", SECRET_CASE, "--format", "csv", "--out", str(out))
    assert result.exit_code == 0, result.stderr
    rows = list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8"))))
    assert [row["position"] for row in rows] == ["1", "3", "4"]
    assert {row["case_reference"] for row in rows} == {f"'{SECRET_CASE}"}
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    assert out.stat().st_mode & 0o077 == 0
    assert list(tmp_path.glob("*.part")) == []


@pytest.mark.parametrize("words", [[], ["--case", "x", "--owner", "NCB-FR"]])
def test_an_export_is_of_one_thing(written: dict[str, str], words: list[str]) -> None:
    assert run("export", *words).exit_code == Exit.USAGE

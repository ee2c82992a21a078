"""Each act of an operator by a command leaves one entry of the audit, before it is done."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from likeness.cli import acts as module
from likeness.cli.failures import Exit
from likeness.cli.main import app
from likeness.domain.audit import AuditEntry
from likeness.domain.errors import Unavailable
from likeness.store.act_socket import ActSocket
from likeness.store.store import Store
from likeness.store.vault import KeyRing
from tests.unit.cli.holding import acts, held
from tests.unit.store.writes import act, enrol

OWNER = 12_345
"""Of the home of a service."""

ME = f"local:{pwd.getpwuid(os.geteuid()).pw_name}"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a closed store with a reference, and one entry in its audit."""
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LIKENESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with Store.open(tmp_path / "home", key_file=tmp_path / "home" / "keys.json") as store:
        store.write([enrol(1, reference_id="r1", owner="FR")])
        store.audit(act(1))
    return tmp_path / "home"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


ACTS: dict[str, tuple[str, ...]] = {
    "RotateKeys": ("keys", "rotate"),
    "Backup": ("backup", "monday"),
    "ShowAudit": ("audit", "show", "--case", "case-1"),
    "ExportAudit": ("audit", "export", "--owner", "FR"),
    "ProveEntry": ("audit", "prove", "1"),
}
"""Commands that may be run while a server runs."""

ALONE: dict[str, tuple[str, ...]] = {
    **ACTS,
    "Reseal": ("keys", "reseal"),
    "EraseOwner": ("keys", "erase-owner", "FR", "--yes"),
    "ReplaceSigningKey": ("keys", "replace-signing-key", "--yes"),
}


def of_operator(entries: list[AuditEntry], name: str) -> AuditEntry:
    (entry,) = [entry for entry in entries if entry.principal]
    assert (entry.rpc, entry.outcome, entry.principal) == (name, "OK", ME)
    assert (entry.caller.entity, entry.caller.operator) == ("(operator)", "Jane Roe")
    return entry


@pytest.mark.parametrize("name", ALONE)
def test_an_act_without_a_server_is_on_record(home: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKENESS_OPERATOR", "Jane Roe")
    done = run(*ALONE[name])
    assert done.exit_code == 0, done.output
    of_operator(acts(home), name)


@pytest.mark.parametrize("name", ACTS)
def test_an_act_while_a_server_runs_is_on_record_at_once(
    home: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIKENESS_OPERATOR", "Jane Roe")
    with held(home) as store:
        done = run(*ACTS[name])
        assert done.exit_code == 0, done.output
        of_operator([record.entry for record in store.audit_entries()], name)


def test_what_it_touched_is_in_the_entry(home: Path) -> None:
    with held(home) as store:
        before = KeyRing.load(home / "keys.json").active
        run("audit", "show", "--case", "2026-114", "--from", "2026-01-01", "--last", "3")
        run("keys", "rotate", "--operator", "Jane Roe")
        run("backup", "monday")
        shown, rotated, backed_up = [record.entry for record in store.audit_entries()][1:]
    assert shown.filters == {"case": "2026-114", "since": "2026-01-01T00:00:00+00:00"}
    assert shown.details["last"] == 3
    assert rotated.details["former_key"] == before
    assert rotated.caller.operator == "Jane Roe"
    assert (backed_up.details["folder"], backed_up.caller.operator) == ("monday", "")


def test_a_probe_that_was_looked_for_is_on_record_by_its_keyed_digest(home: Path, tmp_path: Path) -> None:
    (tmp_path / "probe.jpg").write_bytes(b"a face")
    with held(home) as store:
        assert run("audit", "show", "--probe", "probe.jpg").exit_code == 0
        entry = store.audit_entries()[-1].entry
        assert entry.filters == {"probe": store.probe_digest(b"a face")}


def full(_: AuditEntry) -> None:
    raise Unavailable("The disk is full.", reason="STORAGE_UNAVAILABLE")


def test_an_act_that_cannot_be_recorded_is_not_done(home: Path, tmp_path: Path) -> None:
    before = (home / "keys.json").read_bytes()
    with Store.open(home, key_file=home / "keys.json"):
        refusing = ActSocket(home, full)  # type: ignore[arg-type]
        try:
            for words in ACTS.values():
                refused = run(*words)
                assert (refused.exit_code, "disk is full" in refused.stderr) == (Exit.UNREACHABLE, True)
                assert refused.stdout == ""
        finally:
            refusing.close()
    assert (home / "keys.json").read_bytes() == before
    assert not (tmp_path / "monday").exists()


def test_a_process_that_takes_no_acts_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    with Store.open(home, key_file=home / "keys.json"):
        refused = run("keys", "rotate")
    assert refused.exit_code == Exit.REFUSED
    assert f"Process {os.getpid()} has" in refused.stderr


def test_an_operator_is_a_name_on_one_line(home: Path) -> None:
    for name in ("x" * 257, "a\x1b[2J"):
        refused = run("keys", "rotate", "--operator", name)
        assert (refused.exit_code, "operator's name" in refused.stderr) == (Exit.USAGE, True)
    assert len(acts(home)) == 1


def test_a_ring_whose_store_is_elsewhere_is_changed_and_that_is_not_on_record_here(home: Path) -> None:
    KeyRing.create(Path("other.json"))
    done = run("keys", "rotate", "--key-ring", "other.json")
    assert (done.exit_code, "not on record" in done.stderr) == (0, True)
    assert len(acts(home)) == 1


def test_a_copy_of_the_ring_of_this_store_is_no_way_around_the_record(home: Path) -> None:
    Path("copy.json").write_bytes((home / "keys.json").read_bytes())
    Path("copy.json").chmod(0o600)
    assert run("keys", "rotate", "--key-ring", "copy.json").exit_code == 0
    assert acts(home)[-1].rpc == "RotateKeys"


def test_a_restored_store_says_that_it_was(home: Path, tmp_path: Path) -> None:
    assert run("backup", "monday").exit_code == 0
    (tmp_path / "ring.json").write_bytes((home / "keys.json").read_bytes())
    (tmp_path / "ring.json").chmod(0o600)
    words = ("--home", "other", "--key-ring", "ring.json", "--operator", "Jane Roe")
    assert run("restore", "monday", *words).exit_code == 0
    entry = acts(tmp_path / "other", tmp_path / "ring.json")[-1]
    assert (entry.rpc, entry.principal, entry.caller.operator) == ("Restore", ME, "Jane Roe")
    assert entry.details["backup"] == "monday"


def test_who_read_the_audit_is_found_in_it(home: Path) -> None:
    assert run("audit", "show").exit_code == 0
    found = run("audit", "show", "--principal", ME, "--json")
    assert [json.loads(line)["rpc"] for line in found.stdout.splitlines()] == ["ShowAudit"]


def test_a_store_of_an_older_release_is_backed_up_and_otherwise_left_alone(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older: Callable[[object], bool] = lambda _settings: True  # noqa: E731
    monkeypatch.setattr(module, "is_of_older_release", older)
    refused = run("audit", "show")
    assert (refused.exit_code, "older release" in refused.stderr) == (Exit.REFUSED, True)
    monkeypatch.setattr("likeness.cli.commands.backup.is_of_older_release", older)
    done = run("backup", "monday")
    assert (done.exit_code, "not on record" in done.stderr) == (0, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("name", ALONE)
def test_what_root_does_in_a_home_of_the_service_leaves_it_the_services(
    home: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIKENESS_AUDIT_RESERVE_BYTES", "0")  # a reserve is nobody's: it is only ever removed
    for path in (home, *home.rglob("*")):
        os.chown(path, OWNER, OWNER)
    assert run(*ALONE[name]).exit_code == 0
    assert not [path for path in home.rglob("*") if path.stat().st_uid != OWNER]

"""The key that the audit's checkpoints are signed with: lost, put back, and replaced on purpose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from likeness.app.composition import signer
from likeness.app.settings import Settings, load
from likeness.cli.failures import Exit
from likeness.cli.main import app
from likeness.domain.errors import Precondition
from likeness.store.store import Store
from tests.unit.cli.holding import acts, held

BUREAU = "police.example/witness"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a service that has started once, and so has a signing key."""
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LIKENESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    started(tmp_path / "home")
    return tmp_path / "home"


def settings(home: Path, **given: object) -> Settings:
    return load(environment={}, overrides={"home": home, **given})


def started(home: Path) -> str:
    """The verifier key of a service that starts."""
    with Store.open(home, key_file=home / "keys.json") as store:
        return str(signer(settings(home), store).verifier)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def document(*words: str) -> dict[str, object]:
    done = run(*words)
    assert done.exit_code == 0, done.output
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_a_lost_key_is_no_reason_to_make_another(home: Path, tmp_path: Path) -> None:
    (home / "signing.key").rename(tmp_path / "copy")
    with pytest.raises(Precondition) as refused:
        started(home)
    assert refused.value.reason == "SIGNING_KEY_MISSING"
    assert str(home / "signing.key") in refused.value.message
    for words in (("keys", "export-public"), ("audit", "checkpoint"), ("audit", "prove", "1")):
        done = run(*words)
        assert (done.exit_code, "replace-signing-key" in done.stderr) == (Exit.REFUSED, True), words
    assert not (home / "signing.key").exists()
    (tmp_path / "copy").rename(home / "signing.key")
    assert started(home) == document("keys", "export-public")["verifier_key"]


def test_a_key_of_another_log_is_refused_under_the_same_name_too(home: Path, tmp_path: Path) -> None:
    name = str(document("keys", "export-public")["name"])
    (home / "signing.key").unlink()
    words = ("keys", "export-public", "--home", str(tmp_path / "other"), "--set", f"audit.origin={name}")
    document(*words)
    (tmp_path / "other" / "signing.key").rename(home / "signing.key")
    with pytest.raises(Precondition) as refused:
        started(home)
    assert refused.value.reason == "SIGNING_KEY_OF_ANOTHER_LOG"


def test_the_doctor_says_what_is_wrong_with_the_key(home: Path) -> None:
    def row() -> dict[str, str]:
        checks = json.loads(run("doctor").stdout)["checks"]
        found: dict[str, str] = next(check for check in checks if check["name"] == "signing key")
        return found

    assert row()["state"] == "green"
    (home / "signing.key").unlink()
    assert (row()["state"], "is missing" in row()["found"]) == ("red", True)


def test_a_restored_backup_has_its_key_on_record(home: Path, tmp_path: Path) -> None:
    assert run("backup", "monday").exit_code == 0
    (tmp_path / "other").mkdir()
    for name in ("keys.json", "signing.key"):
        (tmp_path / "other" / name).write_bytes((home / name).read_bytes())
        (tmp_path / "other" / name).chmod(0o600)
    assert run("restore", "monday", "--home", "other").exit_code == 0
    assert started(tmp_path / "other") == started(home)
    (tmp_path / "other" / "signing.key").unlink()
    with pytest.raises(Precondition):
        started(tmp_path / "other")


def test_a_key_is_replaced_on_purpose_and_on_record(home: Path) -> None:
    former = started(home)
    (home / "signing.key").unlink()
    assert run("keys", "replace-signing-key").exit_code == Exit.USAGE  # nobody was asked
    made = document("keys", "replace-signing-key", "--yes", "--operator", "Jane Roe")
    assert made["former_key"] == former != made["verifier_key"]
    assert started(home) == made["verifier_key"]
    entry = acts(home)[-1]
    assert (entry.rpc, entry.caller.operator) == ("ReplaceSigningKey", "Jane Roe")
    assert (entry.details["former_key"], entry.details["key"]) == (former, made["verifier_key"])


def test_no_key_is_replaced_while_a_server_signs_with_it(home: Path) -> None:
    before = (home / "signing.key").read_bytes()
    with held(home):
        assert run("keys", "replace-signing-key", "--yes").exit_code == Exit.REFUSED
    assert (home / "signing.key").read_bytes() == before


def test_where_there_is_no_store_there_is_nothing_to_replace(tmp_path: Path, home: Path) -> None:
    refused = run("keys", "replace-signing-key", "--yes", "--home", str(tmp_path / "none"))
    assert refused.exit_code == Exit.REFUSED
    assert not (tmp_path / "none").exists()


def test_a_witness_that_takes_the_new_key_still_finds_what_was_changed(home: Path) -> None:
    assert run("audit", "show").exit_code == 0  # an entry
    document("keys", "export-public", "--out", "hub.vkey")
    document("audit", "witness", "init", "w", "--name", BUREAU, "--key", "hub.vkey")
    document("audit", "checkpoint", "--out", "hub.checkpoint")
    size = document("audit", "witness", "update", "w", "hub.checkpoint")["size"]
    document("keys", "replace-signing-key", "--yes")
    document("audit", "checkpoint", "--since", str(size), "--out", "hub.checkpoint")
    assert run("audit", "witness", "update", "w", "hub.checkpoint").exit_code == Exit.DAMAGED
    document("keys", "export-public", "--out", "hub.vkey")
    changed = document("audit", "witness", "change-key", "w", "--key", "hub.vkey")
    assert changed["size"] == size
    seen = document("audit", "witness", "update", "w", "hub.checkpoint")
    assert int(str(seen["size"])) > int(str(size))

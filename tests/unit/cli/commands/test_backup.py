"""`likeness backup` and `likeness restore`, over a real store."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from likeness.access.suspensions import read_suspensions, suspend
from likeness.cli.failures import Exit
from likeness.cli.main import app
from likeness.domain.references import Status
from likeness.engine.gallery import Gallery
from likeness.index.snapshot import Snapshots
from likeness.store.backup_record import last_backup
from likeness.store.store import Store
from likeness.store.vault import KeyRing
from likeness.testing.vectors import VectorModality
from tests.unit.access.hub import DIRECTORY
from tests.unit.cli.holding import held
from tests.unit.store.writes import act, enrol, expunge


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a closed store of two owners, with a snapshot, its ring apart."""
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LIKENESS_STORE_KEY_RING", str(tmp_path / "ring.json"))
    monkeypatch.setenv("LIKENESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with opened(tmp_path / "home") as store:
        modality = VectorModality()
        gallery = Gallery(modality.name, modality.space, store)
        Snapshots(tmp_path / "home" / "snapshots" / "face", store.snapshot_seal()).save(gallery.capture())
        store.write([enrol(i, reference_id=f"r{i}", owner=("FR", "DE")[i % 2]) for i in range(6)])
        store.audit(act(1))
    return tmp_path / "home"


def opened(home: Path) -> Store:
    return Store.open(home, key_file=home.parent / "ring.json")


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_a_backup_made_while_a_server_runs_is_restored_elsewhere(home: Path, tmp_path: Path) -> None:
    with held(home, home.parent / "ring.json") as store:
        result = run("backup", "monday", "--json")
        assert result.exit_code == 0, result.output
        document = json.loads(result.stdout)
        assert (document["references"], document["log_position"]) == (6, store.head())
        store.write([expunge("r0")])
    assert "ring.json" in result.stderr
    assert list((tmp_path / "monday" / "snapshots" / "face").glob("*.snapshot"))
    assert not list((tmp_path / "monday").rglob("*ring*"))
    made = last_backup(home)
    assert made is not None
    assert made.isoformat() == document["created"]
    back = run("restore", "monday", "--home", "other", "--since", str(home), "--json")
    assert back.exit_code == 0, back.output
    assert json.loads(back.stdout)["expunged_again"] == 1
    with opened(tmp_path / "other") as store:
        assert store.get("r0").facets.status is Status.EXPUNGED
        assert store.verify(full=True).problems == ()


def test_a_tombstone_is_no_reference(home: Path) -> None:
    with opened(home) as store:
        store.write([expunge("r0")])
    assert json.loads(run("backup", "monday", "--json").stdout)["references"] == 5
    back = run("restore", "monday", "--home", "other", "--json")
    assert json.loads(back.stdout)["references"] == 5


def test_every_folder_and_file_that_is_made_is_for_its_owner_alone(home: Path, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        assert run("backup", "monday").exit_code == 0
        assert run("restore", "monday", "--home", "other").exit_code == 0
    finally:
        os.umask(before)
    for folder in (tmp_path / "monday", tmp_path / "other"):
        made = [folder, *folder.rglob("*")]
        assert folder / "snapshots" / "face" in made
        assert not [path for path in made if stat.S_IMODE(path.stat().st_mode) & 0o077]


def test_what_a_list_names_is_expunged_again(home: Path, tmp_path: Path) -> None:
    assert run("backup", "monday").exit_code == 0
    (tmp_path / "gone.txt").write_text('r1\n{"reference_id": "r2", "status": "expunged"}\n\nnever-there\n')
    back = run("restore", "monday", "--home", "other", "--expunged", "gone.txt", "--json")
    assert json.loads(back.stdout)["expunged_again"] == 2
    with opened(tmp_path / "other") as store:
        assert {store.get(name).facets.status for name in ("r1", "r2")} == {Status.EXPUNGED}


def test_a_list_that_cannot_be_read_restores_nothing(home: Path, tmp_path: Path) -> None:
    assert run("backup", "monday").exit_code == 0
    (tmp_path / "gone.txt").write_text('{"id": "r2"}\n')
    refused = run("restore", "monday", "--home", "other", "--expunged", "gone.txt")
    assert (refused.exit_code, "line 1" in refused.output) == (Exit.USAGE, True)
    assert not (tmp_path / "other").exists()


def test_owners_that_left_since_do_not_come_back(home: Path, tmp_path: Path) -> None:
    assert run("backup", "monday").exit_code == 0
    assert run("keys", "erase-owner", "FR", "--yes").exit_code == 0
    back = run("restore", "monday", "--home", "other", "--json")
    assert json.loads(back.stdout)["of_owners_gone"] == 3
    with opened(tmp_path / "other") as store:
        assert store.count("face") == 3


def test_without_its_ring_there_is_no_backup_and_no_restore(home: Path, tmp_path: Path) -> None:
    assert run("backup", "monday").exit_code == 0
    KeyRing.create(tmp_path / "another.json")
    for words in (["backup", "tuesday"], ["restore", "monday", "--home", "other"]):
        refused = run(*words, "--key-ring", "another.json")
        assert refused.exit_code == Exit.REFUSED, refused.output
    assert not (tmp_path / "tuesday").exists()
    assert not (tmp_path / "other").exists()


def test_a_home_with_a_store_is_not_restored_to(home: Path) -> None:
    assert run("backup", "monday").exit_code == 0
    refused = run("restore", "monday")
    assert refused.exit_code == Exit.REFUSED
    assert "move that one away" in " ".join(refused.output.split())


@pytest.fixture
def access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of suspensions, in the home with its directory, as where both are on one volume."""
    home = tmp_path / "home"
    (tmp_path / "directory.toml").write_text(DIRECTORY)
    monkeypatch.setenv("LIKENESS_ACCESS_DIRECTORY", str(tmp_path / "directory.toml"))
    monkeypatch.setenv("LIKENESS_ACCESS_SUSPENSIONS", str(home / "suspended.json"))
    return home / "suspended.json"


def who_is_cut_off(path: Path) -> list[str]:
    return sorted(read_suspensions(path.read_bytes(), "f"))


def test_whoever_was_cut_off_stays_so_after_a_restore(
    home: Path, access: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("policy", "suspend", "AA-POLICE").exit_code == 0
    assert run("backup", "monday").exit_code == 0
    assert run("policy", "suspend", "BB-POLICE").exit_code == 0
    home.rename(tmp_path / "broken")
    monkeypatch.setenv("LIKENESS_ACCESS_SUSPENSIONS", str(tmp_path / "new.json"))
    back = run("restore", "monday", "--since", "broken", "--json")
    assert back.exit_code == 0, back.output
    assert json.loads(back.stdout)["cut_off_again"] == ["AA-POLICE", "BB-POLICE"]
    assert who_is_cut_off(tmp_path / "new.json") == ["AA-POLICE", "BB-POLICE"]
    assert not (home / "suspended.json").exists()


def test_a_restore_lets_nobody_in_whom_the_file_in_place_has(
    home: Path, access: Path, tmp_path: Path
) -> None:
    assert run("policy", "suspend", "AA-POLICE").exit_code == 0
    assert run("backup", "monday").exit_code == 0
    home.rename(tmp_path / "broken")
    home.mkdir(mode=0o700)
    suspend(access, "AA-BORDER", "meanwhile")
    assert run("restore", "monday").exit_code == 0
    assert who_is_cut_off(access) == ["AA-BORDER", "AA-POLICE"]


def test_whom_only_the_audit_has_cut_off_is_named_by_restore_and_doctor(
    home: Path, access: Path, tmp_path: Path
) -> None:
    for words in (["suspend", "AA-POLICE"], ["suspend", "AA-BORDER"], ["resume", "AA-BORDER"]):
        assert run("policy", *words).exit_code == 0
    access.unlink()
    assert run("backup", "monday").exit_code == 0
    home.rename(tmp_path / "broken")
    back = run("restore", "monday", "--json")
    assert json.loads(back.stdout)["cut_off_on_record_only"] == ["AA-POLICE"]
    assert "cut off by the audit and not by" in " ".join(back.stderr.split())
    checks = {row["name"]: row for row in json.loads(run("doctor", "--full", "--json").stdout)["checks"]}
    assert checks["suspensions"]["state"] == "yellow"
    assert "AA-POLICE" in checks["suspensions"]["found"]
    assert "AA-BORDER" not in checks["suspensions"]["found"]

"""`likeness keys`, over a real store."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from likeness.cli.failures import Exit
from likeness.cli.main import app
from likeness.engine.gallery import Gallery
from likeness.index.snapshot import Snapshots
from likeness.store.sqlite.files import RESERVE
from likeness.store.store import Store
from likeness.store.vault import KeyRing
from likeness.testing.vectors import VectorModality
from tests.unit.cli.holding import acts, held
from tests.unit.store.writes import act, enrol, expunge
from tests.waiting import PATIENCE

Keys = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LIKENESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def keys(*words: str) -> Result:
    return CliRunner().invoke(app, ["keys", *words])


def listed() -> dict[str, dict[str, Any]]:
    result = keys("list", "--json")
    assert result.exit_code == 0, result.output
    return {key["key_id"]: key for key in map(json.loads, result.stdout.splitlines())}


def ring_file(home: Path) -> Path:
    return home / "keys.json"


def opened(home: Path) -> Store:
    return Store.open(home, key_file=ring_file(home))


@pytest.fixture
def old(home: Path) -> str:
    """The id of the key of a store with three references, a tombstone and a snapshot, rotated since."""
    with opened(home) as store:
        store.write([enrol(i, reference_id=f"r{i}", source=b"source") for i in range(4)])
        store.write([expunge("r3")])
        store.audit(act(1))
        snapshot(home, store)
        active = store.active_key
    assert keys("rotate").exit_code == 0
    return active


def snapshot(home: Path, store: Store) -> None:
    """A snapshot of an empty index, as the service leaves one behind."""
    modality = VectorModality()
    gallery = Gallery(modality.name, modality.space, store)
    Snapshots(home / "snapshots" / "face", store.snapshot_seal()).save(gallery.capture())


def test_a_ring_is_made_for_its_owner_alone_and_never_overwritten(home: Path, tmp_path: Path) -> None:
    made = keys("create", "--key-ring", "ring.json", "--json")
    assert made.exit_code == 0
    assert json.loads(made.stdout)["key_id"] == KeyRing.load(tmp_path / "ring.json").active
    assert stat.S_IMODE((tmp_path / "ring.json").stat().st_mode) == 0o600
    before = (tmp_path / "ring.json").read_bytes()
    assert keys("create", "--key-ring", "ring.json").exit_code == Exit.REFUSED
    assert (tmp_path / "ring.json").read_bytes() == before
    assert keys("create").exit_code == 0
    with opened(home) as store:
        assert store.active_key == KeyRing.load(ring_file(home)).active


def test_no_new_ring_is_made_for_a_store_whose_ring_is_missing(home: Path, old: str) -> None:
    ring_file(home).unlink()
    result = keys("create")
    assert result.exit_code == Exit.REFUSED
    assert "restore it" in result.output
    assert not ring_file(home).exists()


@pytest.mark.parametrize("words", [["list"], ["rotate"], ["remove", "0123456789abcdef"]])
def test_nothing_was_lost_where_nothing_has_begun(home: Path, words: list[str]) -> None:
    result = CliRunner().invoke(app, ["keys", *words])
    assert result.exit_code == Exit.REFUSED
    assert "likeness keys create" in result.stderr
    assert "backup" not in result.stderr
    assert not home.exists()


def test_the_list_says_what_each_key_seals_and_shows_no_key(home: Path, old: str) -> None:
    secrets = json.loads(ring_file(home).read_text())["keys"].values()
    new = KeyRing.load(ring_file(home)).active
    found = listed()
    assert (found[new]["state"], found[new]["references"]) == ("unused", 0)
    assert (found[old]["state"], found[old]["references"], found[old]["snapshots"]) == ("in_use", 4, 1)
    assert found[old]["bytes"] > 1000
    assert not found[old]["removable"]
    assert found[old]["created"] <= found[new]["created"]
    for result in (keys("list", "--json"), keys("list", "--table"), keys("rotate"), keys("list")):
        assert not any(secret in result.output for secret in secrets)


def test_old_data_is_sealed_under_the_current_key_and_the_old_one_goes(home: Path, old: str) -> None:
    result = keys("reseal", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["references"], document["snapshots"]) == (4, 1)
    assert f"keys remove {old}" in result.stderr
    assert "sealing: 4 of 4" in result.stderr
    assert listed()[old]["removable"]
    removed = keys("remove", old, "--yes")
    assert removed.exit_code == 0, removed.output
    assert KeyRing.load(ring_file(home)).ids == {document["key_id"]}
    assert listed()[old]["state"] == "removed"
    with opened(home) as store:
        assert store.verify(full=True).problems == ()
        assert store.source("r0") == b"source"
        loaded = Snapshots(home / "snapshots" / "face", store.snapshot_seal()).newest()
        assert loaded.snapshot is not None
        assert np.array_equal(loaded.snapshot.columns.cells, np.empty_like(loaded.snapshot.columns.cells))
    shown = CliRunner().invoke(app, ["audit", "show", "--position", "1", "--json"])
    assert json.loads(shown.stdout)["case_reference"] == "case-1"


def test_the_reserve_is_still_held_and_an_older_copy_refused(
    home: Path, old: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIKENESS_AUDIT_RESERVE_BYTES", str(1 << 20))
    assert keys("reseal").exit_code == 0
    assert (home / RESERVE).stat().st_size == 1 << 20
    monkeypatch.setenv("LIKENESS_AUDIT_EXPECTED_HEAD", f"99:{'ab' * 32}")
    result = keys("reseal")
    assert result.exit_code == Exit.DAMAGED
    assert "99:abab" in result.stderr


def test_it_may_be_run_again(home: Path, old: str) -> None:
    assert keys("reseal").exit_code == 0
    again = json.loads(keys("reseal", "--json").stdout)
    assert (again["references"], again["snapshots"]) == (0, 0)


def test_a_key_that_still_seals_something_is_not_removed(home: Path, old: str) -> None:
    before = ring_file(home).read_bytes()
    result = keys("remove", old, "--yes")
    assert result.exit_code == Exit.REFUSED
    assert "4 references" in result.output
    assert "keys reseal" in result.output
    with opened(home) as store:
        assert store.reseal().finished
    assert keys("remove", old, "--yes").exit_code == Exit.REFUSED  # the snapshot is left
    assert ring_file(home).read_bytes() == before


def test_the_current_key_and_unknown_ones_are_not_removed(home: Path, old: str) -> None:
    current = KeyRing.load(ring_file(home)).active
    assert "current" in keys("remove", current, "--yes", "--unchecked").output
    result = keys("remove", "0" * 16)
    assert (result.exit_code, "no key" in result.output) == (Exit.REFUSED, True)
    assert len(KeyRing.load(ring_file(home)).ids) == 2


def test_a_ring_whose_store_is_elsewhere_needs_a_word_to_lose_a_key(home: Path, tmp_path: Path) -> None:
    first = json.loads(keys("create", "--key-ring", "ring.json", "--json").stdout)["key_id"]
    assert keys("rotate", "--key-ring", "ring.json").exit_code == 0
    refused = keys("remove", first, "--key-ring", "ring.json", "--yes")
    assert (refused.exit_code, "--unchecked" in refused.output) == (Exit.REFUSED, True)
    assert keys("remove", first, "--key-ring", "ring.json", "--yes", "--unchecked").exit_code == 0
    assert first not in KeyRing.load(tmp_path / "ring.json").ids


def test_nobody_removes_a_key_without_being_asked(home: Path, old: str) -> None:
    assert keys("reseal").exit_code == 0
    assert keys("remove", old).exit_code == Exit.USAGE
    assert old in KeyRing.load(ring_file(home)).ids


def test_a_server_that_holds_the_home_is_named_and_the_list_still_works(home: Path, old: str) -> None:
    with held(home):
        result = keys("reseal")
        assert result.exit_code == Exit.REFUSED
        assert "reseal_old_keys" in result.output
        found = listed()
        assert {key["state"] for key in found.values()} == {"current", "in_use"}
        assert keys("rotate").exit_code == 0
        assert "restart" in keys("rotate").output


def test_another_stores_ring_is_refused(home: Path, old: str, tmp_path: Path) -> None:
    KeyRing.create(tmp_path / "other.json")
    for words in (["list"], ["reseal"]):
        result = keys(*words, "--key-ring", "other.json")
        assert result.exit_code == Exit.REFUSED
        assert "put back the key file" in result.output


def test_the_doctor_tells_of_an_old_key_in_use(home: Path, old: str) -> None:
    def key_ring() -> dict[str, str]:
        checks = json.loads(CliRunner().invoke(app, ["doctor"]).stdout)["checks"]
        return next(check for check in checks if check["name"] == "key ring")

    assert key_ring()["state"] == "yellow"
    assert old in key_ring()["found"]
    assert "likeness keys reseal" in key_ring()["fix"]
    assert keys("reseal").exit_code == 0
    assert key_ring()["state"] == "green"
    assert f"likeness keys remove {old}" in key_ring()["found"]
    assert keys("remove", old, "--yes").exit_code == 0
    assert "1 key;" in key_ring()["found"]


def of_two_owners(home: Path) -> None:
    with opened(home) as store:
        store.write([enrol(i, reference_id=f"fr{i}", owner="FR") for i in range(3)])
        store.write([enrol(9, reference_id="de9", owner="DE")])
        snapshot(home, store)


def test_an_owner_leaves_with_all_that_it_enrolled(home: Path) -> None:
    of_two_owners(home)
    result = keys("erase-owner", "FR", "--yes", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["owner"], document["references"], document["log_position"]) == ("FR", 3, 7)
    assert "destroy the copies" in result.stderr
    assert not list((home / "snapshots" / "face").glob("*.snapshot"))
    with opened(home) as store:
        assert store.count("face") == 1
        record = store.audit_entries(document["audit_position"] - 1)[0]
        assert (record.entry.rpc, record.digest.hex()) == ("ExpungeOwner", document["audit_digest"])


def test_the_receipt_of_an_exit_is_checked_without_the_store(home: Path, tmp_path: Path) -> None:
    of_two_owners(home)
    document = json.loads(keys("erase-owner", "FR", "--yes", "--json").stdout)
    key = keys("export-public", "--table").stdout.strip()
    (tmp_path / "gone.receipt").write_text(document["receipt"])
    check = ["audit", "check-receipt", "gone.receipt", "--key", key, "--json"]
    checked = CliRunner().invoke(app, check)
    assert checked.exit_code == 0, checked.output
    stated = json.loads(checked.stdout)
    assert (stated["owner"], stated["free_from_log_position"]) == ("FR", document["log_position"])
    (tmp_path / "gone.receipt").write_text(document["receipt"].replace("owner FR", "owner DE"))
    assert CliRunner().invoke(app, check).exit_code == Exit.DAMAGED


@pytest.mark.parametrize("unchecked", [[], ["--unchecked"]])
def test_an_owner_that_never_was_is_not_erased(home: Path, unchecked: list[str]) -> None:
    of_two_owners(home)
    before = ring_file(home).read_bytes()
    refused = keys("erase-owner", "FRR", "--yes", *unchecked)
    assert (refused.exit_code, "Did you mean FR?" in refused.stderr) == (Exit.REFUSED, True)
    assert keys("erase-owner", "NCB-XX", "--yes", *unchecked).exit_code == Exit.REFUSED
    assert ring_file(home).read_bytes() == before
    assert not [entry for entry in acts(home) if entry.rpc == "EraseOwner"]


@pytest.mark.parametrize("unchecked", [[], ["--unchecked"]])
def test_an_owner_that_was_erased_is_not_erased_again(home: Path, unchecked: list[str]) -> None:
    of_two_owners(home)
    assert keys("erase-owner", "FR", "--yes").exit_code == 0
    ring, entries = ring_file(home).read_bytes(), len(acts(home))
    again = keys("erase-owner", "FR", *unchecked, "--json")
    assert (again.exit_code, json.loads(again.stdout)["already_erased"]) == (0, True)
    assert (ring_file(home).read_bytes(), len(acts(home))) == (ring, entries)


def test_an_owner_of_whom_tombstones_are_left_is_erased(home: Path) -> None:
    of_two_owners(home)
    with opened(home) as store:
        store.write([expunge("de9")])
    document = json.loads(keys("erase-owner", "DE", "--yes", "--json").stdout)
    assert (document["references"], document["already_erased"]) == (0, False)
    assert KeyRing.load(ring_file(home)).has_erased("DE")


def test_an_exit_that_was_interrupted_is_gone_on_with(home: Path) -> None:
    of_two_owners(home)
    KeyRing.erase_owner(ring_file(home), "FR")  # and killed before the store followed
    document = json.loads(keys("erase-owner", "FR", "--json").stdout)
    assert (document["references"], document["already_erased"]) == (3, False)
    assert document["receipt"]


def test_nobody_erases_an_owner_without_being_asked(home: Path) -> None:
    of_two_owners(home)
    before = ring_file(home).read_bytes()
    assert keys("erase-owner", "FR").exit_code == Exit.USAGE
    assert ring_file(home).read_bytes() == before


def test_while_a_server_runs_the_ring_alone_is_changed_and_the_next_start_follows(home: Path) -> None:
    of_two_owners(home)
    before = ring_file(home).read_bytes()
    with held(home):
        refused = keys("erase-owner", "FR", "--yes")
        assert (refused.exit_code, "--unchecked" in refused.output) == (Exit.REFUSED, True)
        assert ring_file(home).read_bytes() == before
        assert keys("erase-owner", "FR", "--yes", "--unchecked").exit_code == 0
    with opened(home) as store:
        assert [(done.owner, done.references) for done in store.exits] == [("FR", 3)]


def test_the_doctor_tells_of_a_ring_without_keys_for_owners(home: Path) -> None:
    def key_ring() -> dict[str, str]:
        checks = json.loads(CliRunner().invoke(app, ["doctor"]).stdout)["checks"]
        return next(check for check in checks if check["name"] == "key ring")

    home.mkdir()
    made = KeyRing.create(ring_file(home))
    ring_file(home).write_bytes(KeyRing(made._keys, made.active, made.created).to_json())
    with opened(home) as store:
        store.write([enrol(1)])
    assert (key_ring()["state"], "keys rotate" in key_ring()["fix"]) == ("yellow", True)
    assert keys("rotate").exit_code == 0
    assert keys("reseal").exit_code == 0
    assert key_ring()["state"] == "green"


INTERRUPTED = """
import os, signal
from likeness.cli.commands import keys
from likeness.cli.main import main
from likeness.store import reseal

reseal.BATCH_ROWS = 1
steps = keys._steps

def interrupt(step, count):
    steps(step, count)
    if count:
        os.kill(os.getpid(), signal.SIGINT)

keys._steps = interrupt
main()
"""


def test_ctrl_c_leaves_a_whole_store_and_the_next_run_goes_on(home: Path, old: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, "keys", "reseal"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert done.returncode == Exit.INTERRUPTED, done.stderr
    assert "run the same command again" in done.stderr
    assert "Traceback" not in done.stderr
    assert 0 < json.loads(keys("reseal", "--json").stdout)["references"] < 4
    assert keys("remove", old, "--yes").exit_code == 0
    with opened(home) as store:
        assert store.verify(full=True).problems == ()


def test_the_public_key_of_the_audit_is_shown_and_made_once(home: Path) -> None:
    made = keys("export-public", "--set", "audit.origin=hub.example/audit", "--json")
    assert made.exit_code == 0, made.output
    document = json.loads(made.stdout)
    assert document["verifier_key"].startswith("hub.example/audit+")
    assert "keep a copy" in made.stderr
    shown = keys("export-public", "--table")
    assert (shown.stdout.strip(), shown.stderr) == (document["verifier_key"], "")
    assert "PRIVATE" in (home / "signing.key").read_text()
    assert "PRIVATE" not in made.output + shown.output


def test_the_public_key_is_that_of_the_ring_in_use(home: Path) -> None:
    result = keys("export-public", "--set", "store.key_ring=ring/service.json", "--json")
    assert result.exit_code == 0, result.output
    assert Path("ring/signing.key").exists()
    assert not (home / "signing.key").exists()


def test_an_origin_that_is_none_is_a_wrong_setting(home: Path) -> None:
    result = keys("export-public", "--set", "audit.origin=two words")
    assert result.exit_code == Exit.USAGE
    assert "audit.origin" in result.stderr
    assert not home.exists()

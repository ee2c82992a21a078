"""`likeness audit checkpoint`, `prove`, `check-proof` and `witness`, over a real store."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from likeness.cli.failures import Exit
from likeness.cli.main import app
from likeness.domain.access import Level
from likeness.domain.audit import AuditCandidate
from likeness.store.sqlite.files import DATABASE
from likeness.store.store import Store
from tests.unit.store.writes import act

LOG = "hub.example/audit"
BUREAU = "police.example/witness"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a hub with five entries; hub and bureau stand in one folder."""
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LIKENESS_AUDIT_ORIGIN", LOG)
    monkeypatch.chdir(tmp_path)
    add(tmp_path / "home", 5)
    assert likeness("keys", "export-public", "--out", "hub.vkey").exit_code == 0
    return tmp_path / "home"


def add(home: Path, entries: int) -> None:
    with Store.open(home, key_file=home / "keys.json") as store:
        for number in range(entries):
            store.audit(act(number))


def likeness(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def audit(*words: str) -> dict[str, Any]:
    result = likeness("audit", *words)
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


@pytest.fixture
def watched(home: Path) -> Path:
    """The same with the witness of a bureau that has seen the five entries."""
    audit("witness", "init", "hub.witness", "--name", BUREAU, "--key", "hub.vkey", "--out", "bureau.vkey")
    audit("checkpoint", "--out", "hub.checkpoint")
    audit("witness", "update", "hub.witness", "hub.checkpoint", "--out", "hub.cosigned")
    return home


def test_a_checkpoint_is_signed_and_is_that_of_the_verified_tree(home: Path) -> None:
    stated = audit("checkpoint")
    assert (stated["origin"], stated["size"]) == (LOG, 5)
    assert stated["root"] == audit("verify")["root"]
    shown = likeness("audit", "checkpoint", "--table").stdout
    assert shown == stated["checkpoint"]
    assert shown.startswith(f"{LOG}\n5\n{stated['root']}\n\n\u2014 {LOG} ")


def test_an_entry_is_proved_to_somebody_who_has_the_files_alone(watched: Path, tmp_path: Path) -> None:
    audit("prove", "3", "--checkpoint", "hub.cosigned", "--out", "entry.tlog-proof")
    shutil.rmtree(watched)
    keys = ("--key", "hub.vkey", "--witness-key", "bureau.vkey")
    proven = audit("check-proof", "entry.tlog-proof", *keys)
    assert (proven["log"], proven["position"], proven["size"]) == (LOG, 3, 5)
    assert proven["entry"]["caller"]["case_reference"] == "case-2"
    assert list(proven["cosigned"]) == [BUREAU]
    verdict = f"proved: the audit of {LOG} holds this entry; cosigned by 1 witness ({BUREAU})"
    assert proven["verdict"] == verdict
    table = likeness("audit", "check-proof", "entry.tlog-proof", *keys, "--table").stdout
    assert "case-2" in table
    assert " ".join(table.split()).endswith(verdict)
    text = (tmp_path / "entry.tlog-proof").read_text()
    (tmp_path / "entry.tlog-proof").write_text(text.replace("index 2", "index 3"))
    refused = likeness("audit", "check-proof", "entry.tlog-proof", *keys)
    assert refused.exit_code == Exit.DAMAGED
    assert "does not lead from entry 4" in refused.stderr


def test_a_proof_without_the_witness_that_is_asked_for_is_refused(watched: Path) -> None:
    audit("prove", "3", "--out", "entry.tlog-proof")
    proven = audit("check-proof", "entry.tlog-proof", "--key", Path("hub.vkey").read_text())
    assert proven["verdict"].endswith("holds this entry; cosigned by no witness that you named")
    refused = likeness(
        "audit", "check-proof", "entry.tlog-proof", "--key", "hub.vkey", "--witness-key", "bureau.vkey"
    )
    assert refused.exit_code == Exit.DAMAGED
    assert f"not cosigned by {BUREAU}" in refused.stderr


def test_candidates_of_a_proven_entry_are_labelled(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    candidate = AuditCandidate("reference-7", 0.5, 1e-4, True, "NCB-FR", Level.CANDIDATE)
    with Store.open(home, key_file=home / "keys.json") as store:
        store.audit(replace(act(5), candidates=(candidate,)))
    audit("prove", "6", "--out", "entry.tlog-proof")
    words = ("check-proof", "entry.tlog-proof", "--key", "hub.vkey")
    (found,) = audit(*words)["entry"]["candidates"]
    assert found == {
        "reference_id": "reference-7",
        "score": 0.5,
        "fmr": 1e-4,
        "measurable": True,
        "owner": "NCB-FR",
        "level": "candidate",
    }
    shown = (
        "reference reference-7, score 0.5, false match rate 0.0001, rate measurable true, owner NCB-FR, level"
    )
    assert shown in likeness("audit", *words, "--table").stdout


def test_what_a_witness_is_yet_to_cosign_is_named_as_such(watched: Path) -> None:
    audit("checkpoint", "--since", "0", "--out", "hub.growth")
    refused = likeness("audit", "prove", "3", "--checkpoint", "hub.growth")
    assert refused.exit_code == Exit.USAGE
    assert "hub.growth is what `likeness audit checkpoint --since` made for a witness" in refused.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("check-proof", "entry.tlog-proof", "--key", "bureau.vkey", "--witness-key", "hub.vkey"),
            f"--key has the key of the witness {BUREAU}, and --witness-key that of the log {LOG}: the two seem "
            "to be swapped.",
        ),
        (
            ("check-proof", "entry.tlog-proof", "--key", "bureau.vkey"),
            f"--key has the key of the witness {BUREAU}; give the log's",
        ),
        (
            ("check-proof", "entry.tlog-proof", "--key", "hub.vkey", "--witness-key", "hub.vkey"),
            f"--witness-key has the key of the log {LOG}; give what",
        ),
        (
            ("witness", "init", "w", "--name", "b", "--key", "bureau.vkey"),
            f"--key has the key of the witness {BUREAU}; give the log's",
        ),
    ],
)
def test_a_key_of_the_other_kind_is_named_as_such(
    watched: Path, words: tuple[str, ...], message: str
) -> None:
    audit("prove", "3", "--checkpoint", "hub.cosigned", "--out", "entry.tlog-proof")
    refused = likeness("audit", *words)
    assert refused.exit_code == Exit.USAGE
    assert message in refused.stderr


def test_a_proof_of_a_usual_search_is_small(watched: Path) -> None:
    assert len(audit("prove", "3", "--checkpoint", "hub.cosigned")["proof"]) < 2048


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("prove", "6"), Exit.REFUSED, "no audit entry 6: the audit has 5"),
        (("prove", "1", "--checkpoint", "hub.vkey"), Exit.USAGE, "signed note"),
        (("prove", "1", "--checkpoint", "none"), Exit.USAGE, "No such file"),
        (("checkpoint", "--since", "6"), Exit.REFUSED, "fewer than the 6"),
        (("check-proof", "hub.vkey", "--key", "hub.vkey"), Exit.USAGE, "no empty line"),
        (("witness", "init", "w", "--name", "b", "--key", "none"), Exit.USAGE, "No such file"),
        (("witness", "show", "none"), Exit.REFUSED, "no witness none"),
        (("witness", "init", "w", "--name", "a b", "--key", "hub.vkey"), Exit.USAGE, "not a name"),
    ],
)
def test_mistakes_are_named(home: Path, words: tuple[str, ...], code: Exit, message: str) -> None:
    result = likeness("audit", *words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr


def test_a_witness_follows_what_the_service_adds(watched: Path) -> None:
    add(watched, 4)
    seen = audit("witness", "show", "hub.witness")
    assert (seen["size"], seen["name"]) == (5, BUREAU)
    audit("checkpoint", "--since", str(seen["size"]), "--out", "hub.checkpoint")
    updated = audit("witness", "update", "hub.witness", "hub.checkpoint", "--out", "hub.cosigned")
    assert updated["size"] == 9
    assert Path("hub.cosigned").read_text() == updated["checkpoint"]
    audit("prove", "9", "--checkpoint", "hub.cosigned", "--out", "entry.tlog-proof")
    audit("check-proof", "entry.tlog-proof", "--key", "hub.vkey", "--witness-key", "bureau.vkey")
    shown = likeness("audit", "witness", "show", "hub.witness", "--table").stdout
    assert LOG in shown


def test_an_entry_after_the_checkpoint_needs_a_later_one(watched: Path) -> None:
    add(watched, 1)
    refused = likeness("audit", "prove", "6", "--checkpoint", "hub.cosigned")
    assert refused.exit_code == Exit.REFUSED
    assert "came after the checkpoint of 5 entries" in refused.stderr


def test_a_whole_home_that_is_rolled_back_is_found_by_the_witness(home: Path, tmp_path: Path) -> None:
    """An older copy of everything, the keys too, which the store itself cannot tell from the truth."""
    shutil.copytree(home, tmp_path / "older")
    add(home, 3)
    audit("witness", "init", "hub.witness", "--name", BUREAU, "--key", "hub.vkey")
    audit("checkpoint", "--out", "hub.checkpoint")
    audit("witness", "update", "hub.witness", "hub.checkpoint", "--out", "hub.cosigned")
    shutil.rmtree(home)
    shutil.copytree(tmp_path / "older", home)
    assert audit("verify")["problems"] == []
    behind = likeness("audit", "checkpoint", "--since", "8")
    assert (behind.exit_code, "older copy" in behind.stderr) == (Exit.REFUSED, True)
    unproved = likeness("audit", "prove", "1", "--checkpoint", "hub.cosigned")
    assert unproved.exit_code == Exit.DAMAGED
    for entries in (0, 3, 2):  # as it is; grown to the same size; and beyond it
        add(home, entries)
        since = ("--since", "8") if entries == 2 else ()
        audit("checkpoint", *since, "--out", "hub.checkpoint")
        found = likeness("audit", "witness", "update", "hub.witness", "hub.checkpoint")
        assert found.exit_code == Exit.DAMAGED, found.output
    assert audit("witness", "show", "hub.witness")["size"] == 8


def test_a_store_that_no_server_of_this_release_has_opened_says_what_to_do(home: Path) -> None:

    with sqlite3.connect(home / DATABASE) as connection:
        connection.execute("DROP TABLE audit_tree")
    connection.close()
    refused = likeness("audit", "checkpoint")
    assert (refused.exit_code, "start the service once" in refused.stderr) == (Exit.REFUSED, True)


LIGHT = """
import sys
from dataclasses import replace
from importlib.abc import MetaPathFinder

heavy = ("sqlalchemy", "numpy", "faiss", "onnxruntime", "cv2", "grpc", "google", "numba", "likeness.store")

class Light(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.startswith(heavy):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Light())
from likeness.cli.start import witness
witness()
"""


def alone(*words: str) -> subprocess.CompletedProcess[str]:
    """Run `likeness-witness` where nothing of the service can be imported."""
    command = [sys.executable, "-c", LIGHT, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_bureau_needs_neither_store_nor_keys_nor_models(watched: Path) -> None:
    add(watched, 2)
    audit("checkpoint", "--since", "5", "--out", "hub.checkpoint")
    audit("prove", "2", "--out", "entry.tlog-proof")
    shutil.rmtree(watched)
    for words in (
        ("update", "hub.witness", "hub.checkpoint"),
        ("show", "hub.witness"),
        ("check-proof", "entry.tlog-proof", "--key", "hub.vkey"),
        ("init", "other.witness", "--name", "other.example", "--key", "hub.vkey"),
    ):
        done = alone(*words)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)
    assert "hub.example/audit" in alone("show", "hub.witness", "--table").stdout

"""A server process on the default models, and the command line as a person uses it: enrol, search, expunge."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Run
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.models, pytest.mark.slow]


def test_a_person_is_enrolled_found_and_expunged(run: Run, photographs: Path, tmp_path: Path) -> None:
    code, (summary,), stderr = run(
        "enroll", photographs / "obama.jpg", photographs / "astronaut.png", "-g", "g1"
    )
    assert (code, summary["enrolled"]) == (0, 2), stderr

    code, (answer,), stderr = run("search", photographs / "obama3.jpg", "-g", "g1", "--sheet", "sheet.png")
    assert code == 0, stderr
    (first,) = answer["answers"][0]["candidates"]
    assert first["reference"]["owner_reference"] == "obama"
    assert first["score"]["fmr"]["value"] < 1e-3
    assert answer["header"]["searched"] == 2
    assert (tmp_path / "sheet.png").stat().st_size > 10_000

    code, _, stderr = run("expunge", first["reference"]["reference_id"], "--reason", "test", "--yes")
    assert code == 0, stderr
    _, (after,), _ = run("search", photographs / "obama3.jpg", "-g", "g1")
    assert after["header"]["searched"] == 1
    assert not after["answers"][0]["candidates"]


def test_a_gallery_that_nobody_enrolled_into_is_named(run: Run, photographs: Path) -> None:
    code, (answer,), stderr = run("search", photographs / "obama3.jpg", "-g", "no such gallery")
    assert (code, answer["header"]["searched"]) == (0, 0)
    assert "no such gallery" in stderr


def test_a_picture_without_a_face_is_rejected_with_its_reason(
    run: Run, photographs: Path, tmp_path: Path
) -> None:
    code, (summary,), _ = run("enroll", photographs / "chelsea.png", "-g", "g2", "--rejects", "r.jsonl")
    assert (code, summary["rejected"]) == (1, 1)
    assert json.loads((tmp_path / "r.jsonl").read_text())["reason"] == "NO_FACE"


def test_two_photographs_of_one_person_compare_higher_than_strangers(run: Run, photographs: Path) -> None:
    _, (mates,), _ = run("compare", photographs / "obama.jpg", photographs / "obama3.jpg")
    _, (strangers,), _ = run("compare", photographs / "obama.jpg", photographs / "biden.jpg")
    assert mates["score"]["value"] > strangers["score"]["value"] + 0.1
    assert mates["score"]["fmr"]["value"] < strangers["score"]["fmr"]["value"]


def test_the_demonstration_ends_with_a_contact_sheet(models: None, photographs: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "likeness.cli", "demo", "--out", str(tmp_path / "demo")],
        check=False,
        capture_output=True,
        text=True,
        timeout=10 * PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    for name, least in (("contact-sheet", 50_000), ("fingerprint-pair", 10_000), ("object-evidence", 50_000)):
        assert (tmp_path / "demo" / f"{name}.png").stat().st_size > least
    assert "NO_FACE" in (tmp_path / "demo" / "rejects.csv").read_text()
    assert "every link holds" in done.stdout
    assert done.stdout.count("no policy permits this") == 1
    assert "%" not in done.stdout


def test_a_server_that_is_stopped_drains_and_logs_it(models: None, tmp_path: Path) -> None:
    words = ["serve", "--home", str(tmp_path / "home"), "--address", "127.0.0.1:0", "--metrics-address", ""]
    words += ["--set", "health.address="]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "likeness.cli", *words],
            stderr=log,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        while process.poll() is None and b"serving at" not in (tmp_path / "log").read_bytes():
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE) == 0
    output = (tmp_path / "log").read_text()
    assert output.rstrip().endswith("stopped")
    assert "Traceback" not in output

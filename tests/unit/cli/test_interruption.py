"""Ctrl-C in the middle of a bulk enrolment, in a process of its own, against a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from likeness.cli.failures import Exit
from likeness.cli.journal import find_references
from tests.unit.cli.conftest import Cli
from tests.waiting import PATIENCE

FILES = 3000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "pictures"
    root.mkdir()
    for number in range(FILES):
        (root / f"{number:05}.jpg").write_text(f"1,{number / FILES},0.5")
    return root


@pytest.fixture(autouse=True)
def hearing() -> Iterator[None]:
    """A shell without job control starts what runs in its background deaf to SIGINT, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_what_was_interrupted_is_gone_on_with_and_nothing_is_enrolled_twice(
    cli: Cli, folder: Path, tmp_path: Path
) -> None:
    words = ["enroll", str(folder), "-g", "interrupted", "--journal", str(tmp_path / "j.jsonl")]
    process = subprocess.Popen(
        [sys.executable, "-m", "likeness.cli", *words],
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    journal = tmp_path / "j.jsonl"
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and not (journal.exists() and journal.stat().st_size):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == Exit.INTERRUPTED, stderr
    first = json.loads(out)
    assert first["interrupted"] is True
    assert 0 < first["enrolled"] < FILES
    assert "run the same command again" in stderr
    assert "Traceback" not in stderr
    assert len(journal.read_text().splitlines()) == first["enrolled"]

    second = json.loads(cli(*words).stdout)
    assert second["enrolled"] + second["already_enrolled"] == FILES
    assert second["already_enrolled"] >= first["enrolled"]
    listed = cli("list", "-g", "interrupted", "-n", "0").stdout.splitlines()
    assert len(listed) == FILES
    ids = [json.loads(line)["reference_id"] for line in listed]
    assert len(find_references(journal, ids)) == FILES

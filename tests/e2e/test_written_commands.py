"""The commands of the documents and the help texts, and the README's program, run as they are written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.common.service import running_service
from likeness.fingerprint.formats import Standard, write
from likeness.fingerprint.synthesis import impressions, record_of
from likeness.imaging.opencv import cv2
from tests.commands import ROOT, Written, fences, in_help, written
from tests.e2e.test_objects import drawn, seen_askew
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.models, pytest.mark.slow]

Shell = Callable[[str], "subprocess.CompletedProcess[str]"]

PLACEHOLDER = "0198c0de-7000-7000-8000-000000000000"
"""The reference of the help texts."""

README = ROOT / "README.md"
OURS = [c for c in written() if c.words[0] == "likeness" and not c.not_run]
SCRIPT = next(body for body in fences(README, "sh") if "likeness enroll" in body)


@pytest.fixture(scope="module")
def folder(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where somebody stands who types: every file that the commands name, and an environment as `make` makes it."""
    here = tmp_path_factory.mktemp("typed")
    for name, sources in {
        "photographs": ("obama.jpg", "biden.jpg"),
        "portraits/president-44": ("obama.jpg", "obama3.jpg"),
        "probes": ("obama2.jpg",),
    }.items():
        (here / name).mkdir(parents=True)
        for source in sources:
            shutil.copy(photographs / source, here / name)
    for name, source in {"probe": "obama2", "a": "obama", "b": "obama3", "portrait": "obama"}.items():
        shutil.copy(photographs / f"{source}.jpg", here / f"{name}.jpg")
    ((finger, mark),) = impressions(1, 2, 41)
    (here / "records").mkdir()
    (here / "records" / "finger.fmr").write_bytes(write(record_of(finger, 2), Standard.ISO_2005))
    (here / "mark.fmr").write_bytes(write(record_of(mark, 2), Standard.ISO_2005))
    (here / "things").mkdir()
    cv2.imwrite(str(here / "things" / "thing.png"), cv2.resize(drawn(3), (800, 600)))
    cv2.imwrite(str(here / "seized.jpg"), cv2.resize(seen_askew(drawn(3), 3), (800, 600)))
    programs = here / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "activate").write_text(f"PATH={programs}:$PATH\n")
    (programs / "likeness").write_text(f'#!/bin/sh\nexec {sys.executable} -m likeness.cli "$@"\n')
    (programs / "likeness").chmod(0o755)
    return here


@pytest.fixture(scope="module")
def shell(models: None, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """Runs a script in that folder, with a server that its commands speak to."""
    stage = tmp_path_factory.mktemp("stage")
    with running_service(home=stage / "home", start_seconds=10 * PATIENCE) as address:
        usual = {name: value for name, value in os.environ.items() if not name.startswith("LIKENESS_")}
        cache = {n: os.environ[n] for n in ("LIKENESS_CACHE", "LIKENESS_MODELS") if n in os.environ}
        environment = (
            usual
            | cache
            | {
                "LIKENESS_SERVER": address,
                "LIKENESS_HOME": str(stage / "home"),
                "LIKENESS_STATE": str(stage / "state"),
                "PYTHONPATH": os.pathsep.join(
                    filter(None, (str(ROOT / "services"), os.environ.get("PYTHONPATH")))
                ),
            }
        )

        def run(script: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                ["bash", "-euo", "pipefail", "-c", script],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=10 * PATIENCE,
            )

        others = (
            "likeness enroll records/ -m fingerprint --gallery known --entity NCB-FR",
            "likeness enroll things/ -m object --gallery known --entity NCB-FR",
            "likeness keys export-public --out hub.vkey",
        )
        for command in others:  # so that there is something that the examiner's searches can find
            done = run(f"source .venv/bin/activate; {command}")
            assert done.returncode == 0, done.stderr
        yield run


FIRST = {
    "likeness certs dev": "rm -rf certs",
    "likeness backup": "rm -rf likeness-monday",
    "likeness restore": "rm -rf likeness-broken likeness-restored; cp -r $LIKENESS_HOME likeness-broken; "
    "cp $LIKENESS_HOME/keys.json .",
    "audit check-receipt": "[ -s expunged.receipt ] && exit; "
    "one=$(likeness list -m object -g known -n 1 --json | jq -r .reference_id); "
    "likeness expunge -m object $one --reason test --yes --json | jq -r .receipt > expunged.receipt",
}
"""What must have been done before a command that has these words, by commands that are not written with it."""


def test_the_examiners_commands_run_as_they_are_written(shell: Shell, folder: Path) -> None:
    done = shell(SCRIPT)
    assert done.returncode == 0, done.stderr
    for name in ("sheet.png", "pair.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_the_readmes_program_runs_as_it_is_written(shell: Shell, folder: Path) -> None:
    (program,) = fences(README, "python")
    assert '"127.0.0.1:50051"' in program
    (folder / "program.py").write_text(
        "import os\n" + program.replace('"127.0.0.1:50051"', 'os.environ["LIKENESS_SERVER"]')
    )
    done = shell(f"{sys.executable} program.py")
    assert done.returncode == 0, done.stderr
    assert "FMR" in done.stdout


def test_every_other_command_runs_as_it_is_written(shell: Shell) -> None:
    """In the order of the help: references are enrolled, found, changed and expunged."""
    before = "source .venv/bin/activate; export LIKENESS_ENTITY=NCB-FR LIKENESS_PURPOSE=wanted_person; "
    others = [c for c in OURS if c.text not in SCRIPT and not c.where.endswith("--help")]
    reference, failed = "", []
    for command in [*(c for c in in_help() if c in OURS), *others]:
        if PLACEHOLDER in command.text and not reference:
            found = shell(before + "likeness list -g wanted -n 1 --json | jq -r .reference_id")
            reference = found.stdout.strip()
            assert reference, found.stderr
        for part, script in FIRST.items():
            if part in command.text:
                prepared = shell(before + script)
                assert prepared.returncode == 0, prepared.stderr
        done = shell(before + _here(command).replace(PLACEHOLDER, reference))
        allowed = (0, 1) if "doctor" in command.text else (0,)  # this machine's disk is not what is tested
        if done.returncode not in allowed:
            failed.append((str(command), done.stdout, done.stderr))
    assert not failed, "\n".join(map(repr, failed))


def _here(command: Written) -> str:
    """Without its last part where that is a program which is not on this machine."""
    first, pipe, rest = command.text.partition(" | ")
    return command.text if not pipe or shutil.which(rest.split()[0]) else first

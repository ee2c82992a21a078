"""What takes long is never silent: the install, the steps of a command, and the tests themselves."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

from likeness.cli import output
from tests.conftest import Heartbeat
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]

_SLOW_PIP = """
import pathlib, time
print("Collecting something", flush=True)
while not pathlib.Path("go-on").exists():
    time.sleep(0.01)
print("  Downloading something-1.0.whl (12.0 MB)", flush=True)
print("ERROR: no room", flush=True)
raise SystemExit(3)
"""


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", ROOT / "services" / "install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.05)
    return module


def test_a_silent_pip_is_spoken_for_and_its_failure_is_passed_on(
    install: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / "__init__.py").touch()
    (tmp_path / "pip" / "__main__.py").write_text(_SLOW_PIP)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    printed: list[str] = []

    def record(line: str) -> None:
        printed.append(line)
        if "still Collecting something" in line:
            Path("go-on").touch()

    monkeypatch.setattr(install, "_print", record)
    assert install.main(["pip.log", "-e", "."]) == 3
    assert any("still Collecting something" in line for line in printed)
    shown = [line for line in printed if "still" not in line]
    assert shown == [
        "  Downloading something-1.0.whl (12.0 MB)",
        "ERROR: no room",
        "Collecting something",  # and at the end the last lines, whatever they are
        "  Downloading something-1.0.whl (12.0 MB)",
        "ERROR: no room",
        "The installation failed; the whole story is in pip.log",
    ]


def test_a_long_step_says_what_it_is_doing(monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    monkeypatch.setattr(output, "QUIET_SECONDS", 0.01)
    monkeypatch.setattr(output, "note", lambda text, style="": notes.append(text))
    with output.heartbeat(lambda: f"step {len(notes)}"):
        eventually(lambda: len(notes) > 1)
    assert notes[0].startswith("  still step 0 (")
    assert notes[1].startswith("  still step 1 (")


def test_a_slow_test_is_named_while_it_runs() -> None:
    read, write = os.pipe()
    heartbeat = Heartbeat(write, quiet=0.01)
    heartbeat.pytest_runtest_logstart("tests/test_it.py::test_that_takes_long")
    with os.fdopen(read, "rb") as lines:
        assert any(b"[still tests/test_it.py::test_that_takes_long" in line for line in lines)
        heartbeat.pytest_unconfigure()

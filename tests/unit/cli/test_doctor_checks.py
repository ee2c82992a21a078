from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import socket
import sys
import tomllib
from collections import namedtuple
from pathlib import Path

import pytest

from likeness.app.settings import load
from likeness.cli import doctor_checks
from likeness.cli.commands import models
from likeness.cli.doctor_checks import CheckState
from likeness.domain.errors import Precondition

ROOT = Path(__file__).parents[3]


def test_this_interpreter_and_its_packages_are_fit() -> None:
    assert doctor_checks.python().state is CheckState.GREEN
    assert doctor_checks.packages().state is CheckState.GREEN


def test_an_old_interpreter_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    Version = namedtuple("Version", "major minor micro")
    monkeypatch.setattr(sys, "version_info", Version(3, 10, 9))
    result = doctor_checks.python()
    assert result.state is CheckState.RED
    assert "3.11" in result.fix


def test_a_missing_and_an_old_package_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["no-such-thing>=1", "numpy>=999.1; extra == 'server'", 'onnx>=1; extra == "models"']
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: wanted)
    result = doctor_checks.packages()
    assert result.state is CheckState.RED
    assert "no-such-thing is missing" in result.found
    assert "older than 999.1" in result.found
    assert "onnx" not in result.found
    assert result.fix == "pip install --upgrade 'no-such-thing>=1' 'numpy>=999.1'"


def test_an_environment_from_before_the_distribution_was_renamed_is_examined_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def requires(name: str) -> list[str]:
        if name != "likeness":
            raise importlib.metadata.PackageNotFoundError(name)
        return ["numpy>=1"]

    monkeypatch.setattr(importlib.metadata, "requires", requires)
    assert doctor_checks.packages().state is CheckState.GREEN


def test_sources_that_were_never_installed_are_yellow(monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", requires)
    assert doctor_checks.packages().state is CheckState.YELLOW


def test_the_weight_packages_that_are_named_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    server, *wanted = project["optional-dependencies"]["models"]
    assert server == f"{project['name']}[server]"
    epilog = next(c.epilog for c in models.app.registered_commands if c.callback is models.build)
    assert epilog is not None
    for requirement in wanted:
        assert requirement.partition(">=")[0] in epilog


def test_nobody_is_sent_to_the_package_index_for_another_project_of_this_name() -> None:
    for folder in ("services", "models", "k8s", "benchmarks"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".md", ".toml", ".yaml"}:
                text = path.read_text(encoding="utf-8")
                assert not re.search(r"pip install (--\S+ )*['\"]?likeness\b(?!-)", text), path
    assert not re.search(
        r"pip install (--\S+ )*['\"]?likeness\b(?!-)", (ROOT / "README.md").read_text("utf-8")
    )


def test_a_folder_that_can_be_made_is_green_and_left_unmade(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert doctor_checks.writable("home", folder).state is CheckState.GREEN
    assert not folder.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_red(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert doctor_checks.writable("home", tmp_path / "a").state is CheckState.RED


@pytest.mark.parametrize(
    ("free", "state"), [(1 << 29, CheckState.RED), (2 << 30, CheckState.YELLOW), (90 << 30, CheckState.GREEN)]
)
def test_disk_space(free: int, state: CheckState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 40, 0, free))
    result = doctor_checks.disk("disk", tmp_path / "not" / "yet")
    assert result.state is state
    assert bool(result.fix) is (state is not CheckState.GREEN)


@pytest.mark.parametrize(
    ("cpus", "threads", "state"),
    [
        (0.5, 0, CheckState.YELLOW),
        (4.0, 0, CheckState.GREEN),
        (2.0, 8, CheckState.YELLOW),
        (4.0, 4, CheckState.GREEN),
    ],
)
def test_processors(cpus: float, threads: int, state: CheckState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_checks, "available_cpus", lambda: cpus)
    settings = load(environment={}, overrides={"threads": threads})
    assert doctor_checks.processors(settings).state is state


def test_a_port_in_use_is_seen() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not doctor_checks.port_free(f"127.0.0.1:{port}")
    assert doctor_checks.port_free(f"127.0.0.1:{port}")


def test_a_check_that_refuses_becomes_a_red_line() -> None:
    def refuses() -> doctor_checks.Result:
        raise Precondition("The key is open to others; run: chmod 600 key")

    result = doctor_checks.guarded("key ring", refuses)
    assert result.state is CheckState.RED
    assert "chmod 600" in result.found

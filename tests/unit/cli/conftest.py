"""A real server for the commands to speak to: the whole service, over the vectors of `likeness.testing`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from likeness.app.settings import Settings, load
from likeness.cli.main import app
from likeness.testing.composition import LocalComposition
from likeness.testing.server import LocalServer
from likeness.testing.vectors import VectorModality


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on what the developer's shell has set."""
    for name in [name for name in os.environ if name.startswith("LIKENESS_")]:
        monkeypatch.delenv(name)


def _compose(settings: Settings) -> LocalComposition:
    return LocalComposition.open(settings.home, VectorModality(), keep_sources=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running server with an empty store."""
    home = tmp_path_factory.mktemp("server")
    given = {"home": home, "grpc.address": "127.0.0.1:0", "metrics.address": ""}
    with LocalServer(load(environment={}, overrides=given), _compose) as server:
        yield server.address


Cli = Callable[..., Result]


@pytest.fixture
def cli(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs `likeness` with the given words against the server, with a journal of its own."""
    for name, value in {
        "LIKENESS_SERVER": server,
        "LIKENESS_ENTITY": "NCB-XX",
        "LIKENESS_PURPOSE": "system_test",
        "LIKENESS_STATE": str(tmp_path / "state"),
        "COLUMNS": "160",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])

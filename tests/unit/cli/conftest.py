"""A real server for the commands to speak to: the whole service, over the vectors of `likeness.testing`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from likeness.app.settings import Settings, load
from likeness.cli.main import app
from likeness.domain.access import Access
from likeness.testing.composition import LocalComposition
from likeness.testing.server import LocalServer
from likeness.testing.vectors import VectorModality


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on what the developer's shell has set."""
    for name in [name for name in os.environ if name.startswith("LIKENESS_")]:
        monkeypatch.delenv(name)


def _compose(settings: Settings) -> LocalComposition:
    limits = settings.quotas.limits()
    return LocalComposition.open(settings.home, VectorModality(), keep_sources=True, limits=limits)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running server with an empty store."""
    home = tmp_path_factory.mktemp("server")
    given = {"home": home, "grpc.address": "127.0.0.1:0", "metrics.address": ""}
    with LocalServer(load(environment={}, overrides=given), _compose) as server:
        yield server.address


Cli = Callable[..., Result]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Starts a server whose calls are judged, with settings by keyword, for `run` to speak to."""
    with ExitStack() as servers:

        def start(access: Access, **given: object) -> None:
            usual = {"home": tmp_path / "server", "grpc.address": "127.0.0.1:0", "metrics.address": ""}
            settings = load(environment={}, overrides=usual | given)
            server = servers.enter_context(LocalServer(settings, _compose, access=access))
            _call(server.address, tmp_path, monkeypatch)

        yield start


def run(*words: str | Path) -> Result:
    """Run `likeness` with the given words."""
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def cli(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs `likeness` with the given words against the server, with a journal of its own."""
    _call(server, tmp_path, monkeypatch)
    return run


def _call(server: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have commands call a server, and keep what they keep in a folder."""
    for name, value in {
        "LIKENESS_SERVER": server,
        "LIKENESS_ENTITY": "NCB-XX",
        "LIKENESS_PURPOSE": "system_test",
        "LIKENESS_STATE": str(folder / "state"),
        "COLUMNS": "160",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)

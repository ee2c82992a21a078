"""A real server for the commands to speak to: the whole service, over the small modality of `tests/support.py`."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from likeness.app.settings import Settings, load
from likeness.cli.main import app
from likeness.engine.engine import Engine
from likeness.engine.opening import Running, open_engine
from likeness.rpc.server import Server
from likeness.store.store import Store
from tests.support import VectorModality
from tests.waiting import PATIENCE


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on what the developer's shell has set."""
    for name in [name for name in os.environ if name.startswith("LIKENESS_")]:
        monkeypatch.delenv(name)


@dataclass(frozen=True)
class _Composition:
    store: Store
    running: Running

    @property
    def engines(self) -> Mapping[str, Engine]:
        return {"face": self.running.engine}

    def close(self) -> None:
        self.running.close()
        self.store.close()


def _compose(settings: Settings) -> _Composition:
    store = Store.open(settings.home, key_file=settings.home / "keys.json")
    return _Composition(store, open_engine(VectorModality(), store, None, keep_sources=True))


async def _serve(settings: Settings, ready: Future[int], stop: threading.Event) -> None:
    server = Server(settings, _compose)
    try:
        await server.start()
    except BaseException as error:
        ready.set_exception(error)
        return
    ready.set_result(server.port)
    await asyncio.to_thread(stop.wait)
    await server.drain()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running server with an empty store."""
    home = tmp_path_factory.mktemp("server")
    settings = load(
        environment={}, overrides={"home": home, "grpc.address": "127.0.0.1:0", "metrics.address": ""}
    )
    ready: Future[int] = Future()
    stop = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(settings, ready, stop)))
    thread.start()
    yield f"127.0.0.1:{ready.result(timeout=PATIENCE)}"
    stop.set()
    thread.join()


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

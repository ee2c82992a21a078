"""A real server over a real engine, in this process and over a real connection."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from likeness.app.settings import Settings, load
from likeness.client import LikenessClient
from likeness.domain.deadline import NO_DEADLINE, Deadline
from likeness.domain.samples import Extraction, Mode, Sample
from likeness.engine.engine import Engine
from likeness.engine.gallery import Gallery
from likeness.protocol import SERVICES, Service
from likeness.rpc.server import Composition, Server
from likeness.store.store import Store
from tests.support import VectorModality
from tests.waiting import PATIENCE

_Answer = TypeVar("_Answer")


class HoldingModality(VectorModality):
    """Waits inside `extract` for samples that contain `hold`, until it is told to go on; `seen`: what it had."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.broken = False
        self.seen: list[bytes] = []

    def extract(
        self, samples: Sequence[Sample], mode: Mode, deadline: Deadline = NO_DEADLINE
    ) -> list[Extraction]:
        if self.broken:
            raise RuntimeError("the disk of Jane Roe is on fire")
        self.seen += [sample.data for sample in samples]
        if any(b"hold" in sample.data for sample in samples):
            self.inside.release()
            assert self.go_on.wait(PATIENCE)
        return super().extract(samples, mode, deadline)

    def wait_until_inside(self, count: int = 1) -> None:
        for _ in range(count):
            assert self.inside.acquire(timeout=PATIENCE)


@dataclass
class Built:
    """A composition; `engine` is the first of its engines."""

    store: Store
    engine: Engine
    others: Sequence[Engine] = ()
    closed: threading.Event = field(default_factory=threading.Event)

    @property
    def engines(self) -> Mapping[str, Engine]:
        return {engine.modality_name: engine for engine in (self.engine, *self.others)}

    def close(self) -> None:
        self.store.close()
        self.closed.set()


def build(modality: VectorModality, home: Path, *others: VectorModality) -> Built:
    store = Store.open(home, key_file=home / "keys" / "ring.json")
    first, *rest = (_engine(one, store) for one in (modality, *others))
    return Built(store, first, rest)


def _engine(modality: VectorModality, store: Store) -> Engine:
    gallery = Gallery(modality.name, modality.space, store)
    gallery.start()
    return Engine(modality, store, gallery)


class Served:
    """A server on an event loop and a thread of its own, so that synchronous clients can call it."""

    def __init__(
        self,
        settings: Settings,
        build_: Callable[[Settings], Composition],
        *,
        services: tuple[Service, ...] = SERVICES,
    ) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.built: Any = None
        self._clients: list[LikenessClient] = []

        def compose(given: Settings) -> Composition:
            composed = self.built = build_(given)
            return composed

        async def make() -> Server:
            return Server(settings, compose, services=services)

        self.server = self.run(make())
        self._draining = False

    def run(self, work: Coroutine[Any, Any, _Answer]) -> _Answer:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)

    def start(self) -> Served:
        self.run(self.server.start())
        return self

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    def client(self, **arguments: Any) -> LikenessClient:
        given: dict[str, Any] = {"entity": "NCB-AA", "purpose": "wanted_person", "timeout": PATIENCE}
        made = LikenessClient(self.address, **given | arguments)
        self._clients.append(made)
        return made

    def drain(self) -> None:
        self._draining = True
        self.run(self.server.drain())

    def close(self) -> None:
        for client in self._clients:
            client.close()
        if not self._draining:
            self.drain()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@pytest.fixture
def modality() -> HoldingModality:
    return HoldingModality()


@pytest.fixture
def prepare(tmp_path: Path, modality: HoldingModality) -> Iterator[Callable[..., Served]]:
    """Makes servers that are not started yet; settings by keyword."""
    made: list[Served] = []

    def make(build_: Callable[[Settings], Built] | None = None, **given: Any) -> Served:
        usual: dict[str, Any] = {"home": tmp_path / "home", "address": "127.0.0.1:0", "drain_grace": PATIENCE}
        settings = load(environment={}, overrides=usual | given)
        made.append(Served(settings, build_ or (lambda _: build(modality, tmp_path / "home"))))
        return made[-1]

    yield make
    modality.go_on.set()
    for served in made:
        served.close()


@pytest.fixture
def served(prepare: Callable[..., Served]) -> Served:
    return prepare().start()


@pytest.fixture
def client(served: Served) -> LikenessClient:
    return served.client()

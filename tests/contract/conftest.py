"""A real server over a real engine, in this process and over a real connection."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from likeness.app.settings import Settings, load
from likeness.client import LikenessClient
from likeness.domain.access import Access
from likeness.domain.deadline import NO_DEADLINE, Deadline
from likeness.domain.modality import Modality
from likeness.domain.samples import Extraction, Mode, Sample
from likeness.rpc.identity import Prove
from likeness.testing.composition import LocalComposition
from likeness.testing.server import LocalServer
from likeness.testing.vectors import VectorModality
from tests.waiting import PATIENCE

Served = LocalServer[LocalComposition]


class HoldingModality(VectorModality):
    """Waits inside `extract` for samples that contain `hold`, until it is released; `seen`: what it had."""

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


def composing(*modalities: Modality) -> Callable[[Settings], LocalComposition]:
    """Composes these modalities over the store of the settings' home."""
    return lambda settings: LocalComposition.open(settings.home, *modalities)


@pytest.fixture
def modality() -> HoldingModality:
    return HoldingModality()


@pytest.fixture
def prepare(tmp_path: Path, modality: HoldingModality) -> Iterator[Callable[..., Served]]:
    """Makes servers that are not started yet; settings by keyword, what judges their calls, and who proves."""
    made: list[Served] = []

    def make(
        compose: Callable[[Settings], LocalComposition] | None = None,
        access: Access | None = None,
        prove: Prove | None = None,
        **given: Any,
    ) -> Served:
        usual: dict[str, Any] = {"home": tmp_path / "home", "address": "127.0.0.1:0", "drain_grace": PATIENCE}
        settings = load(environment={}, overrides=usual | given)
        made.append(LocalServer(settings, compose or composing(modality), access=access, prove=prove))
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

"""Photographs that are dear to decode, sent through the service."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likeness.client import DeadlineExceeded, InvalidArgument, LikenessClient, ResourceExhausted
from likeness.imaging import cost, parameters
from likeness.imaging.decode import DecodeLimits
from likeness.imaging.headers import inspect
from likeness.imaging.memory import MemoryBudget
from likeness.inference.concurrency.turns import Turns
from likeness.object.modality import ObjectModality
from tests.contract.conftest import Served, composing
from tests.waiting import PATIENCE, eventually


def picture(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(5).integers(0, 256, (height, width, 3), np.uint8)).save(
        buffer, "PNG"
    )
    return buffer.getvalue()


PHOTOGRAPH, LARGER = picture(160, 120), picture(220, 160)
MEMORY = MemoryBudget(cost.of(inspect(PHOTOGRAPH), len(PHOTOGRAPH), parameters.WORKING_BYTES))


@pytest.fixture(scope="module")
def objects() -> ObjectModality:
    return ObjectModality.load(calibration=None, turns=Turns(1), limits=DecodeLimits(memory=MEMORY))


@pytest.fixture
def client(
    prepare: Callable[..., Served], objects: ObjectModality, tmp_path: Path
) -> Iterator[LikenessClient]:
    yield prepare(composing(objects)).start().client(retries=0)
    assert MEMORY.used == 0


def test_a_picture_over_the_budget_is_refused_with_both_numbers_and_a_remedy(client: LikenessClient) -> None:
    with pytest.raises(InvalidArgument, match=r"220 x 160 pixels.*MiB to decode.*; scale it down") as caught:
        client.object.analyze(LARGER)
    assert caught.value.reason == "IMAGE_TOO_LARGE"
    client.object.analyze(PHOTOGRAPH)


def test_a_picture_that_finds_no_memory_waits_for_it(client: LikenessClient) -> None:
    held = MEMORY.take(MEMORY.size, "another")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.object.analyze, PHOTOGRAPH)
        eventually(lambda: len(MEMORY._queue) == 1)
        held.shrink(0)
        waiting.result(PATIENCE)


def test_its_deadline_passes_while_it_waits(client: LikenessClient) -> None:
    held = MEMORY.take(MEMORY.size, "another")
    try:
        with pytest.raises(DeadlineExceeded):
            client.object.analyze(PHOTOGRAPH, timeout=0.5)
        eventually(
            lambda: len(MEMORY._queue) == 0
        )  # nor does it stay in the queue for a caller that went away
    finally:
        held.shrink(0)


def test_or_it_is_refused_with_the_time_to_come_back(
    client: LikenessClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parameters, "LONGEST_WAIT", 0.05)
    held = MEMORY.take(MEMORY.size, "another")
    try:
        with pytest.raises(ResourceExhausted) as caught:
            client.object.analyze(PHOTOGRAPH)
    finally:
        held.shrink(0)
    assert (caught.value.reason, caught.value.retry_after) == ("TOO_BUSY", 1.0)

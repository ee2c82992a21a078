"""The asynchronous client against a real server on the same event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from likeness.app.settings import load
from likeness.client import (
    AsyncLikenessClient,
    Enrolment,
    InvalidArgument,
    NotFound,
    Unavailable,
    metadata,
    reference,
)
from likeness.rpc.server import Server
from tests.contract.conftest import HoldingModality, composing
from tests.waiting import PATIENCE


@pytest.fixture
async def server(tmp_path: Path, modality: HoldingModality) -> AsyncIterator[Server]:
    settings = load(environment={}, overrides={"home": tmp_path / "home", "grpc.address": "127.0.0.1:0"})
    made = Server(settings, composing(modality))
    await made.start()
    yield made
    modality.go_on.set()
    await made.drain()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[AsyncLikenessClient]:
    address = f"127.0.0.1:{server.port}"
    async with AsyncLikenessClient(
        address, entity="NCB-AA", purpose="wanted_person", timeout=PATIENCE
    ) as made:
        await made.wait_ready(PATIENCE)
        yield made


async def test_every_method_answers(client: AsyncLikenessClient) -> None:
    face = client.face
    enrolled = await face.enroll(b"1,0,0", metadata=metadata(galleries=["wanted"]))
    reference_id = enrolled.reference.reference_id
    found = await face.search(b"1,0,0", min_log_position=enrolled.log_position)
    assert found.answers[0].candidates[0].reference.reference_id == reference_id
    assert (await face.compare(b"1,0,0", reference(reference_id))).score.value == pytest.approx(1)
    assert len((await face.analyze(b"1,0,0;0,1,0")).findings) == 2
    updated = await face.update(reference_id, metadata(status="suspended"))
    assert (await face.get(reference_id)).log_position == updated.log_position
    assert [r.reference_id async for r in face.list(page_size=1)] == [reference_id]
    await face.expunge(reference_id, "done")
    with pytest.raises(NotFound):
        await client.face.get("unknown")


async def test_errors_are_typed(client: AsyncLikenessClient) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await client.asking(purpose="unspecified").face.search(b"1,0,0")
    assert caught.value.reason == "PURPOSE_REQUIRED"


async def test_many_are_enrolled_from_an_asynchronous_source(client: AsyncLikenessClient) -> None:
    async def source() -> AsyncIterator[Enrolment]:
        for n in range(50):
            await asyncio.sleep(0)
            yield Enrolment(b"no numbers" if n == 7 else f"1,{n},0".encode(), tag=n)

    outcomes = [outcome async for outcome in client.face.enroll_many(source())]
    assert sorted(outcome.enrolment.tag for outcome in outcomes) == list(range(50))  # type: ignore[type-var]
    assert [outcome.enrolment.tag for outcome in outcomes if outcome.rejected is not None] == [7]


async def test_searches_run_at_once(client: AsyncLikenessClient, modality: HoldingModality) -> None:
    held = [asyncio.create_task(client.face.search(b"1,0,0|hold")) for _ in range(5)]
    await asyncio.to_thread(modality.wait_until_inside, 5)
    modality.go_on.set()
    assert len(await asyncio.gather(*held)) == 5


async def test_a_service_that_is_not_there_is_not_ready() -> None:
    async with AsyncLikenessClient("127.0.0.1:1", entity="NCB-AA") as client:
        with pytest.raises(Unavailable, match=r"not ready within 0\.2 s"):
            await client.wait_ready(0.2)

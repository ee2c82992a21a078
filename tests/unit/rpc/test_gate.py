"""The gate lets in what there is room for, gives room back, and is closed before and after."""

from __future__ import annotations

import asyncio

import pytest

from likeness.domain.errors import TooBusy, Unavailable
from likeness.rpc.gate import Gate


@pytest.fixture
async def gate() -> Gate:
    made = Gate(requests=2, streams=1, max_bytes=100)
    made.open()
    return made


async def test_room_is_given_back_even_after_an_error(gate: Gate) -> None:
    for _ in range(10):
        with (
            pytest.raises(LookupError),
            gate.entered(stream=False, size=60),
            gate.entered(stream=True, size=0),
        ):
            raise LookupError
    with gate.entered(stream=False, size=60), gate.entered(stream=False, size=40):
        pass


async def test_requests_streams_and_bytes_each_have_their_limit(gate: Gate) -> None:
    with gate.entered(stream=False, size=60):
        with pytest.raises(TooBusy, match="hold 60 bytes"), gate.entered(stream=False, size=41):
            pass
        with gate.entered(stream=True, size=0), gate.entered(stream=False, size=40):
            with pytest.raises(TooBusy, match="2 requests"), gate.entered(stream=False, size=0):
                pass
            with pytest.raises(TooBusy, match="1 streams"), gate.entered(stream=True, size=0):
                pass


async def test_one_request_larger_than_the_limit_is_let_in_alone(gate: Gate) -> None:
    with gate.entered(stream=False, size=1000), pytest.raises(TooBusy), gate.entered(stream=False, size=1):
        pass


async def test_nothing_is_let_in_before_it_opens_and_after_it_drains(gate: Gate) -> None:
    closed = Gate(requests=2, streams=1, max_bytes=100)
    with pytest.raises(Unavailable) as starting, closed.entered(stream=False, size=0):
        pass
    assert (starting.value.reason, starting.value.retry_after) == ("STARTING", 1.0)
    gate.drain()
    with pytest.raises(Unavailable) as draining, gate.entered(stream=True, size=0):
        pass
    assert (draining.value.reason, draining.value.retry_after) == ("DRAINING", 0.2)


async def test_it_is_empty_when_the_last_one_has_left(gate: Gate) -> None:
    await gate.empty()
    with gate.entered(stream=True, size=0):
        with gate.entered(stream=False, size=0):
            waiting = asyncio.ensure_future(gate.empty())
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting


async def test_who_would_not_be_let_in_is_refused_before_its_message_is_read(gate: Gate) -> None:
    gate.check(stream=False)
    with gate.entered(stream=False, size=1), gate.entered(stream=False, size=1):
        with pytest.raises(TooBusy, match="2 requests"):
            gate.check(stream=False)
        gate.check(stream=True)

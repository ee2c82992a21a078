"""A stream of enrolments: many at once, within a window, and one outcome for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

from likeness.domain.errors import DeadlineExceeded
from likeness.rpc.gate import draining
from likeness.v1 import matching_pb2 as matching

Enrol = Callable[[matching.EnrollManyRequest], Awaitable[matching.EnrollManyResponse]]

WINDOW_BYTES = 64 << 20
"""Bytes of the items of one stream that are taken in and not yet answered; one alone is always taken in."""


class Window:
    """Room for so many items and bytes. For one event loop."""

    def __init__(self, items: int, size: int) -> None:
        self._max_items, self._max_bytes = items, size
        self._items = self._bytes = 0
        self._changed = asyncio.Condition()

    async def take(self, size: int) -> None:
        """Wait for room for an item of that many bytes, and take it."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._fits(size))
            self._items += 1
            self._bytes += size

    async def give(self, size: int) -> None:
        """Give the room back."""
        async with self._changed:
            self._items -= 1
            self._bytes -= size
            self._changed.notify()

    @property
    def items(self) -> int:
        """Items inside."""
        return self._items

    def _fits(self, size: int) -> bool:
        return self._items == 0 or (self._items < self._max_items and self._bytes + size <= self._max_bytes)


async def outcomes(
    items: AsyncIterator[matching.EnrollManyRequest],
    enrol: Enrol,
    window: Window,
    drain: asyncio.Event,
    idle: float,
) -> AsyncGenerator[matching.EnrollManyResponse, None]:
    """Enrol the items of a stream in parallel and yield their outcomes as they come.

    An item holds its place in the window until its outcome was written, so a client that does not read its
    outcomes is not read from either. `enrol` must not raise for a bad item.

    Args:
        items: what is enrolled.
        enrol: enrols one and says what became of it.
        window: room for what is under way.
        drain: set when the service is being stopped.
        idle: seconds without an item, and with none under way, after which the stream is ended.

    Raises:
        Unavailable: `drain` was set; every item that had begun has its outcome.
        DeadlineExceeded: the client sent nothing for too long.
    """
    done: asyncio.Queue[tuple[int, matching.EnrollManyResponse] | None] = asyncio.Queue()
    tasks: set[asyncio.Task[None]] = set()

    async def one(item: matching.EnrollManyRequest, size: int) -> None:
        done.put_nowait((size, await enrol(item)))

    async def read() -> None:
        async for item in _unless_idle(items, idle, lambda: window.items > 0):
            size = item.ByteSize()
            await window.take(size)
            task = asyncio.create_task(one(item, size))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    reader = asyncio.create_task(read())
    reader.add_done_callback(lambda _: done.put_nowait(None))
    stop = asyncio.create_task(drain.wait())
    stop.add_done_callback(lambda _: reader.cancel())
    try:
        while window.items or not reader.done():
            outcome = await done.get()
            if outcome is not None:
                yield outcome[1]
                await window.give(outcome[0])
        if reader.cancelled():
            raise draining()
        reader.result()
    finally:
        for task in (reader, stop, *tasks):
            task.cancel()
        await asyncio.gather(reader, stop, *tasks, return_exceptions=True)


async def _unless_idle(
    items: AsyncIterator[matching.EnrollManyRequest], seconds: float, busy: Callable[[], bool]
) -> AsyncIterator[matching.EnrollManyRequest]:
    """The items, while they come or there is something to wait for."""
    while True:
        coming = asyncio.ensure_future(anext(items, None))
        try:
            while not (await asyncio.wait({coming}, timeout=seconds))[0]:
                if not busy():
                    raise DeadlineExceeded(
                        f"No item came for {seconds:g} s; open a stream when there is something to send.",
                        reason="STREAM_IDLE",
                    )
            item = coming.result()
        finally:
            coming.cancel()
        if item is None:
            return
        yield item

"""A value that a thread replaces again and again, of which an event loop reads the newest alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Generic, TypeVar

_Value = TypeVar("_Value")


class NewestValue(Generic[_Value]):
    """Holds one value; a new one replaces one that was not read.

    Args:
        loop: where `every` is read; `put` and `close` may be called from any thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._value: _Value | None = None
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()

    def put(self, value: _Value) -> None:
        """Replace the value."""
        self._loop.call_soon_threadsafe(self._take, value)

    def close(self) -> None:
        """State that nothing follows."""
        self._loop.call_soon_threadsafe(self._end)

    async def every(self, seconds: float) -> AsyncIterator[_Value]:
        """The newest value, at most one in so many seconds; ends at once when nothing follows."""
        while not self._ended.is_set():
            await self._changed.wait()
            self._changed.clear()
            if self._value is not None:
                value, self._value = self._value, None
                yield value
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._ended.wait()

    def _take(self, value: _Value) -> None:
        self._value = value
        self._changed.set()

    def _end(self) -> None:
        self._ended.set()
        self._changed.set()

"""What a thread says again and again, of which an event loop wants the latest word alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Generic, TypeVar

_Word = TypeVar("_Word")


class NewestValue(Generic[_Word]):
    """A place for one word; a new one takes the place of one that was not read.

    Args:
        loop: where `every` is read; `put` and `close` may be called from any thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._word: _Word | None = None
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()

    def put(self, word: _Word) -> None:
        """Say a word."""
        self._loop.call_soon_threadsafe(self._take, word)

    def close(self) -> None:
        """Say that nothing follows."""
        self._loop.call_soon_threadsafe(self._end)

    async def every(self, seconds: float) -> AsyncIterator[_Word]:
        """The latest word, at most one in so many seconds; ends at once when nothing follows."""
        while not self._ended.is_set():
            await self._changed.wait()
            self._changed.clear()
            if self._word is not None:
                word, self._word = self._word, None
                yield word
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._ended.wait()

    def _take(self, word: _Word) -> None:
        self._word = word
        self._changed.set()

    def _end(self) -> None:
        self._ended.set()
        self._changed.set()

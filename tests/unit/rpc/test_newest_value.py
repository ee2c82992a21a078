"""The latest word of a thread, as an event loop reads it."""

from __future__ import annotations

import asyncio
import threading

from likeness.rpc.newest_value import NewestValue
from tests.waiting import PATIENCE


async def test_only_the_newest_of_several_values_is_read() -> None:
    newest: NewestValue[int] = NewestValue(asyncio.get_running_loop())
    for word in range(5):
        newest.put(word)
    await asyncio.sleep(0)
    words = newest.every(0.0)
    assert await anext(words) == 4
    newest.put(5)
    assert await anext(words) == 5


async def test_words_of_another_thread_arrive_and_the_end_ends_them_at_once() -> None:
    newest: NewestValue[str] = NewestValue(asyncio.get_running_loop())

    def speak() -> None:
        newest.put("word")
        newest.close()

    thread = threading.Thread(target=speak)
    thread.start()
    async with asyncio.timeout(PATIENCE):
        words = [word async for word in newest.every(2 * PATIENCE)]
    thread.join()
    assert words in (["word"], [])


async def test_words_come_no_faster_than_asked_for() -> None:
    loop = asyncio.get_running_loop()
    newest: NewestValue[int] = NewestValue(loop)
    newest.put(1)
    words = newest.every(0.05)
    await anext(words)
    newest.put(2)
    began = loop.time()
    assert await anext(words) == 2
    assert loop.time() - began >= 0.04

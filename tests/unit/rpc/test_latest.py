"""The latest word of a thread, as an event loop reads it."""

from __future__ import annotations

import asyncio
import threading

from likeness.rpc.latest import Latest
from tests.waiting import PATIENCE


async def test_only_the_latest_of_several_words_is_read() -> None:
    latest: Latest[int] = Latest(asyncio.get_running_loop())
    for word in range(5):
        latest.put(word)
    await asyncio.sleep(0)
    words = latest.every(0.0)
    assert await anext(words) == 4
    latest.put(5)
    assert await anext(words) == 5


async def test_words_of_another_thread_arrive_and_the_end_ends_them_at_once() -> None:
    latest: Latest[str] = Latest(asyncio.get_running_loop())

    def speak() -> None:
        latest.put("word")
        latest.close()

    thread = threading.Thread(target=speak)
    thread.start()
    async with asyncio.timeout(PATIENCE):
        words = [word async for word in latest.every(2 * PATIENCE)]
    thread.join()
    assert words in (["word"], [])


async def test_words_come_no_faster_than_asked_for() -> None:
    loop = asyncio.get_running_loop()
    latest: Latest[int] = Latest(loop)
    latest.put(1)
    words = latest.every(0.05)
    await anext(words)
    latest.put(2)
    began = loop.time()
    assert await anext(words) == 2
    assert loop.time() - began >= 0.04

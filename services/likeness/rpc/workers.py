"""Where blocking work runs: a bounded pool of threads."""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from likeness.domain.deadline import CallDeadline, Deadline, hold
from likeness.domain.errors import DeadlineExceeded
from likeness.telemetry import metrics

_Answer = TypeVar("_Answer")


class Workers:
    """A fixed number of threads; calls wait for one in the order of their arrival.

    Args:
        count: the threads.
        bulk: how many of them the items of streams may hold together, so that single requests find one free.
    """

    def __init__(self, count: int, bulk: int) -> None:
        self.bulk = asyncio.Semaphore(min(bulk, count))
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="likeness-worker")
        self._free = asyncio.Semaphore(count)

    async def run(
        self, step: Callable[[CallDeadline], _Answer], deadline: CallDeadline, *, seconds: float = math.inf
    ) -> _Answer:
        """Run a blocking step on a thread, with this context's variables.

        A thread cannot be interrupted: when time runs out or the caller goes away, the answer is given up and
        the thread stays taken until the step notices at its next check of the deadline.

        Args:
            step: is given the deadline that holds for it.
            deadline: of waiting and working together.
            seconds: that the step may take once it has a thread.

        Raises:
            DeadlineExceeded: time ran out before the step returned.
        """
        await self._wait_for_thread(deadline)
        own = deadline.within(seconds)
        work = asyncio.get_running_loop().run_in_executor(
            self._pool, contextvars.copy_context().run, partial(hold, step, own)
        )
        work.add_done_callback(self._finished)
        try:
            async with asyncio.timeout(_finite(own)) as limit:
                return await asyncio.shield(work)
        except TimeoutError:
            if limit.expired():
                _too_late("it was worked on")
            raise

    def close(self) -> None:
        """Wait for the threads to end; work that has not begun is dropped."""
        self._pool.shutdown(cancel_futures=True)

    async def _wait_for_thread(self, deadline: CallDeadline) -> None:
        if not self._free.locked():
            await self._free.acquire()  # without a pause
            return
        waiting = metrics.rpc_queue_depth()
        waiting.inc()
        try:
            async with asyncio.timeout(_finite(deadline)):
                await self._free.acquire()
        except TimeoutError:
            _too_late("it waited for its turn")
        finally:
            waiting.dec()

    def _finished(self, work: asyncio.Future[_Answer]) -> None:
        self._free.release()
        if not work.cancelled():
            work.exception()  # read it, or asyncio complains of errors that came after the caller had gone


def _finite(deadline: Deadline) -> float | None:
    return None if math.isinf(deadline.at) else deadline.remaining


def _too_late(doing: str) -> None:
    raise DeadlineExceeded(
        f"The deadline passed while {doing}; allow more time, or send fewer requests at once."
    ) from None

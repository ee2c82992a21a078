"""When to send a request again: only what may help, only while time is left, and with the same request id."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc

from likeness.client.errors import CallFailed, from_rpc

_Answer = TypeVar("_Answer")

FIRST_PAUSE = 0.1  # seconds
LONGEST_PAUSE = 5.0  # seconds


class Attempts:
    """The attempts at one request.

    Pauses double from `FIRST_PAUSE`, each drawn between half and the whole of its length so that clients that
    failed together do not return together; a longer pause that the service asked for is waited.

    Args:
        seconds: for all attempts and pauses together.
        retries: attempts after the first.
    """

    def __init__(self, seconds: float, retries: int) -> None:
        self._until = time.monotonic() + seconds
        self._retries = retries
        self._failed = 0

    @property
    def left(self) -> float:
        """Seconds left, at least 0; the timeout of the next attempt."""
        return max(0.0, self._until - time.monotonic())

    def pause(self, error: CallFailed) -> float:
        """Seconds to wait before the next attempt.

        Raises:
            CallFailed: the given error, where another attempt would not help or there is no time for it.
        """
        self._failed += 1
        full = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (self._failed - 1))
        seconds = max(random.uniform(full / 2, full), error.retry_after or 0.0)
        if not error.is_transient or self._failed > self._retries or seconds >= self.left:
            raise error
        return seconds

    def succeeded(self) -> None:
        """Count failures from 0 again: a long stream that goes on is allowed to break more than once."""
        self._failed = 0


def tried(attempt: Callable[[float], _Answer], attempts: Attempts) -> _Answer:
    """What an attempt gives, which is passed the seconds that are left; tried again where that may help.

    Raises:
        CallFailed: the call failed, and another attempt would not help.
    """
    while True:
        try:
            return attempt(attempts.left)
        except grpc.RpcError as error:
            time.sleep(attempts.pause(from_rpc(error)))


async def tried_async(attempt: Callable[[float], Awaitable[_Answer]], attempts: Attempts) -> _Answer:
    """As `tried`, of calls that are awaited."""
    while True:
        try:
            return await attempt(attempts.left)
        except grpc.aio.AioRpcError as error:
            await asyncio.sleep(attempts.pause(from_rpc(error)))

"""Waiting for the first messages of calls: not for long, not for too many, and fairly between connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from likeness.domain.errors import DeadlineExceeded, InvalidInput, TooBusy
from likeness.rpc.gate import RETRY_AFTER
from likeness.rpc.messages import Unreadable


class Arrivals:
    """The calls that have begun and whose first message is not there yet. For one event loop.

    One more than `limit` is let in if another connection has more of them than its own; the call that has waited
    longest there is given up. So a peer that begins calls and sends nothing loses its own and shuts nobody out, and
    one that sends many large requests at once is only refused further ones.

    Args:
        limit: calls at once.
        seconds: that one may take.
    """

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._waiting: dict[str, list[_Wait]] = {}
        self._count = 0

    async def first(self, requests: AsyncIterator[Any], peer: str) -> Any:
        """The first message of a call over the connection `peer`, or None where the stream ends without one.

        Raises:
            DeadlineExceeded: it did not arrive in time.
            TooBusy: too many calls wait for their messages.
            LikenessError: it cannot be read.
        """
        async with self._awaited(peer):
            return readable(await anext(aiter(requests), None))

    async def only(self, requests: AsyncIterator[Any], peer: str) -> Any:
        """The message of a call that has one; see `first`.

        Raises:
            InvalidInput: the call ended without it.
        """
        message = await self.first(requests, peer)
        if message is None:
            raise InvalidInput("The call ended without a request; send one.", reason="NO_REQUEST")
        return message

    @asynccontextmanager
    async def _awaited(self, peer: str) -> AsyncIterator[None]:
        if self._count >= self._limit:
            self._make_room(peer)
        wait = _Wait(asyncio.timeout(self._seconds))
        try:
            async with wait.timeout:
                self._waiting.setdefault(peer, []).append(wait)
                self._count += 1
                try:
                    yield
                finally:
                    self._leave(peer, wait)
        except TimeoutError:
            raise self._ended(wait) from None

    def _make_room(self, newcomer: str) -> None:
        peer = max(self._waiting, key=lambda one: len(self._waiting[one]))
        if len(self._waiting[peer]) <= len(self._waiting.get(newcomer, ())):
            raise self._too_many()
        wait = self._waiting[peer][0]
        wait.given_up = True
        wait.timeout.reschedule(asyncio.get_running_loop().time())
        self._leave(peer, wait)

    def _leave(self, peer: str, wait: _Wait) -> None:
        calls = self._waiting.get(peer, [])
        if wait in calls:
            calls.remove(wait)
            self._count -= 1
        if not calls:
            self._waiting.pop(peer, None)

    def _ended(self, wait: _Wait) -> DeadlineExceeded | TooBusy:
        if wait.given_up:
            return self._too_many()
        return DeadlineExceeded(
            f"The request had not arrived {self._seconds:g} s after the call began; send it at once, or a smaller "
            "one.",
            reason="REQUEST_NOT_RECEIVED",
        )

    def _too_many(self) -> TooBusy:
        return TooBusy(
            f"{self._limit} calls were begun whose request has not arrived yet, the most this service waits for; "
            "try again a little later.",
            retry_after=RETRY_AFTER,
        )


class _Wait:
    """One call that waits. Two are never equal."""

    def __init__(self, timeout: asyncio.Timeout) -> None:
        self.timeout = timeout
        self.given_up = False


def readable(message: Any) -> Any:
    """The message; raises what stands for one that could not be read."""
    if isinstance(message, Unreadable):
        raise message.error
    return message

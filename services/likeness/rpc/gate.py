"""The gate that requests pass: closed while the service starts and drains, and never open to too many."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from likeness.domain.errors import TooBusy, Unavailable

RETRY_AFTER = 0.5
"""Seconds after which a refused client may try again; about the time of one search on a busy processor."""

RETRY_AFTER_START = 1.0
"""The same of a service that is starting: it takes some seconds."""

RETRY_AFTER_DRAIN = 0.2
"""The same of one that is being stopped: another one, or its successor, takes the request."""


class GateState(Enum):
    """Where the service is in its life."""

    STARTING = "starting"
    OPEN = "open"
    DRAINING = "draining"


class Gate:
    """Counts what is inside, and refuses what would be too much. For one event loop.

    Args:
        requests: unary requests inside at once.
        streams: streams inside at once.
        max_bytes: bytes of all unary requests inside; one request alone is always let in.
    """

    def __init__(self, *, requests: int, streams: int, max_bytes: int) -> None:
        self._limits = {False: requests, True: streams}
        self._inside = {False: 0, True: 0}
        self._max_bytes = max_bytes
        self._bytes = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._state = GateState.STARTING
        self.draining = asyncio.Event()
        """Set when the service drains; streams then take no further item."""

    def open(self) -> None:
        """Let requests in."""
        self._state = GateState.OPEN

    def drain(self) -> None:
        """Let nothing further in."""
        self._state = GateState.DRAINING
        self.draining.set()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is inside."""
        return self._idle.is_set()

    async def empty(self) -> None:
        """Wait until nothing is inside."""
        await self._idle.wait()

    def check(self, *, stream: bool) -> None:
        """Refuse a call that would not be let in, before its first message is waited for.

        Raises:
            Unavailable: the service is starting or draining.
            TooBusy: too many are inside.
        """
        self._refuse(stream, 0)

    @contextmanager
    def entered(self, *, stream: bool, size: int) -> Iterator[None]:
        """Be inside; `size` is in bytes.

        Raises:
            Unavailable: the service is starting or draining.
            TooBusy: too much is inside.
        """
        self._refuse(stream, size)
        self._inside[stream] += 1
        self._bytes += size
        self._idle.clear()
        try:
            yield
        finally:
            self._inside[stream] -= 1
            self._bytes -= size
            if not any(self._inside.values()):
                self._idle.set()

    def _refuse(self, stream: bool, size: int) -> None:
        if self._state is GateState.STARTING:
            raise starting()
        if self._state is GateState.DRAINING:
            raise draining()
        if self._inside[stream] >= self._limits[stream]:
            what = "streams are open" if stream else "requests are under way"
            raise TooBusy(
                f"{self._inside[stream]} {what}, the most this service takes; try again a little later.",
                retry_after=RETRY_AFTER,
            )
        if self._bytes and self._bytes + size > self._max_bytes:
            raise TooBusy(
                f"The requests under way hold {self._bytes} bytes and the limit is {self._max_bytes}; try again a "
                "little later.",
                retry_after=RETRY_AFTER,
            )


def starting() -> Unavailable:
    """The error of a service that is not ready yet."""
    error = Unavailable("The service is starting; wait until its health is SERVING.", reason="STARTING")
    error.retry_after = RETRY_AFTER_START
    return error


def draining() -> Unavailable:
    """The error of a service that is being stopped."""
    error = Unavailable("The service is being stopped; send the request again.", reason="DRAINING")
    error.retry_after = RETRY_AFTER_DRAIN
    return error

"""Waiting for the first message of a call, and no longer than is decent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from likeness.domain.errors import DeadlineExceeded
from likeness.rpc.messages import Unreadable


async def first_of(requests: AsyncIterator[Any], seconds: float) -> Any:
    """The first message, or None where the stream ends without one.

    Raises:
        DeadlineExceeded: it did not arrive in that time.
        LikenessError: it cannot be read.
    """
    try:
        async with asyncio.timeout(seconds):
            return readable(await anext(aiter(requests), None))
    except TimeoutError:
        raise DeadlineExceeded(
            f"The request had not arrived {seconds:g} s after the call began; send it at once, or a smaller one.",
            reason="REQUEST_NOT_RECEIVED",
        ) from None


def readable(message: Any) -> Any:
    """The message; raises what stands for one that could not be read."""
    if isinstance(message, Unreadable):
        raise message.error
    return message

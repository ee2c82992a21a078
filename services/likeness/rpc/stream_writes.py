"""Writing the answers of a stream: not for ever to a peer that takes none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import grpc

from likeness.domain.errors import DeadlineExceeded


class AnswerNotRead(DeadlineExceeded):
    """The peer takes nothing, so it gets no status either: the call is only ended."""

    reason = "ANSWER_NOT_READ"


async def write_all(
    answers: AsyncGenerator[Any, None], context: grpc.aio.ServicerContext[Any, Any], seconds: float
) -> None:
    """Write answers as they come. A peer that reads nothing must not hold the place that its call has.

    Args:
        answers: what is written; closed in the end.
        context: of the call.
        seconds: within which the peer must have taken each.

    Raises:
        AnswerNotRead: it had not.
    """
    async with aclosing(answers):
        async for answer in answers:
            try:
                async with asyncio.timeout(seconds):
                    await context.write(answer)
            except TimeoutError:
                raise AnswerNotRead(
                    f"An answer was not read for {seconds:g} s; read answers as they come, or ask again."
                ) from None

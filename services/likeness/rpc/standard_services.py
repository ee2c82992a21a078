"""Health and reflection: not refused for what our own services do, nor held open for ever by a silent peer."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

import grpc

from likeness.domain.errors import LikenessError, TooBusy
from likeness.rpc import errors
from likeness.rpc.first_messages import Arrivals
from likeness.rpc.gate import RETRY_AFTER

MAX_STREAMS = 1024
"""Streams at once: clients that watch the health of a connection have one each."""

LONGEST_QUESTIONS = 60.0
"""Seconds that a stream of questions may last, as reflection's is; its client asks again."""


_Context = grpc.aio.ServicerContext[Any, Any]


class Others:
    """Leads calls of services that are not ours.

    Args:
        arrivals: wait for the first messages, apart from those of our own services.
    """

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._streams = 0

    def lead(self, handler: grpc.RpcMethodHandler[Any, Any]) -> grpc.RpcMethodHandler[Any, Any]:
        """The handler, its first message awaited for so long and no longer."""
        parse, write = handler.request_deserializer, handler.response_serializer
        if handler.unary_unary is not None:
            return grpc.stream_unary_rpc_method_handler(self._unary(handler.unary_unary), parse, write)
        if handler.unary_stream is not None:
            return grpc.stream_stream_rpc_method_handler(self._answers(handler.unary_stream), parse, write)
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(self._questions(handler.stream_stream), parse, write)
        return handler

    def _unary(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        async def unary(requests: AsyncIterator[Any], context: _Context) -> Any:
            return await inner(await self._first(requests, context), context)

        return unary

    def _answers(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        async def answers(requests: AsyncIterator[Any], context: _Context) -> None:
            first = await self._first(requests, context)
            await self._written(lambda: inner(first, context), context)

        return answers

    def _questions(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        async def questions(requests: AsyncIterator[Any], context: _Context) -> None:
            first = await self._first(requests, context)

            async def asked() -> AsyncIterator[Any]:
                yield first
                try:
                    async with asyncio.timeout(LONGEST_QUESTIONS):
                        async for question in requests:
                            yield question
                except TimeoutError:
                    return

            await self._written(lambda: inner(asked(), context), context)

        return questions

    async def _first(self, requests: AsyncIterator[Any], context: _Context) -> Any:
        try:
            return await self._arrivals.only(requests, context.peer())
        except LikenessError as error:
            await errors.abort(context, errors.report_of(error))

    async def _written(self, answer: Callable[[], Any], context: _Context) -> None:
        """Let a handler write its answers, or write those that it yields, within the number of streams."""
        try:
            with self._stream():
                answers = answer()
                if not inspect.isasyncgen(answers):
                    await answers
                    return
                async with aclosing(answers):
                    async for one in answers:
                        await context.write(one)
        except TooBusy as error:
            await errors.abort(context, errors.report_of(error))

    @contextmanager
    def _stream(self) -> Iterator[None]:
        if self._streams >= MAX_STREAMS:
            raise TooBusy(
                f"{self._streams} streams of health and reflection are open, the most this service takes; try "
                "again a little later.",
                retry_after=RETRY_AFTER,
            )
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

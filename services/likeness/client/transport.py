"""What calls go through: a channel of grpc, or what stands in its place where there is no server.

Each method is given the path of one of the protocol's methods and how its messages are written and read, and
returns what starts a call, as those of `grpc.Channel` and `grpc.aio.Channel` do.
"""

from __future__ import annotations

from typing import Any, Protocol


class _Calls(Protocol):
    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """What starts calls of one request and one answer."""

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """What starts calls of one request and many answers."""

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """What starts calls of many requests and one answer."""

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """What starts calls of many requests and many answers."""


class Transport(_Calls, Protocol):
    """What a `LikenessClient` calls through, as `grpc.Channel`."""

    def close(self) -> None:
        """End all calls."""


class AsyncTransport(_Calls, Protocol):
    """What an `AsyncLikenessClient` calls through, as `grpc.aio.Channel`."""

    async def close(self, grace: float | None) -> None:
        """End all calls, those that are still under way after `grace` seconds too."""

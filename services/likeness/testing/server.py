"""A real server in this process, over whatever a test composes, for clients over a real connection."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from likeness.app.settings import Settings
from likeness.client import LikenessClient
from likeness.domain.access import Access
from likeness.protocol import SERVICES, Service
from likeness.rpc.identity import Prove
from likeness.rpc.server import Composition, Server

PATIENCE = 180.0
"""Seconds after which starting, draining or a call has failed: it hangs, however busy the machine is."""

AnswerT = TypeVar("AnswerT")
ComposedT = TypeVar("ComposedT", bound=Composition)


class LocalServer(Generic[ComposedT]):
    """A server on an event loop and a thread of its own, so that synchronous clients can call it.

    Args:
        settings: limits and addresses; port 0 picks a free one.
        compose: builds the engines, for example `LocalComposition.open` with modalities.
        services: what is offered.
        access: judges every call; None lets everybody do everything.
        prove: says who a peer is; None takes what the transport proves.
        private_health: whether health is answered at `health.address` too.

    Raises what `Server` raises.
    """

    def __init__(
        self,
        settings: Settings,
        compose: Callable[[Settings], ComposedT],
        *,
        services: tuple[Service, ...] = SERVICES,
        access: Access | None = None,
        prove: Prove | None = None,
        private_health: bool = False,
    ) -> None:
        self.loop = asyncio.new_event_loop()
        """The loop that the server runs on."""
        self._thread = threading.Thread(target=self.loop.run_forever, name="likeness-local-server")
        self._thread.start()
        self._clients: list[LikenessClient] = []
        self._services = services
        self._composition: ComposedT | None = None

        def composed(given: Settings) -> ComposedT:
            self._composition = made = compose(given)
            return made

        async def make() -> Server:
            return Server(
                settings,
                composed,
                services=services,
                access=access,
                prove=prove,
                private_health=private_health,
            )

        try:
            self.server = self.run(make())
        except BaseException:
            self._end()
            raise
        self._drained = False

    def run(self, work: Coroutine[Any, Any, AnswerT]) -> AnswerT:
        """Run something on the loop of the server.

        Raises:
            TimeoutError: it does not end.
        """
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)

    def start(self) -> Self:
        """Listen, build the engines, and report SERVING.

        Raises what `Server.start` raises.
        """
        self.run(self.server.start())
        return self

    @property
    def address(self) -> str:
        """Where the server listens, `host:port`."""
        return f"127.0.0.1:{self.server.port}"

    @property
    def composition(self) -> ComposedT:
        """What is served.

        Raises:
            RuntimeError: it is not built yet.
        """
        if self._composition is None:
            raise RuntimeError("The server has not built its engines; start it first.")
        return self._composition

    def client(self, **arguments: Any) -> LikenessClient:
        """A client of the server, closed with it; arguments as for `LikenessClient`."""
        usual = {"entity": "NCB-AA", "purpose": "wanted_person", "timeout": PATIENCE}
        made = LikenessClient(self.address, **{**usual, "services": self._services, **arguments})
        self._clients.append(made)
        return made

    def drain(self) -> None:
        """Let what is under way finish, and stop."""
        self._drained = True
        self.run(self.server.drain())

    def close(self) -> None:
        """Close the clients, drain unless that was done, and end the thread."""
        for client in self._clients:
            client.close()
        if not self._drained:
            self.drain()
        self._end()

    def _end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

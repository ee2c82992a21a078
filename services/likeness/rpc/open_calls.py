"""Calls that are open, judged again when the rules change: what may not be done any more ends at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from likeness.domain.errors import Denied
from likeness.rpc.identity import Peer


@dataclass(eq=False, slots=True)
class _Open:
    peer: Peer
    task: asyncio.Task[object]
    denied: Denied | None = None


class OpenCalls:
    """The calls that are being answered. Use from one event loop."""

    def __init__(self) -> None:
        self._open: set[_Open] = set()

    @contextmanager
    def held(self, peer: Peer) -> Iterator[None]:
        """Hold a call open for as long as the block takes, in the task that answers it.

        Raises:
            Denied: the rules changed, and it may not be done any more. What was written stays; nothing is answered.
        """
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A call is answered by a task.")
        call = _Open(peer, task)
        self._open.add(call)
        try:
            yield
        except BaseException:
            if call.denied is None:
                raise
        finally:
            self._open.discard(call)
        if call.denied is not None:
            task.uncancel()
            raise call.denied

    def judge_again(self) -> int:
        """Judge every open call by the rules that are in force now; how many are ended."""
        ended = 0
        for call in tuple(self._open):
            if call.denied is not None:
                continue
            try:
                call.peer.judge_again()
            except Denied as error:
                call.denied = error
                call.task.cancel()
                ended += 1
        return ended

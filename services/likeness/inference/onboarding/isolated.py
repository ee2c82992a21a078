"""Work on a file that may be anything, in a process with limits: it may crash, hang or fill the memory."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from likeness.domain.errors import LikenessError, Precondition

SILENCE = 120.0
"""Seconds without a step after which the work is ended; one step runs a graph over some hundred small pictures."""

MEMORY = 16 << 30
"""Bytes of address space; the libraries map 3 GiB of it before they do anything."""

Step = Callable[[], None]
_T = TypeVar("_T")


def run(
    work: Callable[..., _T],
    *arguments: Any,
    what: str,
    step: Step,
    silence: float,
    memory: int = MEMORY,
) -> _T:
    """What `work(*arguments, step)` returns, called in another process; it must call `step` now and then.

    Args:
        work: a function of a module; it, its arguments and its result are pickled.
        arguments: what it is given.
        what: what is worked on, for messages.
        step: called here for every step there.
        silence: seconds without a step after which it is ended.
        memory: bytes of address space that it may use.

    Raises:
        LikenessError: what `work` raised.
        Precondition: it crashed, made no progress or needed more memory.
    """
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe(duplex=False)
    process = spawning.Process(target=_child, args=(theirs, memory, work, arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        result: _T = _followed(ours, what, step, silence)
        return result
    finally:
        process.kill()
        process.join()
        ours.close()


def _followed(messages: Connection, what: str, step: Step, silence: float) -> Any:
    while messages.poll(silence):
        try:
            kind, value = messages.recv()
        except EOFError:
            raise Precondition(
                f"{what} ended the process that looked into it: it crashes onnxruntime, or needs more memory than "
                "it may have. Export the model again, with another opset if need be.",
                reason="MODEL_CRASHES",
            ) from None
        if kind == "step":
            step()
        elif kind == "done":
            return value
        else:
            error, message, reason = value
            raise error(message, reason=reason)
    raise Precondition(
        f"{what} made no progress for {silence:g} s and was given up: its graph may hold an endless loop. Export "
        "the model again without control flow.",
        reason="MODEL_HANGS",
    )


def _child(messages: Connection, memory: int, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = memory if most == resource.RLIM_INFINITY else min(memory, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        result = work(*arguments, lambda: messages.send(("step", None)))
    except LikenessError as error:
        messages.send(("error", (type(error), error.message, error.reason)))
    else:
        messages.send(("done", result))

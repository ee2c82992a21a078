"""The other process of an `Assistant`; reads tasks from its standard input and writes answers to its output.

Both are pickles, of which only the process that started this one knows the other end. What libraries print goes
to the standard error. It ends when its input does, so it never outlives who started it, and not by the signals that
ask to stop: who is stopped gracefully still needs the answers.
"""

from __future__ import annotations

import logging
import os
import pickle
import queue
import signal
import sys
import threading
import time
from typing import IO, Any

from likeness.domain.deadline import CallDeadline
from likeness.inference.concurrency.assistant import Announced, Undone, Withdrawn, Work
from likeness.inference.concurrency.process import favour_throughput

_Task = tuple[int, CallDeadline, Any]
"""The number of a task, the time that it has, and the task."""

_logger = logging.getLogger(__name__)


def main() -> None:
    """Make what works, say what it is, and work until the input ends."""
    for name in ("SIGINT", "SIGTERM", "SIGTTOU"):  # the last: it may write to a terminal that is not its own
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    favour_throughput()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    make = pickle.load(sys.stdin.buffer)  # noqa: S301  who started this process wrote it
    tasks: queue.SimpleQueue[_Task] = queue.SimpleQueue()
    waited_for: dict[int, CallDeadline] = {}
    threading.Thread(target=_take_in, args=(sys.stdin.buffer, tasks, waited_for), daemon=True).start()
    try:
        identity, work = make()
    except Exception:
        _logger.exception("assistant cannot work")
        os._exit(1)  # the thread that reads holds a lock that an orderly exit would wait for
    _write(answers, identity)
    while True:
        number, deadline, task = tasks.get()
        _write(answers, (number, _done(work, task, deadline)))
        del waited_for[number]


def _done(work: Work[Any, Any], task: object, deadline: CallDeadline) -> object:
    """What comes of a task; nothing if nobody waits for it any more."""
    try:
        deadline.check("the task waited")
        return work(task, deadline)
    except Exception:  # who asked does it again, and has the error where it can be raised
        return Undone()


def _take_in(source: IO[bytes], tasks: queue.SimpleQueue[_Task], waited_for: dict[int, CallDeadline]) -> None:
    """Read at once what is sent, so that who sends never waits for what is worked on."""
    try:
        while True:
            _take(source, tasks, waited_for)
    finally:
        os._exit(0)


def _take(source: IO[bytes], tasks: queue.SimpleQueue[_Task], waited_for: dict[int, CallDeadline]) -> None:
    """Read a task, or that nobody waits for one any more."""
    message: Announced | Withdrawn = pickle.load(source)  # noqa: S301  as above
    if isinstance(message, Withdrawn):
        if (deadline := waited_for.get(message.number)) is not None:
            deadline.abandoned.set()
        return
    deadline = waited_for[message.number] = CallDeadline(time.monotonic() + message.seconds)
    tasks.put((message.number, deadline, pickle.load(source)))  # noqa: S301


def _write(answers: IO[bytes], answer: object) -> None:
    try:
        pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()
    except OSError:  # nobody reads any more
        os._exit(0)


if __name__ == "__main__":
    main()

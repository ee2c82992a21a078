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
from typing import IO, Any

from likeness.inference.assistant import Undone
from likeness.inference.process import favour_throughput

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
    tasks: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
    threading.Thread(target=_take_in, args=(sys.stdin.buffer, tasks), daemon=True).start()
    try:
        identity, work = make()
    except Exception:
        _logger.exception("assistant cannot work")
        os._exit(1)  # the thread that reads holds a lock that an orderly exit would wait for
    _write(answers, identity)
    while True:
        number, task = tasks.get()
        try:
            answer = work(task)
        except Exception:  # who asked does it again, and has the error where it can be told
            answer = Undone()
        _write(answers, (number, answer))


def _take_in(source: IO[bytes], tasks: queue.SimpleQueue[tuple[int, Any]]) -> None:
    """Read at once what is sent, so that who sends never waits for what is worked on."""
    try:
        while True:
            number = pickle.load(source)  # noqa: S301  as above
            tasks.put((number, pickle.load(source)))  # noqa: S301
    finally:
        os._exit(0)


def _write(answers: IO[bytes], answer: object) -> None:
    try:
        pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()
    except OSError:  # nobody reads any more
        os._exit(0)


if __name__ == "__main__":
    main()

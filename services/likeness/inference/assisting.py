"""The other process of an `Assistant`; reads tasks from its standard input and writes answers to its output.

Both are pickles, of which only the process that started this one knows the other end. What libraries print goes
to the standard error. It ends when its input does, so it never outlives who started it, and not by the signals that
ask to stop: who is stopped gracefully still needs the answers.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
from typing import IO, Any

from likeness.inference.assistant import Undone
from likeness.inference.process import favour_throughput


def main() -> None:
    """Make what works, say what it is, and work until the input ends."""
    for asking_to_stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asking_to_stop, signal.SIG_IGN)
    favour_throughput()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    make = pickle.load(sys.stdin.buffer)  # noqa: S301  who started this process wrote it
    identity, work = make()
    tasks: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
    threading.Thread(target=_take_in, args=(sys.stdin.buffer, tasks), daemon=True).start()
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
            tasks.put(pickle.load(source))  # noqa: S301  as above
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

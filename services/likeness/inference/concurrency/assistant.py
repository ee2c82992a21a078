"""A second process that shares the work of this one.

One interpreter runs Python on one core at a time. What a request computes between the runs of its graphs takes a
fifth of its time, so a few concurrent requests already wait for the interpreter's lock while a core idles. An
assistant has an interpreter of its own: it takes what comes while something is being worked on here already. A lone
request is worked on here, where it has every core.
`benchmarks/serving.py` shows what it is worth, and under LIKENESS_FACE_ASSISTANT=false what it is without. The
price is a second copy of the models in memory.

Nothing depends on it: whatever it does not answer, because it failed, was killed or has not started yet, is worked
on here. Only the task that it was at when its process ended is refused, to be sent again: it may be what ended it.
"""

from __future__ import annotations

import logging
import math
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any, Generic, TypeVar, cast

from likeness.domain.deadline import NO_DEADLINE, Deadline
from likeness.domain.errors import DeadlineExceeded, Unavailable

T = TypeVar("T")
R = TypeVar("R")

ROOM = 2
"""Tasks that the assistant has at once: one that it works on, and the next, so that it need not wait for it."""

TASK_SECONDS = 15.0
"""After which a task that was not answered is taken for lost, and its process ended: many times what one takes, and
less than a request or the stopping of the service is given."""

END_SECONDS = 2.0
"""For a process to end by itself once nothing more comes."""

RESTART_SECONDS, RESTART_MOST_SECONDS = 1.0, 300.0
"""Pause before the next start; doubled by every process that lived less than its most."""

Work = Callable[[T, Deadline], R]
"""Does a task; may give it up with DeadlineExceeded."""

Make = Callable[[], tuple[str, Work[T, R]]]
"""Run in the other process: what the work there is identified by, and the work. Can be pickled."""

_ELSEWHERE = "another process worked on the request"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Undone:
    """No answer. `begun`: the process ended while it worked on the task."""

    begun: bool = False


@dataclass(frozen=True, slots=True)
class Announced:
    """Goes before a task: its number, and the seconds that it has, since processes need not share a clock."""

    number: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Nobody waits any more for the task of that number."""

    number: int


def _standard_error() -> IO[str] | None:
    """Where Python writes, which need not be what the descriptor of standard error is; None if that is no file."""
    try:
        sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        return None
    return sys.stderr


@dataclass(slots=True)
class _Asked(Generic[R]):
    """A task that it has: where its answer goes, and when its sending began; infinity before."""

    answer: queue.SimpleQueue[R | Undone]
    since: float = math.inf


@dataclass(frozen=True, slots=True)
class _Message:
    """What is to be sent, as a pickle; of a task, its number and deadline too."""

    pickle: bytes
    number: int = 0
    deadline: Deadline = NO_DEADLINE


class _Life(Generic[T, R]):
    """One process, from its start to its end, and what it has been given.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, make: Make[T, R]) -> None:
        self._process = subprocess.Popen(
            # What is imported there is what is imported here, and not what lies in the working directory.
            [sys.executable, "-P", "-m", "likeness.inference.concurrency.assistant_process"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=_standard_error(),
            # Ctrl-C at a terminal goes to the whole group; what this process still works on must not end by it.
            process_group=0 if os.name == "posix" else None,
        )
        self._to = cast("IO[bytes]", self._process.stdin)
        self._from = cast("IO[bytes]", self._process.stdout)
        self._lock = threading.Lock()
        self._waiting: dict[int, _Asked[R]] = {}
        self._last = 0
        self._over = threading.Event()
        self._outbox: queue.SimpleQueue[_Message | None] = queue.SimpleQueue()
        self._outbox.put(_Message(pickle.dumps(make, pickle.HIGHEST_PROTOCOL)))
        self._sender = threading.Thread(target=self._send, name="likeness-assistant-send", daemon=True)
        self._sender.start()
        threading.Thread(target=self._watch, name="likeness-assistant-watch", daemon=True).start()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def given(self) -> int:
        """Tasks that it has and has not answered."""
        return len(self._waiting)

    def identity(self) -> str:
        """What it says it is. Raises EOFError if it ends before it says so."""
        return str(self._receive())

    def answers(self) -> None:
        """Hand on its answers until it ends, then raise EOFError."""
        while True:
            number, answer = self._receive()
            with self._lock:
                asked = self._waiting.pop(number)
            asked.answer.put(answer)

    def ask(self, task: T, deadline: Deadline) -> R | Undone:
        """What becomes of the task; blocks.

        Raises:
            DeadlineExceeded: the deadline passed, or the caller went away. The task is dropped if it has not begun,
                else given up at its next check; until then it counts as given.
        """
        data = pickle.dumps(task, pickle.HIGHEST_PROTOCOL)
        asked: _Asked[R] = _Asked(queue.SimpleQueue())
        with self._lock:
            if self._over.is_set():
                return Undone()
            self._last += 1
            number = self._last
            self._waiting[number] = asked
            self._outbox.put(_Message(data, number, deadline))
        return self._answer(number, asked, deadline)

    def _answer(self, number: int, asked: _Asked[R], deadline: Deadline) -> R | Undone:
        while True:
            with suppress(queue.Empty):
                return asked.answer.get(timeout=deadline.patience)
            try:
                deadline.check(_ELSEWHERE)
            except DeadlineExceeded:
                self._outbox.put(_Message(pickle.dumps(Withdrawn(number))))
                raise

    def _send(self) -> None:
        """Send what is asked for, so that no caller waits beyond its deadline for a process that does not read."""
        while (message := self._outbox.get()) is not None:
            if not self._sent(message) and message.number:
                self._let_go(message.number)
        with suppress(OSError):
            self._to.close()

    def _sent(self, message: _Message) -> bool:
        """Send a message; False if the process has ended."""
        pickles = [message.pickle]
        if message.number:
            with self._lock:
                self._waiting[message.number].since = time.monotonic()
            pickles.insert(0, pickle.dumps(Announced(message.number, message.deadline.remaining)))
        try:
            self._to.writelines(pickles)
            self._to.flush()
        except OSError:  # whoever reads its answers sees the end as well
            return False
        return True

    def end(self) -> int:
        """End the process and let go of everybody who waits for it; returns its exit code."""
        with self._lock:
            self._over.set()
            self._outbox.put(None)
        try:
            code = self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._sender.join()
        self._from.close()
        with self._lock:
            # It answers in the order in which it was asked.
            for place, number in enumerate(sorted(self._waiting)):
                self._waiting[number].answer.put(Undone(begun=place == 0))
            self._waiting.clear()
        return code

    def kill(self) -> None:
        """End the process; what is read from it then ends too."""
        self._process.kill()

    def _watch(self) -> None:
        """End the process if it leaves a task unanswered for too long, even one that it did not read."""
        while not self._over.wait(TASK_SECONDS / 10):
            with self._lock:
                oldest = min((asked.since for asked in self._waiting.values()), default=math.inf)
            if time.monotonic() - oldest > TASK_SECONDS:
                self._process.kill()
                return

    def _let_go(self, number: int) -> None:
        """Let go of who asked, if nobody has yet: the process ended before it could read the task."""
        with self._lock:
            asked = self._waiting.pop(number, None)
        if asked is not None:
            asked.answer.put(Undone())

    def _receive(self) -> Any:
        try:
            return pickle.load(self._from)  # noqa: S301  our own process wrote it
        except Exception as error:  # cut off in the middle, which may look like anything
            raise EOFError from error


class Assistant(Generic[T, R]):
    """Shares tasks between this process and another one. Thread-safe.

    Args:
        make: what the other process runs.
        identity: what it must be identified by; one that is not, since the models were changed meanwhile, is not
            used.
        name: the modality, for logs.
        observe: called with the id of the process when it becomes ready, and None when it has ended; must not
        raise.
    """

    def __init__(
        self,
        make: Make[T, R],
        *,
        identity: str,
        name: str,
        observe: Callable[[int | None], None] | None = None,
    ) -> None:
        self._make = make
        self._identity = identity
        self._name = name
        self._observe = observe
        self._lock = threading.Lock()
        self._here = 0
        self._life: _Life[T, R] | None = None
        self._ready = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._attend, name="likeness-assistant", daemon=True)

    @property
    def ready(self) -> bool:
        """Whether the other process takes tasks at this moment."""
        return self._ready

    def start(self) -> None:
        """Start the process, and again whenever it ends; does not wait until it is ready."""
        self._thread.start()

    def close(self) -> None:
        """End the process; what it had is worked on here."""
        self._closing.set()
        with self._lock:
            if self._life is not None:
                self._life.kill()
        if self._thread.is_alive():
            self._thread.join()

    def do(self, task: T, here: Work[T, R], deadline: Deadline = NO_DEADLINE) -> R:
        """The task's result, from the other process or from `here`, which does it in this one.

        Raises:
            Unavailable: the other process ended while it worked on the task.
            DeadlineExceeded: the deadline passed, or the caller went away, first.
            Exception: whatever `here` raises.
        """
        life = self._choose()
        if life is not None:
            answer = life.ask(task, deadline)
            if not isinstance(answer, Undone):
                return answer
            if answer.begun and not self._closing.is_set():
                raise Unavailable(
                    "The process that worked on the request ended before it was done; send it again.",
                    reason="ASSISTANT_ENDED",
                )
        deadline.check("the request waited to be worked on")
        with self._lock:
            self._here += 1
        try:
            return here(task, deadline)
        finally:
            with self._lock:
                self._here -= 1

    def _choose(self) -> _Life[T, R] | None:
        """The other process, where it is of use for a further task."""
        life = self._life
        if life is None or not self._ready:
            return None
        return life if self._here > 0 and life.given < ROOM else None

    def _attend(self) -> None:
        """Keep the process running."""
        pause = RESTART_SECONDS
        while not self._closing.is_set():
            began = time.monotonic()
            code, problem = None, None
            try:
                code = self._live()
            except OSError as error:
                problem = error
            if self._closing.is_set():
                break
            if time.monotonic() - began > RESTART_MOST_SECONDS:
                pause = RESTART_SECONDS
            fields = {"modality": self._name, "code": code, "seconds": pause}
            _logger.warning("assistant ended and starts again", exc_info=problem, extra=fields)
            self._closing.wait(pause)
            pause = min(2 * pause, RESTART_MOST_SECONDS)

    def _live(self) -> int:
        """One process from its start to its end; its exit code."""
        life = _Life(self._make)
        with self._lock:
            self._life = life
            if self._closing.is_set():
                life.kill()
        try:
            with suppress(EOFError):
                self._attended(life)
        finally:
            self._observed(None)
            code = life.end()
            with self._lock:
                self._life = None
        return code

    def _attended(self, life: _Life[T, R]) -> None:
        found = life.identity()
        if found != self._identity:
            fields = {"modality": self._name, "model": found}
            _logger.warning("assistant has other models and is not used; restart the service", extra=fields)
            self._closing.set()
            return
        if self._closing.is_set():
            return
        self._observed(life.pid)
        life.answers()

    def _observed(self, pid: int | None) -> None:
        self._ready = pid is not None
        if self._observe is not None:
            self._observe(pid)

"""A second process that shares the work, and everything that may befall it."""

from __future__ import annotations

import io
import math
import os
import pickle
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from likeness.domain.deadline import CallDeadline, Deadline
from likeness.domain.errors import DeadlineExceeded, Unavailable
from likeness.inference.concurrency import assistant as module
from likeness.inference.concurrency import assistant_process
from likeness.inference.concurrency.assistant import ROOM, Announced, Assistant, Undone, Withdrawn
from tests.unit.inference.concurrency.assistant_work import IDENTITY, begun, broken, make, work
from tests.waiting import PATIENCE, eventually

Shared = Assistant[str, tuple[int, str]]
HERE = os.getpid()


@contextmanager
def started(
    *, identity: str = IDENTITY, observed: Callable[[int | None], None] | None = None
) -> Iterator[Shared]:
    assistant: Shared = Assistant(make, identity=identity, name="tests", observe=observed)
    assistant.start()
    try:
        yield assistant
    finally:
        assistant.close()


@pytest.fixture
def assistant() -> Iterator[Shared]:
    with started() as one:
        eventually(lambda: one.ready)
        yield one


@contextmanager
def busy(assistant: Shared, count: int = 1) -> Iterator[None]:
    """As if that many tasks were being worked on in this process."""
    with assistant._lock:
        assistant._here += count
    try:
        yield
    finally:
        with assistant._lock:
            assistant._here -= count


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_lone_task_is_worked_on_here(assistant: Shared) -> None:
    assert assistant.do("one", work) == (HERE, "one")


def test_what_comes_while_one_is_worked_on_here_goes_there(assistant: Shared) -> None:
    with busy(assistant):
        pid, task = assistant.do("two", work)
        assert (pid != HERE, task) == (True, "two")
        assert assistant.do("three", work) == (pid, "three")
    assert assistant.do("four", work) == (HERE, "four")


def test_it_has_no_more_than_it_has_room_for(assistant: Shared, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    with busy(assistant), ThreadPoolExecutor(ROOM) as pool:
        slow = [pool.submit(assistant.do, f"until:{go_on}", work) for _ in range(ROOM)]
        eventually(lambda: assistant._life is not None and assistant._life.given == ROOM)
        assert assistant.do("next", work) == (HERE, "next")
        go_on.touch()
        assert all(one.result()[0] != HERE for one in slow)


def test_what_fails_there_is_worked_on_here_where_its_error_can_be_raised(assistant: Shared) -> None:
    with busy(assistant):
        with pytest.raises(ValueError, match="fail"):
            assistant.do("fail", work)
        assert assistant.do("after", work)[0] != HERE


def test_what_libraries_print_there_spoils_no_answer(assistant: Shared) -> None:
    with busy(assistant):
        assert assistant.do("print", work)[0] != HERE
        assert assistant.do("after", work)[0] != HERE


@pytest.mark.parametrize("size", [1 << 10, 8 << 20])
def test_tasks_of_any_size_go_there_and_back(assistant: Shared, size: int) -> None:
    with busy(assistant):
        pid, task = assistant.do("x" * size, work)
    assert pid != HERE
    assert task == "x" * size


def test_the_task_that_ended_it_is_refused_and_the_next_one_worked_on_here(
    assistant: Shared, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    never = tmp_path / "never"
    monkeypatch.setattr(module, "RESTART_SECONDS", 0.01)
    with busy(assistant):
        first, _ = assistant.do("who", work)
        with ThreadPoolExecutor(2) as pool:
            slow = pool.submit(assistant.do, f"until:{never}", work)
            eventually(begun(never).exists)
            queued = pool.submit(assistant.do, "queued", work)
            eventually(lambda: assistant._life is not None and assistant._life.given == ROOM)
            os.kill(first, signal.SIGKILL)
            with pytest.raises(Unavailable, match="send it again") as refusal:
                slow.result()
            assert refusal.value.reason == "ASSISTANT_ENDED"
            assert queued.result() == (HERE, "queued")


def test_it_starts_again_after_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESTART_SECONDS", 0.01)
    observed: list[int | None] = []
    with started(observed=observed.append) as assistant, busy(assistant):
        eventually(lambda: assistant.ready)
        first, _ = assistant.do("who", work)
        with pytest.raises(Unavailable):
            assistant.do("end", work)
        assert assistant.do("meanwhile", work)[1] == "meanwhile"
        eventually(lambda: assistant.ready)
        second, _ = assistant.do("who", work)
        assert second not in (HERE, first)
        assert observed == [first, None, second]


def test_a_task_may_be_given_up_and_counts_until_it_is_done(assistant: Shared, tmp_path: Path) -> None:
    go_on, gone = tmp_path / "go-on", CallDeadline()
    with busy(assistant), ThreadPoolExecutor(2) as pool:
        pid, _ = assistant.do("who", work)
        at_work, queued = (pool.submit(assistant.do, f"until:{go_on}", work, gone) for _ in range(ROOM))
        eventually(lambda: assistant._life is not None and assistant._life.given == ROOM)
        eventually(begun(go_on).exists)
        gone.abandoned.set()
        for one in (at_work, queued):
            with pytest.raises(DeadlineExceeded, match="caller went away"):
                one.result(PATIENCE)
        assert assistant._life is not None
        assert assistant._life.given == ROOM  # it is still at the first
        assert assistant.do("meanwhile", work) == (HERE, "meanwhile")
        go_on.touch()
        eventually(lambda: assistant._life is not None and assistant._life.given == 0)
        assert assistant.do("after", work) == (pid, "after")


def test_what_is_worked_on_is_given_up_when_the_caller_goes_away(assistant: Shared, tmp_path: Path) -> None:
    file, gone = tmp_path / "task", CallDeadline()
    with busy(assistant), ThreadPoolExecutor(1) as pool:
        pid, _ = assistant.do("who", work)
        at_work = pool.submit(assistant.do, f"check:{file}", work, gone)
        eventually(begun(file).exists)
        gone.abandoned.set()
        with pytest.raises(DeadlineExceeded, match="caller went away"):
            at_work.result(PATIENCE)
        assert assistant.do("after", work) == (pid, "after")


def test_what_is_worked_on_is_given_up_when_its_time_is_up(tmp_path: Path) -> None:
    deadline = CallDeadline(time.monotonic() + 0.1)
    assert assistant_process._done(work, f"check:{tmp_path / 'task'}", deadline) == Undone()


def test_nobody_waits_beyond_a_deadline_for_one_that_reads_no_more(assistant: Shared) -> None:
    more_than_a_pipe_holds = "x" * (8 << 20)
    with busy(assistant):
        pid, _ = assistant.do("who", work)
        os.kill(pid, signal.SIGSTOP)
        try:
            for _ in range(ROOM):
                with pytest.raises(DeadlineExceeded):
                    assistant.do(more_than_a_pipe_holds, work, CallDeadline(time.monotonic() + 0.1))
            assert assistant.do("meanwhile", work) == (HERE, "meanwhile")
        finally:
            os.kill(pid, signal.SIGCONT)
        eventually(lambda: assistant._life is not None and assistant._life.given == 0)
        assert assistant.do("after", work) == (pid, "after")


def test_what_nobody_waits_for_is_not_begun() -> None:
    done: list[str] = []

    def note(task: str, deadline: Deadline) -> str:
        done.append(task)
        return task

    sent = [Announced(1, math.inf), "1", Announced(2, math.inf), "2", Announced(3, 0.0), "3", Withdrawn(2)]
    source = io.BytesIO(b"".join(pickle.dumps(one) for one in [*sent, Withdrawn(9)]))
    tasks: queue.SimpleQueue[tuple[int, CallDeadline, str]] = queue.SimpleQueue()
    waited_for: dict[int, CallDeadline] = {}
    with pytest.raises(EOFError):
        while True:
            assistant_process._take(source, tasks, waited_for)
    answers = [
        assistant_process._done(note, task, deadline) for _, deadline, task in (tasks.get() for _ in range(3))
    ]
    assert (answers, done) == (["1", Undone(), Undone()], ["1"])
    with pytest.raises(DeadlineExceeded):
        Assistant(make, identity=IDENTITY, name="tests").do("here", note, Deadline(0.0))  # type: ignore[arg-type]
    assert done == ["1"]


def test_one_that_does_not_answer_is_ended(assistant: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    with busy(assistant):
        pid, _ = assistant.do("who", work)
        monkeypatch.setattr(module, "TASK_SECONDS", 0.2)
        with pytest.raises(Unavailable):
            assistant.do("sleep:600", work)
        eventually(lambda: not alive(pid))


def test_one_that_reads_no_more_is_ended(assistant: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    with busy(assistant):
        pid, _ = assistant.do("who", work)
        monkeypatch.setattr(module, "TASK_SECONDS", 0.2)
        os.kill(pid, signal.SIGSTOP)
        assert assistant.do("x" * (8 << 20), work)[0] == HERE  # more than a pipe holds
        eventually(lambda: not alive(pid))


def test_one_with_other_models_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    with started(identity="other models") as assistant, busy(assistant):
        eventually(lambda: "is not used" in caplog.text)
        assert assistant.do("one", work) == (HERE, "one")
        assert not assistant.ready


def test_one_that_cannot_start_is_reported_and_everything_goes_on_here(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    assistant: Shared = Assistant(broken, identity=IDENTITY, name="tests")
    assistant.start()
    with busy(assistant):
        eventually(lambda: any(getattr(r, "code", None) == 1 for r in caplog.records))
        assert assistant.do("one", work) == (HERE, "one")
    assistant.close()
    assert "no models" in capfd.readouterr().err


def test_what_it_logs_is_not_taken_for_what_libraries_write() -> None:
    script = (
        "import logging, threading\n"
        "from likeness.inference.concurrency.assistant import Assistant\n"
        "from likeness.telemetry import standard_error\n"
        "from tests.unit.inference.concurrency.assistant_work import broken\n"
        "ended = threading.Event()\n"
        "logger = logging.getLogger('likeness.inference.concurrency.assistant')\n"
        "logger.addFilter(lambda record: ended.set() or True)\n"
        "with standard_error.collected():\n"
        "    assistant = Assistant(broken, identity='tests', name='tests')\n"
        "    assistant.start()\n"
        f"    assert ended.wait({PATIENCE})\n"
        "    assistant.close()\n"
    )
    found = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=2 * PATIENCE,
        env=found,
    )
    assert "no models" in done.stderr


def test_signals_that_ask_to_stop_do_not_end_it(assistant: Shared) -> None:
    with busy(assistant):
        pid, _ = assistant.do("who", work)
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGINT)
        assert assistant.do("after", work)[0] == pid


def test_closing_ends_it_and_what_it_had_is_worked_on_here(assistant: Shared, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    with busy(assistant):
        pid, _ = assistant.do("who", work)
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(assistant.do, f"until:{go_on}", work)
            eventually(lambda: assistant._life is not None and assistant._life.given == 1)
            assistant.close()
            go_on.touch()
            assert slow.result()[0] == HERE
        assert not alive(pid)
        assert assistant.do("after", work) == (HERE, "after")


def test_it_does_not_outlive_a_process_that_was_killed() -> None:
    script = (
        "import threading, time\n"
        "from likeness.inference.concurrency.assistant import Assistant\n"
        "from tests.unit.inference.concurrency.assistant_work import make, work\n"
        "assistant = Assistant(make, identity='tests', name='tests')\n"
        "assistant.start()\n"
        "while not assistant.ready: time.sleep(0.01)\n"
        "assistant._here = 1\n"
        "print(assistant.do('who', work)[0], flush=True)\n"
        "assistant.do('sleep:600', work)\n"
    )
    found = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])}
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=found)
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    eventually(lambda: not alive(pid))

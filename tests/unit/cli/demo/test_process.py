"""Waiting for a process: for as long as it moves, and no longer."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from likeness.cli.demo import process
from likeness.cli.demo.process import Watched

Start = Callable[[str], Watched]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def run(program: str) -> Watched:
        log = tmp_path / "log"
        with log.open("wb") as stream:
            started.append(subprocess.Popen([sys.executable, "-c", program], stdout=stream))
        return Watched(started[-1], log)

    yield run
    for one in started:
        one.kill()
        one.wait()


SLEEPING = "import time; time.sleep(3600)"


def test_what_a_process_writes_comes_however_long_it_takes(start: Start) -> None:
    watched = start("import time; time.sleep(0.2); print('here', flush=True); time.sleep(3600)")
    assert watched.wait(lambda: "here" if watched.lines() else None, lambda: "waiting") == "here"


def test_a_process_that_ends_is_not_waited_for(start: Start) -> None:
    watched = start("print('the disk is full')")
    assert watched.wait(lambda: None, lambda: "waiting") is None
    assert watched.lines() == ["the disk is full"]


def test_one_that_works_without_a_word_is_waited_for(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STILL_SECONDS", 0.0)
    used = itertools.count(1)
    monkeypatch.setattr(Watched, "_used", lambda _: float(next(used)))
    looks = itertools.count()
    watched = start(SLEEPING)
    assert watched.wait(lambda: "come" if next(looks) == 5 else None, lambda: "waiting") == "come"


def test_one_that_stands_still_is_given_up(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STILL_SECONDS", 0.0)
    monkeypatch.setattr(Watched, "_used", lambda _: 1.0)
    assert start(SLEEPING).wait(lambda: None, lambda: "waiting") is None


def test_a_line_is_a_sign_of_life(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STILL_SECONDS", 0.0)
    monkeypatch.setattr(Watched, "_used", lambda _: 1.0)
    watched = start(SLEEPING)
    looks = itertools.count()

    def come() -> str | None:
        with watched.log.open("a") as log:
            log.write("compiling\n")
        return "come" if next(looks) == 5 else None

    assert watched.wait(come, lambda: "waiting") == "come"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system has no /proc")
def test_processor_time_is_read_from_the_system(start: Start) -> None:
    watched = start("while True: pass")
    seen = watched._used()
    assert seen is not None
    assert watched.wait(lambda: (watched._used() or 0) > seen or None, lambda: "waiting")

"""Whatever is written to the descriptor of standard error by others than Python reaches the log as a count."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.waiting import PATIENCE

PROGRAM = """
import os, sys
from likeness.telemetry import logs, standard_error

with standard_error.collected():
    logs.configure(sys.argv[1])
    os.write(2, b'{"level": "INFO", "event": "forged"}\\n\\xff a line\\n')
    print("from Python", file=sys.stderr)
    if sys.argv[2:]:
        os.abort()
os.write(2, b"afterwards\\n")
"""


def run(*arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=False
    )
    return done.stderr.splitlines()


def parsed(lines: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines if line.startswith("{")]


def test_what_libraries_write_is_counted_and_what_python_writes_goes_on() -> None:
    lines = run("INFO")
    assert "from Python" in lines
    assert lines[-1] == "afterwards"
    found = parsed(lines)
    assert {line["event"] for line in found} == {"libraries wrote to standard error"}
    assert sum(line["items"] for line in found) == 2
    assert "forged" not in "".join(lines)


def test_at_debug_it_is_quoted() -> None:
    quoted = [line["line"] for line in parsed(run("DEBUG")) if line["event"] == "a library wrote"]
    assert quoted == ['{"level": "INFO", "event": "forged"}', "\ufffd a line"]


def test_who_writes_much_under_the_lock_of_the_interpreter_does_not_wait_for_ever() -> None:
    program = PROGRAM.replace(
        "    print(", "    import ctypes; ctypes.PyDLL(None).write(2, bytes(1 << 20), 1 << 20)\n    print("
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "INFO"], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert "from Python" in done.stderr


def test_where_python_was_when_the_process_crashed_is_still_written() -> None:
    assert any("most recent call first" in line for line in run("INFO", "crash"))

"""What holds for every test: a run is never silent for long."""

from __future__ import annotations

import os
import threading
import time

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no failure, and what is drawn is the same in every run: drawing again is for tests/fuzz.
settings.register_profile(
    "suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")

QUIET_SECONDS = 10.0
"""Seconds without a result after which the run says what it is busy with."""


class Heartbeat:
    """Writes now and then what runs, as long as nothing else is reported.

    Args:
        output: a file descriptor that pytest does not capture.
        quiet: seconds without a result.
    """

    def __init__(self, output: int, quiet: float = QUIET_SECONDS) -> None:
        self._output, self._quiet = output, quiet
        self._busy, self._since = "collecting tests", time.monotonic()
        self._reported = self._since
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._ended.wait(min(1.0, self._quiet)):
            now = time.monotonic()
            if now - self._reported >= self._quiet:
                self._reported = now
                os.write(self._output, f"\n[still {self._busy}, {now - self._since:.0f} s]\n".encode())

    def _now(self, busy: str) -> None:
        self._busy, self._since = busy, time.monotonic()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._now(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.skipped:  # when pytest writes a letter
            self._reported = time.monotonic()
        elif report.when == "teardown":
            self._now(f"after {report.nodeid}")

    def pytest_unconfigure(self) -> None:
        self._ended.set()
        self._thread.join()
        os.close(self._output)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Heartbeat(os.dup(1)), "heartbeat")  # nothing is captured yet

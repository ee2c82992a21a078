"""A thread that does something now and then."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Ticker:
    """Calls `work` every so many seconds until it is closed.

    Args:
        work: what is done; must not raise.
        seconds: from the end of one call to the next.
        name: of the thread.
    """

    def __init__(self, work: Callable[[], None], seconds: float, name: str) -> None:
        self._work = work
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; the first call is after the first pause."""
        self._thread.start()

    def close(self) -> None:
        """Stop, once a call that is under way has returned; a second time it does nothing."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self._work()

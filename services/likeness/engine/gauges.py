"""Sets the gauges that nothing else sets in passing: how large the store is, what is left, where its chains end.

On a thread of its own: upkeep may be busy with a build for an hour, and a gauge that stands still meanwhile reads
as an index that does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from likeness.domain.storage import Storage
from likeness.engine.ticker import Ticker
from likeness.telemetry import logs, metrics

log = logging.getLogger(__name__)

TICK_SECONDS = 5.0
"""How often gauges are set, a third of the usual interval between scrapes; it takes well under a millisecond."""


class Gauges:
    """A thread that calls what sets gauges, until it is closed.

    Args:
        store: whose gauges are set first.
    """

    def __init__(self, store: Storage) -> None:
        self._reports: list[Callable[[], None]] = [lambda: report_store(store)]
        self._ticker = Ticker(self._set, TICK_SECONDS, "gauges")

    def add(self, report: Callable[[], None]) -> None:
        """Call this too from now on; it must be quick."""
        self._reports.append(report)

    def start(self) -> None:
        """Set every gauge once, and begin."""
        self._set()
        self._ticker.start()

    def close(self) -> None:
        """Stop. A second call does nothing."""
        self._ticker.close()

    def _set(self) -> None:
        for report in tuple(self._reports):
            try:
                report()
            except Exception as error:  # a gauge must never stop the service, nor the other gauges
                logs.event(log, logging.ERROR, "gauges failed", error=error)


def report_store(store: Storage) -> None:
    """Set the gauges of a store: the size of its files, the space around them and the end of its chains.

    Raises:
        OSError: its folder cannot be read.
    """
    metrics.log_position(store.head())
    metrics.audit_position(store.audit_head().position)
    for kind, size in store.sizes().items():
        metrics.store_bytes(kind).set(size)
    space = store.space()
    metrics.store_space(space.free, space.total)

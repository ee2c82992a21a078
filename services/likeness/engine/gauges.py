"""Sets the gauges that nothing else sets in passing: how large the store is, what is left, where its chains end.

On a thread of its own: upkeep may be busy with a build for an hour, and a gauge that stands still meanwhile reads
as an index that does.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from likeness.engine.ticker import Ticker
from likeness.store.opening import DATABASE, SNAPSHOTS
from likeness.store.reserve import RESERVE
from likeness.store.store import Store
from likeness.telemetry import logs, metrics

log = logging.getLogger(__name__)

TICK_SECONDS = 5.0
"""How often gauges are set, a third of the usual interval between scrapes; it takes well under a millisecond."""

_KINDS = {DATABASE: "database", f"{DATABASE}-wal": "wal", RESERVE: "reserve"}
_EVERY_KIND = ("database", "wal", SNAPSHOTS, "reserve", "other")


class Gauges:
    """A thread that calls what sets gauges, until it is closed.

    Args:
        store: whose gauges are set first.
    """

    def __init__(self, store: Store) -> None:
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


def report_store(store: Store) -> None:
    """Set the gauges of a store: the size of its files, the space around them and the end of its chains.

    Raises:
        OSError: its folder cannot be read.
    """
    metrics.log_position(store.head())
    metrics.audit_position(store.audit_head().position)
    for kind, size in store_bytes(store.data_dir).items():
        metrics.store_bytes(kind).set(size)
    system = os.statvfs(store.data_dir)
    metrics.store_space(system.f_bavail * system.f_frsize, system.f_blocks * system.f_frsize)


def store_bytes(home: Path) -> dict[str, int]:
    """Bytes of the files in a store's home by kind; every kind is there.

    What others keep in folders of the home, such as compiled kernels, is not the store's and is not counted.
    """
    sizes = Counter(dict.fromkeys(_EVERY_KIND, 0))
    for entry in _files(home):
        sizes[_KINDS.get(entry.name, "other")] += _size(entry)
    for folder in _folders(home / SNAPSHOTS):
        sizes[SNAPSHOTS] += sum(_size(entry) for entry in _files(folder))
    return dict(sizes)


def _folders(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        with os.scandir(folder) as entries:
            yield from (Path(entry) for entry in entries if entry.is_dir(follow_symlinks=False))


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if entry.is_file(follow_symlinks=False))


def _size(entry: os.DirEntry[str]) -> int:
    """In bytes; 0 for a file that was removed since the folder was read, as snapshots and write-ahead logs are."""
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0

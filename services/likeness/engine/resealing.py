"""Bringing everything under the current key of the ring: the store and its snapshots."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from likeness.domain.errors import LikenessError, WrongKey
from likeness.domain.storage import Housekeeping, SnapshotSeal
from likeness.index.snapshot import Snapshots
from likeness.telemetry import logs

log = logging.getLogger(__name__)

REST = 4.0
"""Seconds of rest for every second of work while serving: at most a fifth of the time the disk works for it."""

ROWS = 16
"""References in one transaction while serving, which any commit of others may have to wait for. On two busy cores
one in a hundred then waits 40 ms; with 64 it is 80 ms, and 20 ms where nothing is resealed."""

RETRY_SECONDS = 60.0
"""After a failure that may pass, such as a full disk."""


def snapshot_keys(folder: Path, seal: SnapshotSeal) -> Counter[str]:
    """How many snapshots below a folder each key seals, by its id."""
    return Counter(seal.key_of(head) for _, _, head in _sealed_snapshots(folder, seal))


def reseal_snapshots(folder: Path, seal: SnapshotSeal, stop: threading.Event | None = None) -> int:
    """Seal the snapshots of every index below a folder under the current key; returns how many were not.

    One that a key sealed which is not in the ring is passed over: nobody can use it, and the log has all of it.

    Raises:
        Exhausted, Unavailable: the disk is full or cannot be written, or `stop` was set.
    """
    done = 0
    for snapshots, path, head in _sealed_snapshots(folder, seal):
        if not seal.is_current(head):
            try:
                snapshots.reseal(path, lambda: stop is not None and stop.is_set())
            except WrongKey as error:
                logs.event(log, logging.WARNING, "snapshot of an unknown key", error=error)
            else:
                done += 1
    return done


def _sealed_snapshots(folder: Path, seal: SnapshotSeal) -> Iterator[tuple[Snapshots, Path, bytes]]:
    """Every snapshot that names a key: whose it is, its manifest, and how it begins."""
    for below in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not below.is_dir():
            continue
        snapshots = Snapshots(below, seal)
        for path, head in snapshots.sealed_heads(seal.prefix_bytes).items():
            if len(head) == seal.prefix_bytes:
                yield snapshots, path, head


class Resealing:
    """A thread that seals under the current key what older keys sealed, while serving, until nothing is left.

    Args:
        store: the open store.
        snapshots: the folder that holds the folders of snapshots.
    """

    def __init__(self, store: Housekeeping, snapshots: Path) -> None:
        self._store = store
        self._snapshots = snapshots
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="resealing", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop soon; what is done stays done, and the next start goes on."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._reseal()
            except (LikenessError, OSError) as error:
                if self._stop.is_set():
                    return
                logs.event(log, logging.ERROR, "sealing under the current key failed", error=error)
                self._stop.wait(RETRY_SECONDS)
            else:
                return

    def _reseal(self) -> None:
        snapshots = reseal_snapshots(self._snapshots, self._store.snapshot_seal(), self._stop)
        if snapshots:
            logs.event(log, logging.INFO, "snapshots sealed under the current key", items=snapshots)
        if not self._store.old_keys():
            return
        logs.event(log, logging.INFO, "sealing under the current key what older keys sealed")
        report = self._store.reseal(rows=ROWS, rest=REST, stop=self._stop)
        if report.problems:
            logs.event(
                log,
                logging.ERROR,
                "references cannot be sealed under the current key: they are damaged",
                references=report.references,
                rejected=len(report.problems),
            )
        elif report.finished:
            logs.event(log, logging.INFO, "older keys seal nothing more", references=report.references)

"""What a gallery needs done while it serves: builds, snapshots and the recall gauge; and its other gauges."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from likeness.domain.errors import Corrupt, LikenessError
from likeness.domain.references import Status
from likeness.domain.storage import Storage
from likeness.engine.gallery import ANOTHER_LOG, Gallery
from likeness.engine.ticker import Ticker
from likeness.index.snapshot import Snapshots
from likeness.telemetry import logs, metrics

log = logging.getLogger(__name__)

TICK_SECONDS = 5.0
"""How often it is looked whether a build or a snapshot is due."""

RECALL_SECONDS = 300.0
"""How often recall is measured; a sample of a hundred searches costs about a second of one core at a million."""

RECALL_SAMPLE = 100

SNAPSHOT_CHANGES = 10_000
"""Changes since the last snapshot that make the next one due before its time: their replay takes seconds."""


def open_gallery(gallery: Gallery, snapshots: Snapshots | None, store: Storage) -> int:
    """Bring a gallery up: newest whole snapshot, tail of the log, and a check that the counts agree.

    Returns the log position of the snapshot that was used; 0 for none.

    Raises:
        Corrupt: a whole snapshot is ahead of the log, so the log was longer once; or log and store disagree.

    A snapshot that cannot be used, or that leads to another count than the store's, is passed over and the
    gallery is folded from the whole log: slower, never wrong.
    """
    if snapshots is not None and _restored(gallery, snapshots):
        begun_at = gallery.position
        gallery.catch_up()
        if gallery.references == held(store, gallery.modality):
            gallery.start()
            return begun_at
        logs.event(log, logging.ERROR, "snapshot disagrees with the store", modality=gallery.modality)
        gallery.reset()
    gallery.start()
    if gallery.references != held(store, gallery.modality):
        raise Corrupt(
            f"The log yields {gallery.references} {gallery.modality} references, but the store holds "
            f"{held(store, gallery.modality)}; run `likeness doctor` and restore the database from a backup."
        )
    return 0


def held(store: Storage, modality: str) -> int:
    """References of a modality that are not expunged."""
    return store.count(modality, Status.ACTIVE) + store.count(modality, Status.SUSPENDED)


def _restored(gallery: Gallery, snapshots: Snapshots) -> bool:
    loaded = snapshots.newest()
    for refused in loaded.refused:
        logs.event(log, logging.WARNING, "snapshot refused", error=refused, modality=gallery.modality)
    if loaded.snapshot is None:
        return False
    try:
        gallery.restore(loaded.snapshot)
    except LikenessError as error:
        if error.reason == ANOTHER_LOG:
            raise
        logs.event(log, logging.WARNING, "snapshot not used", error=error, modality=gallery.modality)
        return False
    return True


class Upkeep:
    """A thread that looks after one gallery until it is closed.

    Args:
        gallery: what is looked after.
        store: the log that it follows.
        snapshots: where snapshots go; None keeps none.
        saved_position: log position of the newest snapshot.
        snapshot_seconds: how often, at most, a snapshot is taken of a gallery that changes.
    """

    def __init__(
        self,
        gallery: Gallery,
        store: Storage,
        snapshots: Snapshots | None,
        *,
        saved_position: int,
        snapshot_seconds: float,
    ) -> None:
        self._gallery = gallery
        self._store = store
        self._snapshots = snapshots
        self._snapshot_seconds = snapshot_seconds
        self._saved_at = time.monotonic()
        self._saved_position = saved_position
        self._recall_at = 0.0
        self._ticker = Ticker(self._tick, TICK_SECONDS, f"upkeep-{gallery.modality}")

    def start(self) -> None:
        """Begin."""
        self.gauge()
        if self._snapshots is not None:
            metrics.snapshot_interval(self._gallery.modality).set(self._snapshot_seconds)
        if self._saved_position:
            metrics.snapshot_time(self._gallery.modality).set(time.time())
        self._ticker.start()

    def close(self) -> None:
        """Stop, and leave a snapshot behind so that the next start is quick."""
        self._ticker.close()
        if not self._store.is_full:
            self._guarded("snapshot", self.snapshot)

    def _tick(self) -> None:
        self._guarded("catching up", self._gallery.catch_up)
        self._guarded("build", self._build_if_due)
        self._guarded("snapshot", self._snapshot_if_due)
        self._guarded("recall", self._recall_if_due)

    @staticmethod
    def _guarded(what: str, work: Callable[[], None]) -> None:
        """Upkeep must outlive a full disk: log, and try again at the next tick."""
        try:
            work()
        except Exception as error:
            logs.event(log, logging.ERROR, "upkeep failed", error=error, task=what)

    def gauge(self) -> None:
        """Set the gallery's gauges: quick, and safe to call from any thread."""
        name, head = self._gallery.modality, self._store.head()
        status = self._gallery.status()
        metrics.index_log_position(name).set(status.position)
        metrics.index_log_lag(name).set(max(0, head - status.position))
        metrics.index_references(name).set(status.references)
        metrics.index_tail(name).set(status.tail)
        metrics.generation(name, status.generation, status.kind)

    def _build_if_due(self) -> None:
        started = time.monotonic()
        if generation := self._gallery.build_if_due():
            logs.event(log, logging.INFO, "generation built", generation=generation)
            metrics.index_build_seconds(self._gallery.modality).observe(time.monotonic() - started)

    def _snapshot_if_due(self) -> None:
        if self._store.is_full:
            return  # the space that is left is for the audit
        changes = self._gallery.position - self._saved_position
        age = time.monotonic() - self._saved_at
        if changes >= SNAPSHOT_CHANGES or (changes and age >= self._snapshot_seconds):
            self.snapshot()

    def snapshot(self) -> None:
        """Save a snapshot if anything changed since the last one."""
        if self._snapshots is None or self._gallery.position == self._saved_position:
            return
        captured = self._gallery.capture()
        self._snapshots.save(captured)
        self._saved_at, self._saved_position = time.monotonic(), captured.position
        metrics.snapshot_time(self._gallery.modality).set(time.time())

    def _recall_if_due(self) -> None:
        if time.monotonic() - self._recall_at < RECALL_SECONDS:
            return
        self._recall_at = time.monotonic()
        measured = self._gallery.recall(RECALL_SAMPLE)
        metrics.index_recall(self._gallery.modality, measured.recall, measured.sample)

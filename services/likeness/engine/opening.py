"""Brings one modality up over an open store, and takes it down again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from likeness.domain.modality import Modality
from likeness.domain.quotas import QuotaLimits
from likeness.domain.storage import Storage
from likeness.engine.answering import calibration_id
from likeness.engine.engine import Engine
from likeness.engine.gallery import Gallery
from likeness.engine.local_shard import LocalShard
from likeness.engine.memory import Memory
from likeness.engine.upkeep import Upkeep, open_gallery
from likeness.index.snapshot import Snapshots
from likeness.telemetry import metrics

_LIMITS = QuotaLimits()


@dataclass(frozen=True, slots=True)
class Running:
    """An engine that serves, its gallery, and the thread that looks after that."""

    engine: Engine
    gallery: Gallery
    upkeep: Upkeep

    def close(self) -> None:
        """Stop the upkeep and leave a snapshot; the store stays open."""
        self.upkeep.close()


def open_engine(
    modality: Modality,
    store: Storage,
    snapshot_folder: Path | None,
    *,
    snapshot_seconds: float = 300.0,
    keep_sources: bool = False,
    limits: QuotaLimits = _LIMITS,
) -> Running:
    """Warm the modality's models, fold its gallery and start its upkeep.

    Args:
        modality: what extracts and compares.
        store: the open log.
        snapshot_folder: where snapshots are stored, sealed; None stores none.
        snapshot_seconds: how often, at most, a snapshot is taken.
        keep_sources: whether enrolled samples are stored with their templates.
        limits: how often one caller may search and compare.

    Raises:
        Corrupt: the log and the store disagree, or a template does not fit its space.
    """
    modality.warm()
    memory = Memory(store)  # before the gallery follows the log, since what it drops takes no time
    gallery = Gallery.of(modality, store)
    snapshots = None
    if snapshot_folder is not None:
        snapshots = Snapshots(snapshot_folder, store.snapshot_seal())
    saved = open_gallery(gallery, snapshots, store)
    gallery.self_test()
    metrics.model(
        modality.name,
        modality.model,
        modality.space.space_id,
        calibration_id(modality) or "none",
    )
    upkeep = Upkeep(gallery, store, snapshots, saved_position=saved, snapshot_seconds=snapshot_seconds)
    upkeep.start()
    shard = LocalShard(modality, gallery, store, memory)
    engine = Engine(modality, store, shard, memory, keep_sources=keep_sources, limits=limits)
    return Running(engine, gallery, upkeep)

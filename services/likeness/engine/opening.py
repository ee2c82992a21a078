"""Brings one modality up over an open store, and takes it down again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from likeness.domain.errors import Corrupt
from likeness.domain.modality import Modality
from likeness.domain.storage import Storage
from likeness.engine.answering import calibration_id
from likeness.engine.engine import Engine
from likeness.engine.gallery import Gallery
from likeness.engine.upkeep import Upkeep, open_gallery
from likeness.index.snapshot import Snapshots
from likeness.telemetry import metrics

SELF_TEST_TOLERANCE = 0.01
"""How much less than its own inner product a stored vector may score against itself: what quantisation costs."""


@dataclass(frozen=True, slots=True)
class Running:
    """An engine that serves, and the thread that looks after its gallery."""

    engine: Engine
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
) -> Running:
    """Warm the modality's models, fold its gallery and start its upkeep.

    Args:
        modality: what extracts and compares.
        store: the open log.
        snapshot_folder: where snapshots are stored, sealed; None stores none.
        snapshot_seconds: how often, at most, a snapshot is taken.
        keep_sources: whether enrolled samples are stored with their templates.

    Raises:
        Corrupt: the log and the store disagree, or a template does not fit its space.
    """
    modality.warm()
    gallery = Gallery(
        modality.name, modality.space, store, companion=modality.companion, levels=modality.levels
    )
    snapshots = None
    if snapshot_folder is not None:
        snapshots = Snapshots(snapshot_folder, store.snapshot_seal())
    saved = open_gallery(gallery, snapshots, store)
    self_test(gallery)
    metrics.model(
        modality.name,
        modality.model,
        modality.space.space_id,
        calibration_id(modality) or "none",
    )
    upkeep = Upkeep(gallery, store, snapshots, saved_position=saved, snapshot_seconds=snapshot_seconds)
    upkeep.start()
    return Running(Engine(modality, store, gallery, keep_sources=keep_sources), upkeep)


def self_test(gallery: Gallery) -> None:
    """Search for one stored vector; what was enrolled must be found before the service reports SERVING.

    Raises:
        Corrupt: a stored vector does not find itself.
    """
    rows, vectors = gallery.index.sample(1)
    if not len(rows):
        return
    scores, _ = gallery.index.search(vectors, 1)
    itself = float(vectors[0] @ vectors[0])
    if not scores[0, 0] >= itself - SELF_TEST_TOLERANCE:
        raise Corrupt(
            f"A stored {gallery.modality} vector scores {scores[0, 0]:.4f} against itself instead of {itself:.4f}: "
            "it does not find itself; remove the snapshots folder and start again, so that the index is folded "
            "from the log."
        )

"""The composition root: settings to an open store and a warmed engine per modality."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from likeness.domain.calibration import Calibration
from likeness.engine import calibrate
from likeness.engine.engine import Engine
from likeness.engine.opening import Running, open_engine
from likeness.face.modality import FaceModality
from likeness.imaging.decode import Limits
from likeness.inference.batcher import BatchReport
from likeness.inference.catalogue import Catalogue
from likeness.inference.manifest import Manifest
from likeness.inference.threads import plan_threads
from likeness.rpc.settings import Settings
from likeness.store.store import Store
from likeness.telemetry import logs, metrics

_EMBEDDER = "face-embedder"

_logger = logging.getLogger(__name__)


class Composed:
    """Everything that is served, and how it is closed: first the engines, then the store."""

    def __init__(self, store: Store, running: Mapping[str, Running]) -> None:
        self._store = store
        self._running = running

    @property
    def engines(self) -> dict[str, Engine]:
        """Modality to engine."""
        return {name: running.engine for name, running in self._running.items()}

    def close(self) -> None:
        """Leave snapshots behind and close the store."""
        for running in self._running.values():
            running.close()
        self._store.close()


def compose(settings: Settings) -> Composed:
    """Load the models, open the store and fold its log.

    Raises:
        NotFound: a model is not built; the message says how to build it.
        Precondition, Corrupt, WrongKey: see `Store.open`.
        InvalidInput: a manifest or the calibration does not fit.
    """
    modality = face_modality(settings)
    store = Store.open(settings.home, key_file=key_file(settings))
    store.observe_commits(metrics.committed)
    try:
        face = open_engine(
            modality,
            store,
            settings.home / "snapshots" / modality.name,
            snapshot_seconds=settings.snapshot_interval,
            keep_sources=settings.keep_sources,
        )
    except BaseException:
        store.close()
        raise
    return Composed(store, {modality.name: face})


def key_file(settings: Settings) -> Path:
    """Where the key ring is."""
    return settings.key_ring or settings.home / "keys.json"


def face_modality(settings: Settings) -> FaceModality:
    """The face modality that the settings name, with its calibration."""
    catalogue = Catalogue.standard(settings.home)
    recogniser = catalogue.get(settings.recogniser)
    calibration = calibration_of(recogniser, settings.calibration)
    if calibration is None:
        logs.event(_logger, logging.WARNING, "not calibrated", model=recogniser.label)
    return FaceModality.load(
        catalogue,
        detector_id=settings.detector,
        recogniser_id=settings.recogniser,
        calibration=calibration,
        threads=plan_threads(settings.threads or None),
        limits=Limits(max_bytes=settings.max_sample_bytes, max_pixels=settings.max_pixels),
        observe=_observe_batch,
    )


def calibration_of(manifest: Manifest, override: Path | None) -> Calibration | None:
    """The calibration of a recogniser: the given file, else the one that its manifest names, else none.

    Raises:
        InvalidInput: the file is missing, is no calibration, or belongs to another template space.
    """
    if override is None and not manifest.calibration:
        return None
    path = override or manifest.origin.parent / manifest.calibration
    return calibrate.load(path, space=manifest.recogniser.template_space)


def _observe_batch(report: BatchReport) -> None:
    metrics.batch_size(_EMBEDDER).observe(report.size)
    metrics.batch_queue_depth(_EMBEDDER).set(report.depth)

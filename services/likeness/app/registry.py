"""From settings to loaded modalities, each with the calibration that belongs to it.

Each is imported where it is loaded: numba and onnxruntime take a second, which a command that needs neither, or a
service that serves something else, should not wait for.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from likeness import __version__
from likeness.app.settings import Settings
from likeness.domain.calibration import Calibration
from likeness.domain.deadline import Deadline
from likeness.domain.errors import Exhausted
from likeness.domain.modality import Modality
from likeness.domain.samples import Extraction
from likeness.engine import calibrate
from likeness.imaging.decode import DecodeLimits
from likeness.imaging.headers import Reason
from likeness.imaging.memory import Memory
from likeness.inference.concurrency.batcher import BatchReport
from likeness.inference.concurrency.threads import plan_threads
from likeness.inference.concurrency.turns import Turns
from likeness.inference.models.catalogue import Catalogue, shipped_manifests
from likeness.inference.models.manifest import FaceManifest
from likeness.telemetry import logs, metrics, standard_error

if TYPE_CHECKING:
    from likeness.face.modality import FaceModality, Task
    from likeness.fingerprint.modality import FingerprintModality
    from likeness.inference.concurrency.assistant import Assistant
    from likeness.object.modality import ObjectModality

_CALIBRATION = "calibration.json"
"""The table in the folder of a model that is shipped."""

_ASSISTANT_PART = 8
"""One part in so many of the memory for decoding is the assistant's, which decodes one photograph at a time: with
the default a JPEG of 9 million pixels."""

_logger = logging.getLogger(__name__)


def face_modality(settings: Settings, turns: Turns, *, calibrated: bool = True) -> FaceModality:
    """The face modality that the settings name.

    Raises:
        NotFound: a model is not built; the message says how to build it.
        InvalidInput: a manifest or the calibration does not fit.
    """
    from likeness.face.modality import FaceModality

    catalogue = Catalogue.standard(settings.home)
    recogniser = catalogue.get(settings.recogniser, FaceManifest)
    return FaceModality.load(
        catalogue,
        detector_id=settings.detector,
        recogniser_id=settings.recogniser,
        calibration=face_calibration(recogniser, settings) if calibrated else None,
        turns=turns,
        limits=_limits(settings),
        observe=_observer("face-embedder"),
    )


def assist(modality: Modality, settings: Settings) -> Assistant[Task, Extraction] | None:
    """Give a modality an assistant, not started yet, where it gains by one and the settings allow it.

    Raises:
        NotFound: no manifest has the id of a model that the settings name.
    """
    if not _assisted(settings):
        return None
    from likeness.face.modality import FaceModality

    if not isinstance(modality, FaceModality):
        return None
    from likeness.inference.concurrency.assistant import Assistant

    modality.assistant = Assistant(
        partial(
            _face_extractor,
            settings.model_copy(update={"threads": 1, "max_bytes_decoding": _assistant_bytes(settings)}),
        ),
        identity=_face_models(settings),
        name=modality.name,
        observe=metrics.assistant(modality.name),
    )
    return modality.assistant


_for_life = ExitStack()
"""What lasts until a process of the assistant ends."""


def _face_extractor(settings: Settings) -> tuple[str, Callable[[Task, Deadline], Extraction]]:
    """What the assistant runs, in its own process, to its end."""
    _for_life.enter_context(standard_error.collected())
    logs.configure(settings.log_level)
    modality = face_modality(settings, Turns(settings.threads), calibrated=False)
    modality.warm()
    return _face_models(settings), partial(_extract_within, modality)


def _extract_within(modality: FaceModality, task: Task, deadline: Deadline) -> Extraction:
    """Extract one sample in the assistant's part of the memory.

    Raises:
        Exhausted: it needs more, which the other process may have.
    """
    found = modality.extract_one(task, deadline)
    if found.rejection is not None and found.rejection.reason == Reason.IMAGE_TOO_LARGE:
        raise Exhausted(found.rejection.message, reason=found.rejection.reason)
    return found


def _face_models(settings: Settings) -> str:
    """What faces are extracted with: the release, the models' versions, and a digest of all their manifests say."""
    catalogue = Catalogue.standard(settings.home)
    used = [catalogue.get(name) for name in (settings.detector, settings.recogniser)]
    digest = hashlib.sha256("".join(one.model_dump_json() for one in used).encode()).hexdigest()
    return f"{' and '.join(one.label for one in used)} (manifests {digest[:16]}) by {__version__}"


def fingerprint_modality(settings: Settings, turns: Turns, *, calibrated: bool = True) -> FingerprintModality:
    """The fingerprint modality.

    Raises:
        InvalidInput, Corrupt: a shipped file is damaged, or the calibration does not fit.
    """
    from likeness.fingerprint.modality import FingerprintModality

    return FingerprintModality.load(
        calibration=fingerprint_calibration(settings) if calibrated else None,
        turns=turns,
    )


def object_modality(settings: Settings, turns: Turns, *, calibrated: bool = True) -> ObjectModality:
    """The object modality.

    Raises:
        InvalidInput, Corrupt: a shipped file is damaged, or the calibration does not fit.
    """
    from likeness.object.modality import ObjectModality

    return ObjectModality.load(
        calibration=object_calibration(settings) if calibrated else None,
        turns=turns,
        limits=_limits(settings),
    )


LOADERS: Mapping[str, Callable[..., Modality]] = {
    "face": face_modality,
    "fingerprint": fingerprint_modality,
    "object": object_modality,
}
"""Modality to what loads it; each takes the settings, the turns of the process, and `calibrated` False to
leave scores unrated."""


def load(name: str, settings: Settings, turns: Turns, *, calibrated: bool = True) -> Modality:
    """One modality by its name; a calibration that is not there is reported in the log.

    `turns`: one budget of computing, the same for all modalities of the process.

    Raises what its loader raises.
    """
    modality = LOADERS[name](settings, turns, calibrated=calibrated)
    if calibrated and modality.calibration is None:
        logs.event(_logger, logging.WARNING, "not calibrated", modality=name, model=modality.model)
    return modality


def face_calibration(recogniser: FaceManifest, settings: Settings) -> Calibration | None:
    """The calibration of a recogniser: the one that is set, else the one that its manifest names, else none.

    Raises:
        InvalidInput: the file is missing, is no calibration, or belongs to another template space.
    """
    if settings.calibration is None and not recogniser.calibration:
        return None
    path = settings.calibration or recogniser.origin.parent / recogniser.calibration
    return calibrate.load(path, space=recogniser.recogniser.template_space)


def fingerprint_calibration(settings: Settings) -> Calibration | None:
    """The calibration of fingerprints: the one that is set, else the one shipped.

    Raises:
        InvalidInput: as for faces.
    """
    return _set_or_shipped(settings.fingerprint_calibration, "fingerprint-fusion")


def object_calibration(settings: Settings) -> Calibration | None:
    """The calibration of objects: the one that is set, else the one shipped.

    Raises:
        InvalidInput: as for faces.
    """
    return _set_or_shipped(settings.object_calibration, "object-fusion")


def _set_or_shipped(chosen: Path | None, shipped: str) -> Calibration | None:
    path = chosen or shipped_manifests() / shipped / _CALIBRATION
    if chosen is None and not path.exists():
        return None
    return calibrate.load(path)


def _limits(settings: Settings) -> DecodeLimits:
    return DecodeLimits(
        max_bytes=settings.max_sample_bytes,
        max_pixels=settings.max_pixels,
        memory=_memory(settings.max_bytes_decoding - _assistant_bytes(settings)),
    )


@cache
def _memory(size: int) -> Memory:
    """The one budget that the modalities of a process share."""
    return Memory(size)


def _assistant_bytes(settings: Settings) -> int:
    """What the assistant has of `max_bytes_decoding`; a photograph that needs more comes back to this process."""
    return settings.max_bytes_decoding // _ASSISTANT_PART if _assisted(settings) else 0


def _assisted(settings: Settings) -> bool:
    return settings.assistant and "face" in settings.served and plan_threads(settings.threads) > 1


def _observer(model: str) -> Callable[[BatchReport], None]:
    def observe(report: BatchReport) -> None:
        metrics.batch_size(model).observe(report.size)
        metrics.batch_queue_depth(model).set(report.depth)

    return observe

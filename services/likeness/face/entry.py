"""The entry of faces."""
# ruff: noqa: PLC0415 - onnxruntime and OpenCV take a second, which a command that loads nothing should not wait for

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from likeness.domain.calibration import Calibration
from likeness.engine.entry import ModalityEntry, ModalitySettings, Resources, SampleWords
from likeness.imaging.endings import PICTURE_ENDINGS
from likeness.telemetry import metrics

if TYPE_CHECKING:
    from likeness.face.modality import FaceModality
    from likeness.inference.concurrency.batcher import BatchReport

_BATCHER = "face-embedder"
"""What the metrics of its batches are labelled with."""


class FaceSettings(ModalitySettings):
    """The section `[face]`."""

    detector: str = Field(default="face-detect-mtcnn", description="Id of the face detector's manifest.")
    recogniser: str = Field(
        default="face-embed-dlib-resnet29", description="Id of the face recogniser's manifest."
    )
    calibration: Path | None = Field(
        default=None, description="Calibration file; unset means the one that belongs to the recogniser."
    )
    assistant: bool = Field(
        default=True,
        description="Whether a second process takes a part of the photographs, where there are two CPUs: more "
        "requests a second from a few callers, for a second copy of the models in memory.",
    )


def load(settings: FaceSettings, resources: Resources, calibration: Calibration | None) -> FaceModality:
    """The modality with the models that the settings name.

    Raises:
        NotFound: a model is not built; the message says how to build it.
        InvalidInput: a manifest does not fit, or the calibration belongs to another template space.
    """
    from likeness.face.modality import FaceModality
    from likeness.inference.models.catalogue import Catalogue

    return FaceModality.load(
        Catalogue.standard(resources.home),
        detector_id=settings.detector,
        recogniser_id=settings.recogniser,
        calibration=calibration,
        turns=resources.turns,
        limits=resources.limits,
        observe=_observe_batch,
        assistant=resources.assistant,
    )


def find_calibration(settings: FaceSettings, home: Path) -> Calibration | None:
    """The calibration that is set, else the one that the recogniser's manifest names, else none.

    Raises:
        NotFound: no manifest has the recogniser's id.
        InvalidInput: the file is missing, is no calibration, or belongs to another template space.
        Corrupt: it is shipped, and missing or not as it was released.
    """
    from likeness.engine import calibrate
    from likeness.inference.models.catalogue import Catalogue
    from likeness.inference.models.manifest import FaceManifest

    recogniser = Catalogue.standard(home).get(settings.recogniser, FaceManifest)
    if settings.calibration is None and not recogniser.calibration:
        return None
    path = settings.calibration or recogniser.origin.parent / recogniser.calibration
    return calibrate.load(path, space=recogniser.recogniser.template_space)


def _observe_batch(report: BatchReport) -> None:
    metrics.batch_size(_BATCHER).observe(report.size)
    metrics.batch_queue_depth(_BATCHER).set(report.depth)


def _models(settings: FaceSettings) -> tuple[str, ...]:
    return (settings.detector, settings.recogniser)


def _assisted(settings: FaceSettings) -> bool:
    return settings.assistant


ENTRY: ModalityEntry[FaceModality, FaceSettings] = ModalityEntry(
    name="face",
    settings=FaceSettings,
    words=SampleWords("photograph", "face", PICTURE_ENDINGS),
    load=load,
    calibration=find_calibration,
    models=_models,
    assisted=_assisted,
)

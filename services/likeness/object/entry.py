"""The entry of objects."""
# ruff: noqa: PLC0415 - onnxruntime and OpenCV take a second, which a command that loads nothing should not wait for

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from likeness.domain.calibration import Calibration
from likeness.engine.entry import ModalityEntry, ModalitySettings, Resources, SampleWords
from likeness.imaging.endings import PICTURE_ENDINGS

if TYPE_CHECKING:
    from likeness.object.modality import ObjectModality

_SHIPPED = "object-fusion"
"""The model whose folder has the calibration."""


def load(_: ModalitySettings, resources: Resources, calibration: Calibration | None) -> ObjectModality:
    """The modality with the models that are shipped.

    Raises:
        InvalidInput, Corrupt: a shipped file is damaged, or the calibration does not fit.
    """
    from likeness.object.modality import ObjectModality

    return ObjectModality.load(calibration=calibration, turns=resources.turns, limits=resources.limits)


def find_calibration(settings: ModalitySettings, _: Path) -> Calibration:
    """The calibration that is set, else the one that is shipped.

    Raises:
        InvalidInput: the file is missing, or is no calibration.
        Corrupt: it is shipped, and missing or not as it was released.
    """
    from likeness.engine import calibrate

    return calibrate.load_chosen(settings.calibration, _SHIPPED)


ENTRY: ModalityEntry[ObjectModality, ModalitySettings] = ModalityEntry(
    name="object",
    settings=ModalitySettings,
    words=SampleWords("photograph", "object", PICTURE_ENDINGS),
    load=load,
    calibration=find_calibration,
)

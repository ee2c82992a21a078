"""The entry of fingerprints."""
# ruff: noqa: PLC0415 - numba takes a second, which a command that loads nothing should not wait for

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from likeness.domain.calibration import Calibration
from likeness.engine.entry import ModalityEntry, ModalitySettings, Resources, SampleWords

if TYPE_CHECKING:
    from likeness.fingerprint.modality import FingerprintModality

RECORD_ENDINGS = frozenset({".fmr", ".fmd", ".iso", ".ansi", ".an2", ".an", ".nist", ".nst", ".eft"})
"""Of files that hold records of minutiae."""

_SHIPPED = "fingerprint-fusion"
"""The model whose folder has the calibration."""


def load(_: ModalitySettings, resources: Resources, calibration: Calibration | None) -> FingerprintModality:
    """The modality with the models that are shipped.

    Raises:
        InvalidInput, Corrupt: a shipped file is damaged, or the calibration does not fit.
    """
    from likeness.fingerprint.modality import FingerprintModality

    return FingerprintModality.load(calibration=calibration, turns=resources.turns)


def find_calibration(settings: ModalitySettings, _: Path) -> Calibration:
    """The calibration that is set, else the one that is shipped.

    Raises:
        InvalidInput: the file is missing, or is no calibration.
        Corrupt: it is shipped, and missing or not as it was released.
    """
    from likeness.engine import calibrate

    return calibrate.load_chosen(settings.calibration, _SHIPPED)


ENTRY: ModalityEntry[FingerprintModality, ModalitySettings] = ModalityEntry(
    name="fingerprint",
    settings=ModalitySettings,
    words=SampleWords("record", "record", RECORD_ENDINGS, picture=False),
    load=load,
    calibration=find_calibration,
)

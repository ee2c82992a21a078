"""What the command line says and looks for in each modality: `--modality`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

_PICTURES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_RECORDS = frozenset({".fmr", ".fmd", ".iso", ".ansi", ".an2", ".an", ".nist", ".nst", ".eft"})


class ModalityName(StrEnum):
    """What is enrolled, searched and compared."""

    FACE = "face"
    FINGERPRINT = "fingerprint"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class Words:
    """`sample` is what is sent, `presentation` what is found in it. `endings` are taken from folders."""

    sample: str
    presentation: str
    endings: frozenset[str]


WORDS: Mapping[ModalityName, Words] = {
    ModalityName.FACE: Words("photograph", "face", _PICTURES),
    ModalityName.FINGERPRINT: Words("record", "record", _RECORDS),
    ModalityName.OBJECT: Words("photograph", "object", _PICTURES),
}

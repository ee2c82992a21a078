"""Templates of fingerprints: SET/FINGER_IMPRESSION.fmr."""

from __future__ import annotations

from pathlib import Path

from likeness.fingerprint.formats import read
from likeness.fingerprint.minutiae import Minutiae

Finger = tuple[str, str]
"""Set and finger."""


def read_templates(folder: Path) -> dict[tuple[Finger, int], Minutiae]:
    """The minutiae of SET/FINGER_IMPRESSION.fmr by set, finger and impression."""
    found = {}
    for path in sorted(folder.glob("*/*.fmr")):
        finger, impression = path.stem.rsplit("_", 1)
        record = read(path.read_bytes(), path.name)
        found[(path.parent.name, finger), int(impression)] = record.views[0].minutiae
    if not found:
        raise SystemExit(f"{folder} holds no SET/FINGER_IMPRESSION.fmr")
    return found

"""The demonstration's fingers: drawn, written as standard records, enrolled, searched and compared."""

from __future__ import annotations

from pathlib import Path

from likeness.cli import output
from likeness.cli.demo.stage import Stage
from likeness.cli.words import LEAD, plural
from likeness.fingerprint.formats import Standard, write
from likeness.fingerprint.synthesis import impressions, record_of

FINGERS = 36
"""Drawn fingers; the last of them are not enrolled."""

STRANGERS = 4
"""Fingers whose second impression is searched with although the first is not enrolled."""

PROBES = 6
"""Enrolled fingers whose second impression is searched with."""

SEED = 378
"""Of the drawn fingers, so that every demonstration shows the same."""

_RIGHT_INDEX = 2  # finger position of ISO/IEC 19794-2


class FingerprintSection:
    """Enrolment, search and an explained comparison of finger minutiae records.

    Args:
        folder: the demonstration's own.
    """

    title = "Fingerprints: enrol one impression of each finger, search with another"

    def __init__(self, folder: Path) -> None:
        self._enrol = folder / "fingerprints" / "enrol"
        self._probes = folder / "fingerprints" / "probes"
        self._picture = folder / "fingerprint-pair.png"

    def prepare(self) -> None:
        """Draw fingers and write two impressions of each as ISO/IEC 19794-2:2005 records."""
        enrolled = FINGERS - STRANGERS
        for number, (first, second) in enumerate(impressions(FINGERS, 2, SEED)):
            name = f"finger-{number:02d}.fmr"
            if number < enrolled:
                _write(
                    self._enrol / f"person-{number:02d}" / name, write(record_of(first, _RIGHT_INDEX), _ISO)
                )
            if number < PROBES or number >= enrolled:
                what = "another-impression" if number < enrolled else "not-enrolled"
                _write(self._probes / f"{what}-{name}", write(record_of(second, _RIGHT_INDEX), _ISO))
        output.note(
            f"{plural(enrolled, 'drawn finger')} to enrol, {plural(PROBES + STRANGERS, 'probe')} to search with, "
            f"as {_ISO} records in {self._enrol.parent}"
        )

    def run(self, stage: Stage) -> None:
        """Enrol, search every probe, and draw what one comparison rests on."""
        words = ("--modality", "fingerprint", "--table")
        stage.likeness(
            "enroll",
            str(self._enrol),
            *words,
            "--gallery",
            "demo",
            "--category",
            "other",
            "--subject-from-folder",
        )
        stage.likeness("search", str(self._probes), *words, "--gallery", "demo", "-k", "2")
        pair = (
            self._probes / "another-impression-finger-00.fmr",
            self._enrol / "person-00" / "finger-00.fmr",
        )
        stage.likeness("compare", *map(str, pair), *words, "--explain", str(self._picture))

    def conclude(self) -> None:
        """Point to the picture."""
        output.note(
            f"Look at {self._picture}: the minutiae that were paired, for an examiner to check.", "bold"
        )
        output.note(f"The fingers are drawn by a program, no person's. {LEAD}")


_ISO = Standard.ISO_2005


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)

"""What becomes of photographs of faces that lie on their side or upside down, and what it costs.

    python benchmarks/face_turned.py --data FOLDER [--photographs 200] [--half odd|even] [--seed N] [--json FILE]

FOLDER holds one folder of photographs per person; the first photograph of each of so many, drawn at random, is
extracted as it is and turned by 90, 180 and 270 degrees, clockwise; the subject is the face nearest to the centre.
"Enrolled": not refused. "Not itself": enrolled, and its score with the upright photograph is under that of a false
match rate of 1e-4 by the shipped calibration. --half takes every second person, so that what was fitted or chosen
on one half can be measured on the other. The time is of the processor, of upright photographs, by one thread.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from pathlib import Path

import numpy as np
from rich.progress import track

from benchmarks.common.people import read_people
from benchmarks.common.table import Row, finish, parser
from likeness.app.loading import load as load_modality
from likeness.app.settings import load
from likeness.domain.calibration import Calibration
from likeness.domain.samples import Extraction, Finding, Mode, Pick, Sample, Selection, Severity
from likeness.face.entry import ENTRY as FACE
from likeness.face.modality import FaceModality
from likeness.imaging.decode import decode
from likeness.imaging.opencv import cv2
from likeness.inference.concurrency import turns as computing

TURNS = (0, 90, 180, 270)
FMR = 1e-4
TURNED = "PHOTOGRAPH_TURNED"
CENTRAL = Selection(Pick.MOST_CENTRAL)


def threshold(calibration: Calibration) -> float:
    """The lowest score of the table whose false match rate is at most `FMR`."""
    return float(calibration.scores[calibration.fmr <= FMR].min())


def turned(path: Path, degrees: int) -> Sample:
    """A photograph turned clockwise, without loss; as it is for 0 degrees."""
    data = path.read_bytes()
    if degrees == 0:
        return Sample(data, path.name, selection=CENTRAL)
    pixels = np.rot90(decode(Sample(data, path.name)), -(degrees // 90))
    _, png = cv2.imencode(".png", np.ascontiguousarray(pixels[:, :, ::-1]))
    return Sample(png.tobytes(), f"{path.name} by {degrees} degrees", selection=CENTRAL)


def refusals(extraction: Extraction) -> list[str]:
    """Why a photograph would not be enrolled; empty where it would."""
    if extraction.rejection is not None:
        return [extraction.rejection.reason]
    return [i.reason for i in extraction.findings[0].issues if i.severity is Severity.REJECT]


class Turns:
    """Extracts photographs in their four turns and counts."""

    def __init__(self, modality: FaceModality, limit: float) -> None:
        self._modality = modality
        self._limit = limit
        self.counts: dict[int, Counter[str]] = {degrees: Counter() for degrees in TURNS}
        self.reasons: dict[int, Counter[str]] = {degrees: Counter() for degrees in TURNS}
        self.seconds: list[float] = []

    def measure(self, path: Path) -> None:
        """One photograph, in each turn."""
        began = time.process_time()
        probe = self._modality.extract_one((turned(path, 0), Mode.PROBE))
        self.seconds.append(time.process_time() - began)
        upright = probe.findings[0] if probe.findings else None
        for degrees in TURNS:
            found = self._modality.extract_one((turned(path, degrees), Mode.ENROL))
            self._count(degrees, found, upright)

    def _count(self, degrees: int, found: Extraction, upright: Finding | None) -> None:
        counts, why = self.counts[degrees], refusals(found)
        self.reasons[degrees].update(why)
        if why:
            counts["refused"] += 1
            return
        finding = found.findings[0]
        counts["enrolled"] += 1
        counts["turned upright"] += any(issue.reason == TURNED for issue in finding.issues)
        itself = upright is not None and self._score(finding, upright) >= self._limit
        counts["not itself"] += not itself
        counts["not itself, no issue"] += not itself and not finding.issues

    def _score(self, one: Finding, other: Finding) -> float:
        if one.template is None or other.template is None:
            return -1.0
        return self._modality.compare(one.template, [other.template])[0].value

    def rows(self) -> list[Row]:
        """The figures, turn by turn and over all."""
        metrics = ("enrolled", "refused", "turned upright", "not itself", "not itself, no issue")
        rows = []
        for degrees in TURNS:
            reasons = ", ".join(f"{reason} {count}" for reason, count in self.reasons[degrees].most_common())
            what = f"{degrees} degrees"
            rows += [
                Row(what, m, self.counts[degrees][m], "", reasons if m == "refused" else "") for m in metrics
            ]
        total = sum(self.counts.values(), Counter())
        rows += [Row("all", metric, total[metric]) for metric in metrics]
        share = total["not itself"] / (len(TURNS) * len(self.seconds))
        rows.append(
            Row("all", "not itself, share", share, "", f"of {len(self.seconds)} photographs x {len(TURNS)}")
        )
        rows.append(Row("0 degrees", "processor", 1e3 * float(np.median(self.seconds)), "ms", "median"))
        return rows


def modality_of(arguments: argparse.Namespace) -> FaceModality:
    """The service's own extraction, by one thread, with the models asked for."""
    environment = {"LIKENESS_HOME": str(arguments.home), "LIKENESS_THREADS": "1"}
    if arguments.model:
        environment["LIKENESS_FACE_RECOGNISER"] = arguments.model
    if arguments.detector:
        environment["LIKENESS_FACE_DETECTOR"] = arguments.detector
    return load_modality(FACE, load(environment=environment), computing.Turns(1))


def main() -> None:
    """Run the benchmark."""
    flags = parser(__doc__ or "")
    flags.formatter_class = argparse.RawDescriptionHelpFormatter
    flags.add_argument("--photographs", type=int, default=200, help="of as many people (default 200)")
    flags.add_argument("--half", choices=("odd", "even"), help="take every second person only")
    flags.add_argument("--model", help="recogniser, by id or manifest (.toml)")
    flags.add_argument("--detector", help="detector, likewise")
    flags.add_argument(
        "--home", type=Path, default=Path("/nonexistent"), help="folder of added models and calibrations"
    )
    arguments = flags.parse_args()
    if arguments.data is None:
        flags.error("--data FOLDER is needed: one folder of photographs per person")
    people = read_people(arguments.data)
    if arguments.half:
        people = people[arguments.half == "odd" :: 2]
    random.Random(arguments.seed).shuffle(people)
    modality = modality_of(arguments)
    if modality.calibration is None:
        raise SystemExit(f"{modality.model} has no calibration, so what matches is not known")
    modality.warm()
    turns = Turns(modality, threshold(modality.calibration))
    for person in track(people[: arguments.photographs], description="photographs"):
        turns.measure(person.photographs[0])
    finish("Photographs of faces, turned", turns.rows(), arguments)


if __name__ == "__main__":
    main()

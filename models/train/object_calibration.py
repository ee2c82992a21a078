"""Measures how photographs of strangers score, and writes the calibration of objects.

    python object_calibration.py --data FOLDER [FOLDER ...] --out calibration.json --subjects 450 --seed 202

Every photograph is taken for another object, so a FOLDER must not hold two of one. Each pair is compared once, the
first as a probe (with its mirror image and more details), the second as a reference, whatever a shortlist would
have made of them: the rates are per comparison. Most pairs have no inliers, and their scores differ by the
embedding alone; the table says so as it says everything else.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from likeness.domain.calibration import Calibration
from likeness.domain.samples import Mode, Sample, Template
from likeness.engine import calibrate
from likeness.inference.concurrency.turns import Turns
from likeness.object.fusion import fusion
from likeness.object.modality import ObjectModality

WORKERS = 2


def templates(modality: ObjectModality, paths: list[Path], mode: Mode) -> list[Template | None]:
    """The template of each photograph; None for one that is refused."""

    def one(path: Path) -> Template | None:
        findings = modality.extract([Sample(path.read_bytes(), path.name)], mode)[0].findings
        return findings[0].template if findings else None

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(one, paths))


def main() -> None:
    """Read the command line, compare and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of photographs, jpg")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--subjects", type=int, default=450, help="photographs taken from each folder")
    parser.add_argument("--seed", type=int, default=202)
    parser.add_argument(
        "--measured-on", required=True, help="one sentence that says what the photographs are"
    )
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    paths: list[Path] = []
    for folder in options.data:
        listed = sorted(folder.glob("*.jpg"))
        paths += [listed[n] for n in random.permutation(len(listed))[: options.subjects]]
    paths = [paths[n] for n in random.permutation(len(paths))]
    modality = ObjectModality.load(calibration=None, turns=Turns(WORKERS))
    sides = zip(templates(modality, paths, Mode.PROBE), templates(modality, paths, Mode.ENROL), strict=True)
    usable = [(probe, reference) for probe, reference in sides if probe is not None and reference is not None]
    references = [reference for _, reference in usable]

    def compared(place: int) -> list[float]:
        others = references[place + 1 :]
        return [score.value for score in modality.compare(usable[place][0], others)]

    with ThreadPoolExecutor(WORKERS) as pool:
        scores = np.array([s for row in pool.map(compared, range(len(usable))) for s in row])
    rows, fmr, lower, upper = calibrate.table(scores)
    made = Calibration(
        calibration_id=f"object-{modality.model}-fusion-{fusion().version}".replace("@", "-"),
        space=modality.space.space_id,
        measured_on=options.measured_on,
        pairs=len(scores),
        subjects=len(usable),
        scores=rows,
        fmr=fmr,
        lower=lower,
        upper=upper,
    )
    calibrate.save(made, options.out)
    print(f"{made.pairs:,} pairs of {made.subjects} photographs; rates down to {made.floor:.1e}")
    for band, edge in (("probable", fusion().probable_from), ("strong", fusion().strong_from)):
        print(f"{band} from {edge:.2f}: {int((scores >= edge).sum())} pairs, FMR {made.rate(edge)}")


if __name__ == "__main__":
    main()

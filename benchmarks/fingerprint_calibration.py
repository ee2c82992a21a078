"""Measures how strangers' fingers score, and writes the calibration that the product ships.

    python benchmarks/fingerprint_calibration.py --data FOLDER [FOLDER ...] --out FILE

Each FOLDER holds SET/FINGER_IMPRESSION.fmr, the templates of one extractor. Every impression is compared with
every impression of the other fingers, in full: the cascade of a long search can only make strangers score lower.
One pair of impressions for each pair of fingers would be a sample of hundreds, which supports no rate that is of
use; all of them are tens of thousands, but impressions of one finger have similar scores. The bounds therefore come
from drawing the fingers, not the pairs, again and again (a bootstrap over subjects, ISO/IEC 19795-1), and the table
ends where `MIN_FALSE_MATCHES` pairs do.

Groups: the rates at the overall thresholds by the smaller number of minutiae, and by finger position where the
records tell it, with 95% bounds over pairs and the number of pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.table import Row, finish, parser
from likeness.domain.calibration import Calibration
from likeness.engine.calibrate import REPORTED_RATES, save, table, wilson
from likeness.fingerprint.formats import read
from likeness.fingerprint.matcher import Matcher
from likeness.fingerprint.modality import space_of
from likeness.fingerprint.prepared import prepare
from likeness.fingerprint.shortlist import Shortlister

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

DRAWS = 400
"""Times that the fingers are drawn again for the bounds."""
COUNTS = (0, 20, 40, 80)
"""Minutiae at which the groups begin."""


class Strangers:
    """Stranger pairs of all folders: score float64 [n], finger of either side and smaller count int64 [n]."""

    def __init__(self, folders: Sequence[Path], matcher: Matcher) -> None:
        self.names: list[str] = []
        parts = [self._compare(folder, matcher) for folder in folders]
        self.scores, self.one, self.other, self.smaller, self.position = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )

    def _compare(self, folder: Path, matcher: Matcher) -> tuple[Floats, Places, Places, Places, Places]:
        paths = sorted(folder.glob("*/*.fmr"))
        if not paths:
            raise SystemExit(f"{folder} holds no SET/FINGER_IMPRESSION.fmr")
        views = [read(path.read_bytes(), path.name).views[0] for path in paths]
        prepared = [prepare(view.minutiae) for view in views]
        fingers = np.array([self._number(f"{f.parent.name}/{f.stem.rsplit('_', 1)[0]}") for f in paths])
        counts = np.array([len(one) for one in prepared])
        positions = np.array([view.position for view in views])
        rows: list[tuple[Floats, Places, Places, Places, Places]] = []
        for i, one in enumerate(prepared[:-1]):
            others = np.flatnonzero(fingers[i + 1 :] != fingers[i]) + i + 1
            found = matcher.compare(one, [prepared[j] for j in others], exact=True)
            same = np.where(positions[others] == positions[i], positions[i], 0)
            scores = np.array([comparison.score for comparison in found])
            whose = np.full(len(others), fingers[i])
            rows.append((scores, whose, fingers[others], np.minimum(counts[others], counts[i]), same))
        scores, first, second, smaller, position = (
            np.concatenate(column) for column in zip(*rows, strict=True)
        )
        return scores, first, second, smaller, position

    def _number(self, finger: str) -> int:
        if finger not in self.names:
            self.names.append(finger)
        return self.names.index(finger)

    def bounds(self, thresholds: Floats, seed: int) -> tuple[Floats, Floats]:
        """95% bounds of the rate at each threshold, from fingers drawn with replacement."""
        random = np.random.default_rng(seed)
        order = np.argsort(-self.scores)
        reach = np.searchsorted(-self.scores[order], -thresholds, side="right")
        rates = np.empty((DRAWS, len(thresholds)))
        for draw in rates:
            times = np.bincount(
                random.integers(0, len(self.names), len(self.names)), minlength=len(self.names)
            )
            weights = np.cumsum((times[self.one] * times[self.other])[order])
            draw[:] = np.where(reach > 0, weights[np.maximum(reach - 1, 0)], 0) / weights[-1]
        return np.quantile(rates, 0.025, axis=0), np.quantile(rates, 0.975, axis=0)

    def groups(self, calibration: Calibration) -> Iterator[tuple[str, dict[str, float]]]:
        """Group label and its figures."""
        ends = (*COUNTS[1:], 1 << 30)
        for low, high in zip(COUNTS, ends, strict=True):
            label = f"minutiae of the smaller: {low} to {high - 1}" if high < 1 << 30 else f"{low} and more"
            inside = (self.smaller >= low) & (self.smaller < high)
            yield (
                label if high < 1 << 30 else f"minutiae of the smaller: {label}",
                self._rates(inside, calibration),
            )
        for position in sorted(set(self.position.tolist()) - {0}):
            yield f"finger position {position}", self._rates(self.position == position, calibration)

    def _rates(self, inside: NDArray[np.bool_], calibration: Calibration) -> dict[str, float]:
        scores = self.scores[inside]
        summary = {"pairs": float(len(scores))}
        for rate in REPORTED_RATES:
            if rate >= calibration.floor and len(scores):
                count = np.array([float((scores >= calibration.threshold(rate)).sum())])
                lower, upper = wilson(count, len(scores))
                summary[f"fmr_at_{rate:.0e}"] = float(f"{count[0] / len(scores):.4g}")
                summary[f"lower_at_{rate:.0e}"] = float(f"{lower[0]:.4g}")
                summary[f"upper_at_{rate:.0e}"] = float(f"{upper[0]:.4g}")
        return summary


def measure(folders: Sequence[Path], calibration_id: str, seed: int) -> Calibration:
    """The calibration of the shipped models on the templates of these folders."""
    matcher = Matcher()
    strangers = Strangers(folders, matcher)
    rows, fmr, _, _ = table(strangers.scores)
    lower, upper = strangers.bounds(rows, seed)
    extractors = " and ".join(folder.name for folder in folders)
    measured = Calibration(
        calibration_id=calibration_id,
        space=space_of(Shortlister(), matcher),
        measured_on=f"all pairs of impressions of different fingers, {extractors} templates of "
        f"{len(strangers.names)} fingers; bounds by drawing fingers; the weights were fitted on the same "
        "templates, so that strangers on other sensors may score somewhat higher",
        pairs=len(strangers.scores),
        subjects=len(strangers.names),
        scores=rows,
        fmr=fmr,
        lower=np.minimum(lower, fmr),
        upper=np.maximum(upper, fmr),
    )
    return replace(measured, groups=dict(strangers.groups(measured)))


def main() -> None:
    """Measure, write and print."""
    arguments = parser(__doc__ or "")
    arguments.add_argument(
        "more", type=Path, nargs="*", metavar="FOLDER", help="further extractors' templates"
    )
    arguments.add_argument("--out", type=Path, metavar="FILE", help="write the calibration to this file")
    arguments.add_argument("--id", default="fingerprint/2", help="of the calibration, written into answers")
    chosen = arguments.parse_args()
    if chosen.data is None:
        arguments.error("--data FOLDER is needed")
    calibration = measure([chosen.data, *chosen.more], chosen.id, chosen.seed)
    if chosen.out is not None:
        save(calibration, chosen.out)
    rows = [
        Row(f"FMR {rate:.0e}", "threshold", calibration.threshold(rate), "log-odds")
        for rate in REPORTED_RATES
        if rate >= calibration.floor
    ]
    rows += [
        Row(label, name, value)
        for label, summary in calibration.groups.items()
        for name, value in summary.items()
        if name == "pairs" or name.startswith("fmr")
    ]
    finish(f"{calibration.pairs:,} stranger pairs", rows, chosen)


if __name__ == "__main__":
    main()

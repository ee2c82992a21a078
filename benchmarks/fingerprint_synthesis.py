"""Whether scores of drawn fingers are distributed as those of real ones.

    python benchmarks/fingerprint_synthesis.py --data FOLDER [--fingers 40]

FOLDER holds SET/FINGER_IMPRESSION.fmr. As many impressions of each drawn finger are compared as there are of real
ones: mates with each other, and strangers. Printed are the deciles of the scores, and the greatest distance between
the two distributions (Kolmogorov and Smirnov's, 0 to 1). It passes where that is at most `TOLERANCE`, for mates and
for strangers; the exit status tells. One generator stands for every sensor and extractor, which differ as well.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.fingerprints import read_templates
from benchmarks.common.table import Row, finish, parser
from likeness.fingerprint.matcher import Matcher
from likeness.fingerprint.minutiae import Minutiae
from likeness.fingerprint.prepared import prepare
from likeness.fingerprint.synthesis import impressions

Floats = NDArray[np.float64]

TOLERANCE = 0.25
"""Greatest distance of the distributions that is let pass."""
DECILES = (10, 30, 50, 70, 90)
"""Per cent at which the distributions are printed."""


def scores(fingers: Sequence[Sequence[Minutiae]]) -> tuple[Floats, Floats]:
    """Scores of all pairs of mates and of all pairs of strangers; impressions without minutiae are left out."""
    matcher = Matcher()
    impressions = [(number, prepare(one)) for number, held in enumerate(fingers) for one in held if len(one)]
    finger = np.array([number for number, _ in impressions])
    mates, strangers = [], []
    for i, (number, probe) in enumerate(impressions[:-1]):
        found = np.array(
            [c.score for c in matcher.compare(probe, [other for _, other in impressions[i + 1 :]])]
        )
        same = finger[i + 1 :] == number
        mates.append(found[same])
        strangers.append(found[~same])
    return np.concatenate(mates), np.concatenate(strangers)


def distance(one: Floats, other: Floats) -> float:
    """The greatest distance of two empirical distributions."""
    at = np.sort(np.concatenate([one, other]))
    shares = [np.searchsorted(np.sort(part), at, side="right") / len(part) for part in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


def main() -> int:
    """Measure, print, and say whether it passes."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--fingers", type=int, default=40, help="drawn fingers")
    chosen = arguments.parse_args()
    if chosen.data is None:
        arguments.error("--data FOLDER is needed")
    templates = sorted(read_templates(chosen.data).items(), key=lambda entry: entry[0])
    real = [[one for _, one in held] for _, held in groupby(templates, key=lambda entry: entry[0][0])]
    each = max(len(held) for held in real)
    drawn = [list(held) for held in impressions(chosen.fingers, each, chosen.seed)]
    rows: list[Row] = []
    passed = True
    counts = [np.array([len(one) for held in fingers for one in held]) for fingers in (real, drawn)]
    for what, count in zip(("real", "drawn"), counts, strict=True):
        rows += [Row(what, "minutiae", float(count.mean())), Row(what, "their spread", float(count.std()))]
    found = [scores(real), scores(drawn)]
    for kind, real_scores, drawn_scores in zip(("mates", "strangers"), *found, strict=True):
        for what, part in (("real", real_scores), ("drawn", drawn_scores)):
            rows += [Row(what, f"{kind}, {d}%", float(np.percentile(part, d))) for d in DECILES]
        apart = distance(real_scores, drawn_scores)
        passed &= apart <= TOLERANCE
        note = f"at most {TOLERANCE} passes; {len(real_scores):,} real and {len(drawn_scores):,} drawn pairs"
        rows.append(Row("drawn", f"{kind}, distance", apart, note=note))
    finish("Drawn fingers and real ones", rows, chosen)
    print("pass" if passed else "fail")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())

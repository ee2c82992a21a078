"""Error rates of the fingerprint matcher on real templates: EER, FNMR at fixed FMR, and rank 1.

    python benchmarks/fingerprint_accuracy.py --data FOLDER [FOLDER ...] [--plot det.png] [--fit FILE]

Each FOLDER holds SET/FINGER_IMPRESSION.fmr, the templates of one extractor. Mates: all pairs of impressions of
one finger. Strangers: all pairs of different fingers, of different sets too. Rank 1: impression 1 of every finger
is enrolled, all others are probes, and a tie counts against us. FNMR at an FMR counts mates that score no more
than the stranger at that rate.

Lines for each FOLDER. `shipped`: the weights in the product. They were fitted on the sets that their file names, so
on those sets the line flatters. `leave one set out`: every pair is scored by weights fitted, over all FOLDERs, on
pairs of the other sets alone. `extractor too`: fitted on the other FOLDERs alone. Every pair is compared in full,
as the product does 1:1 and in lists under 256; `cascade`: as in longer lists, of all the others that a template is
compared with only those are compared in full that the cheap stage finds best.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.biometrics import Strangers, det_points, plot_det
from benchmarks.common.table import Row, parser, print_table, write_json
from likeness.fingerprint import parameters as p
from likeness.fingerprint.evidence import MEASURES
from likeness.fingerprint.formats import read
from likeness.fingerprint.fusion import Fusion, cheap_features, features, fusion, passing, score_left_out
from likeness.fingerprint.matcher import measures
from likeness.fingerprint.prepared import prepare

Floats = NDArray[np.float64]

RIDGE = 20.0
"""Weight of the penalty on the fitted weights, whose features are brought to unit variance."""
SCREENED = [
    MEASURES.index(name) for name in ("screen_relaxed", "screen_worth", "screen_local", "screen_share")
]
RATES = (0.01, 0.001, 0.0001)


@dataclass(frozen=True, eq=False)
class Pairs:
    """All pairs of the templates of one folder: places of both, and what was measured, float64 [n, m]."""

    name: str
    one: NDArray[np.int64]
    other: NDArray[np.int64]
    measured: Floats
    finger: NDArray[np.int64]
    set_: NDArray[np.str_]
    impression: NDArray[np.int64]
    per_second: float

    @property
    def mates(self) -> NDArray[np.bool_]:
        """Which pairs are of one finger."""
        return np.asarray(self.finger[self.one] == self.finger[self.other])

    def touching(self, set_: str) -> NDArray[np.bool_]:
        """Which pairs have an impression of this set."""
        return np.asarray((self.set_[self.one] == set_) | (self.set_[self.other] == set_))


def compare_all(folder: Path) -> Pairs:
    """Compare every template of a folder with every later one."""
    paths = sorted(folder.glob("*/*.fmr"))
    if not paths:
        raise SystemExit(f"{folder} holds no SET/FINGER_IMPRESSION.fmr")
    prepared = [prepare(read(path.read_bytes(), path.name).views[0].minutiae) for path in paths]
    names = [(path.parent.name, *path.stem.rsplit("_", 1)) for path in paths]
    number = {key: n for n, key in enumerate(dict.fromkeys((s, f) for s, f, _ in names))}
    measures(prepared[0], prepared[:2])  # compiles
    started = time.thread_time()
    measured = np.concatenate([measures(one, prepared[n + 1 :]) for n, one in enumerate(prepared[:-1])])
    taken = time.thread_time() - started
    cheap = [measures(one, prepared[n + 1 :], cheap=True) for n, one in enumerate(prepared[:-1])]
    measured[:, SCREENED] = np.concatenate(cheap)[:, SCREENED]
    one, other = np.triu_indices(len(paths), 1)
    return Pairs(
        folder.name,
        one,
        other,
        measured,
        np.array([number[s, f] for s, f, _ in names]),
        np.array([s for s, _, _ in names]),
        np.array([int(i) for _, _, i in names]),
        len(one) / taken,
    )


def fit(columns: Floats, mates: NDArray[np.bool_]) -> tuple[Floats, float]:
    """Weights float64 [d] and bias of a logistic regression by Newton's method; mates and strangers weigh the
    same."""
    middle, spread = columns.mean(0), columns.std(0) + 1e-9
    z = np.column_stack([(columns - middle) / spread, np.ones(len(columns))])
    each = np.where(mates, 0.5 / mates.sum(), 0.5 / (~mates).sum()) * len(mates) / 20
    ridge = RIDGE * np.r_[np.ones(z.shape[1] - 1), 1e-6]
    w = np.zeros(z.shape[1])
    for _ in range(30):
        share = 1 / (1 + np.exp(-np.clip(z @ w, -30, 30)))
        slope = z.T @ (each * (share - mates)) + ridge * w
        curve = (z * (each * share * (1 - share))[:, None]).T @ z + np.diag(ridge)
        w -= np.linalg.solve(curve, slope)
    weights = w[:-1] / spread
    return weights, float(w[-1] - weights @ middle)


def large(measured: Floats) -> NDArray[np.bool_]:
    """Which pairs go through the cheap stage, bool [n]: both templates have minutiae enough."""
    counts = measured[:, [MEASURES.index("count_a"), MEASURES.index("count_b")]]
    return np.asarray(counts.min(axis=1) >= p.CASCADE_FROM)


def fit_order(measured: Floats, mates: NDArray[np.bool_]) -> tuple[Floats, float]:
    """The cheap stage's order: weights float64 [6], and the bias by which it is 0 where few strangers reach."""
    columns, mated = cheap_features(measured[large(measured)]), mates[large(measured)]
    weights, _ = fit(columns, mated)
    return weights, -float(np.quantile(columns[~mated] @ weights, 1 - p.CASCADE_SURE))


def fitted(
    every: Sequence[Pairs], version: str, fitted_on: str, without: str | None = None, but: Pairs | None = None
) -> Fusion:
    """The fit on all pairs but those of `but` and those with an impression of the set `without`."""
    parts, mates = [], []
    for pairs in every:
        if pairs is not but:
            chosen = np.ones(len(pairs.one), np.bool_) if without is None else ~pairs.touching(without)
            parts.append(pairs.measured[chosen])
            mates.append(pairs.mates[chosen])
    measured, mated = np.concatenate(parts), np.concatenate(mates)
    return Fusion(*fit(features(measured), mated), *fit_order(measured, mated), version, fitted_on)


def left_out(pairs: Pairs, every: Sequence[Pairs], but: Pairs | None = None) -> tuple[Floats, Floats]:
    """The cheap stage's order and the scores, whose weights never saw an impression of the pair's set.

    A pair of two sets is scored by the fit without its first set or without its second, whichever comes last.
    """
    order, scores = np.zeros(len(pairs.one)), np.zeros(len(pairs.one))
    for set_ in np.unique(pairs.set_):
        held = fitted(every, "", "", str(set_), but)
        inside = pairs.touching(str(set_))
        order[inside] = held.order(pairs.measured[inside])
        scores[inside] = held.score(pairs.measured[inside])
    return order, scores


def cascaded(pairs: Pairs, order: Floats, scores: Floats) -> Floats:
    """The scores of pairs where one of the two is searched with in a list of all templates, through the cascade."""
    screened = large(pairs.measured)
    square = np.full((len(pairs.finger), len(pairs.finger)), -np.inf)
    square[pairs.one, pairs.other] = square[pairs.other, pairs.one] = np.where(screened, order, -np.inf)
    passed = np.stack([passing(row) for row in square])
    # Rank 1 is of probes that are no first impression; elsewhere either of the two may be the probe.
    first = (pairs.impression[pairs.one] == 1) & (pairs.impression[pairs.other] != 1)
    probe, listed = np.where(first, [pairs.other, pairs.one], [pairs.one, pairs.other])
    left_out = screened & ~passed[probe, listed]
    return np.where(left_out, score_left_out(order), scores)


def equal_error_rate(mates: Floats, strangers: Floats) -> float:
    """The rate at which as many mates are missed as strangers match, between the two nearest thresholds."""
    thresholds = np.unique(np.concatenate([mates, strangers]))
    missed = np.searchsorted(np.sort(mates), thresholds, side="right") / len(mates)
    false = 1 - np.searchsorted(np.sort(strangers), thresholds, side="right") / len(strangers)
    at = int(np.argmin(np.abs(missed - false)))
    return float((missed[at] + false[at]) / 2)


def rank_one(pairs: Pairs, scores: Floats) -> float:
    """The share of probes whose finger scores above every other enrolled one."""
    square = np.full((len(pairs.finger), len(pairs.finger)), -np.inf)
    square[pairs.one, pairs.other] = square[pairs.other, pairs.one] = scores
    enrolled = np.flatnonzero(pairs.impression == 1)
    hits = []
    for probe in np.flatnonzero(pairs.impression != 1):
        row, own = square[probe, enrolled], pairs.finger[enrolled] == pairs.finger[probe]
        if own.any():
            hits.append(row[own].max() > row[~own].max())
    return float(np.mean(hits))


def rows_of(what: str, pairs: Pairs, scores: Floats) -> list[Row]:
    """The columns of the table."""
    mates, strangers = scores[pairs.mates], scores[~pairs.mates]
    known = Strangers(strangers, len(strangers))
    note = f"{len(mates):,} mates, {len(strangers):,} strangers"
    rows = [Row(what, "EER", 100 * equal_error_rate(mates, strangers), "%", note)]
    for rate in RATES:
        missed = float((mates <= known.threshold(rate)).mean())
        rows.append(Row(what, f"FNMR @FMR {rate:.2%}", 100 * missed, "%"))
    rows.append(Row(what, "rank 1", 100 * rank_one(pairs, scores), "%"))
    rows.append(Row(what, "full comparisons per second of processor time", pairs.per_second))
    return rows


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__ or "")
    arguments.add_argument(
        "more", type=Path, nargs="*", metavar="FOLDER", help="further extractors' templates"
    )
    arguments.add_argument(
        "--plot", type=Path, metavar="FILE", help="write a DET plot as PNG (needs matplotlib)"
    )
    arguments.add_argument("--fit", type=Path, metavar="FILE", help="write the weights fitted on all of it")
    arguments.add_argument("--version", help="of the weights that --fit writes, needed with it")
    chosen = arguments.parse_args()
    if chosen.data is None:
        arguments.error("--data FOLDER is needed")
    if chosen.fit is not None and chosen.version is None:
        arguments.error("--fit needs --version, which becomes part of the template space")
    every = [compare_all(folder) for folder in (chosen.data, *chosen.more)]
    if chosen.fit is not None:
        sets = sorted({str(s) for pairs in every for s in pairs.set_})
        fitted_on = f"{' and '.join(p.name for p in every)} templates of {', '.join(sets)}"
        fitted(every, chosen.version, fitted_on).write(chosen.fit)
    shipped = fusion() if chosen.fit is None else Fusion.load(chosen.fit)
    print(f"Shipped weights were fitted on {shipped.fitted_on}.")
    rows, curves = [], {}
    for pairs in every:
        ways = {"shipped": shipped.score(pairs.measured)}
        if len(np.unique(pairs.set_)) > 1:
            order, full = left_out(pairs, every)
            ways |= {
                "leave one set out": full,
                "leave one set out, cascade": cascaded(pairs, order, full),
            }
            if len(every) > 1:
                ways["leave one set out, extractor too"] = left_out(pairs, every, pairs)[1]
        for way, scores in ways.items():
            what = f"{pairs.name}, {way}"
            rows += rows_of(what, pairs, scores)
            strangers = scores[~pairs.mates]
            curves[what] = det_points(scores[pairs.mates], Strangers(strangers, len(strangers)))
    print_table("Fingerprint comparison", rows, by_what=True)
    if chosen.plot is not None:
        plot_det(chosen.plot, curves, "Fingerprint comparison")
    if chosen.json is not None:
        write_json(chosen.json, rows)


if __name__ == "__main__":
    main()

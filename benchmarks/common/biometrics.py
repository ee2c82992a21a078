"""Error rates of biometric comparison and identification, as ISO/IEC 19795-1 defines them, and their plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]

NO_SCORE = -np.inf
"""The score of a comparison that could not be made: it matches nothing."""


def threshold_at(scores: Scores, pairs: int, rate: float) -> float:
    """The score that at most a share `rate` of `pairs` exceeds; `scores` float64 [n] holds the highest of them."""
    allowed = int(rate * pairs)
    ordered = np.sort(scores)[::-1]
    if allowed >= len(ordered):
        raise ValueError(f"{len(ordered)} scores of {pairs} do not reach down to a rate of {rate}")
    return float(ordered[allowed])


@dataclass(frozen=True, eq=False)
class Strangers:
    """Scores of stranger pairs, float64 [n]: the highest of `pairs`. No pair left out scores above `unseen`."""

    scores: Scores
    pairs: int
    unseen: float = NO_SCORE

    def threshold(self, fmr: float) -> float:
        """The score that at most a share `fmr` of all pairs exceeds.

        Raises:
            ValueError: there are too few scores to know it.
        """
        found = threshold_at(self.scores, self.pairs, fmr)
        if found < self.unseen:
            raise ValueError(
                f"pairs left out may score up to {self.unseen}, above the threshold at FMR {fmr}"
            )
        return found


def true_match_rate(mates: Scores, threshold: float) -> float:
    """The share of mate pairs, float64 [n], that score above the threshold."""
    return float(np.mean(mates > threshold))


@dataclass(frozen=True)
class Identification:
    """One search of a mated probe: the score and rank of its mate, and the best score of anyone else.

    `mate_rank` is 1 for the first place and 0 where the mate was not returned.
    """

    mate_score: float
    mate_rank: int


def rank_one(searches: Sequence[Identification]) -> float:
    """The share of mated probes whose mate came first."""
    return float(np.mean([s.mate_rank == 1 for s in searches]))


def fnir_at_fpir(searches: Sequence[Identification], non_mated: Scores, fpir: float) -> float:
    """The share of mated probes whose mate is not first above the threshold that lets `fpir` of the others through.

    `non_mated` float64 [n]: the best score that each non-mated probe found.
    """
    threshold = threshold_at(non_mated, len(non_mated), fpir)
    return float(np.mean([not (s.mate_rank == 1 and s.mate_score > threshold) for s in searches]))


def det_points(mates: Scores, strangers: Strangers) -> tuple[Scores, Scores]:
    """FMR and FNMR, float64 [m] each, where all stranger scores are known, thinned to points a plot can show."""
    ordered = np.sort(strangers.scores[strangers.scores >= strangers.unseen])[::-1]
    counts = np.unique(np.round(np.logspace(0, np.log10(len(ordered) - 1), 200)).astype(int))
    thresholds = ordered[counts]
    fnmr = np.array([1 - true_match_rate(mates, float(t)) for t in thresholds])
    return counts / strangers.pairs, fnmr


def plot_det(path: Path, curves: Mapping[str, tuple[Scores, Scores]], title: str) -> None:
    """Write a detection error trade-off plot (both axes logarithmic) as PNG."""
    import matplotlib as mpl  # noqa: PLC0415 - an extra: only needed where a plot was asked for

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(7, 6), layout="constrained")
    for label, (fmr, fnmr) in curves.items():
        axes.plot(fmr, np.maximum(fnmr, 1e-4), label=label)
    axes.set(xscale="log", yscale="log", title=title)
    axes.set_xlabel("False match rate")
    axes.set_ylabel("False non-match rate")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=130)
    plt.close(figure)

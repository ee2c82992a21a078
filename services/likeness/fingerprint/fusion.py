"""From what was measured between two templates to one score, a log-odds: a logistic fusion of named features.

The cheap stage of the cascade has a fusion of its own, of what little it measures; a candidate that it rejects
scores by that alone, and under every threshold that is of use.

The weights come from `benchmarks/fingerprint_accuracy.py --fit`, which also measures them leaving one set out.
Features are means and ratios rather than counts where they can be, so that dense and noisy templates gain nothing
by their density.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likeness.domain.errors import Corrupt
from likeness.fingerprint import parameters as p
from likeness.fingerprint.evidence import MEASURES
from likeness.inference.catalogue import shipped_manifests

FILE = "fingerprint-fusion.json"

FEATURES = (
    "relaxed",
    "local",
    "pairs",
    "paired_share",
    "surprise_per_pair",
    "surprise",
    "alike_per_pair",
    "similarity_per_pair",
    "supported",
    "residual",
    "turn_residual",
    "overlap_counts",
    "overlap_area",
    "smaller_count",
)
"""The columns of `features`."""

SCREENED = ("relaxed", "local", "worth", "smaller_count", "larger_count")
"""What `Fusion.gate` weighs, in order."""

Floats = NDArray[np.float64]


def screened(measures: Floats) -> Floats:
    """float64 [k, m] as `evidence.MEASURES` to float64 [k, 5] as `SCREENED`."""
    m = dict(zip(MEASURES, np.asarray(measures, np.float64).T, strict=True))
    columns = [
        np.sqrt(np.maximum(m["screen_relaxed"], 0)),
        m["local"],
        np.sqrt(m["screen_worth"]),
        np.log(np.minimum(m["count_a"], m["count_b"]) + 3),
        np.log(np.maximum(m["count_a"], m["count_b"]) + 3),
    ]
    return np.stack(columns, axis=1)


def features(measures: Floats) -> Floats:
    """float64 [k, m] as `evidence.MEASURES` to float64 [k, 14] as `FEATURES`."""
    m = dict(zip(MEASURES, np.asarray(measures, np.float64).T, strict=True))
    inside_a, inside_b = m["overlap_a"] + 3, m["overlap_b"] + 3
    columns = [
        np.sqrt(np.maximum(m["relaxed"], 0)),
        m["local"],
        np.sqrt(m["pairs"]),
        m["pairs"] / np.sqrt(inside_a * inside_b),
        m["surprise"] / (m["pairs"] + 5),
        np.sqrt(np.maximum(m["surprise"], 0)),
        m["alike"] / (m["pair_cylinders"] + 2),
        m["pair_similarity"] / (m["pair_cylinders"] + 2),
        np.sqrt(np.maximum(m["supported"], 0)),
        np.sqrt(m["residual"]),
        np.sqrt(m["turn_residual"]),
        np.log(inside_a * inside_b),
        np.log(m["area"] + 5000),
        np.log(np.minimum(m["count_a"], m["count_b"]) + 3),
    ]
    return np.stack(columns, axis=1)


@dataclass(frozen=True, eq=False, slots=True)
class Fusion:
    """`weights` float64 [14] and `bias` of the log-odds; `version` and `fitted_on` say whence they are.

    `gate` float64 [5] is of the cheap stage, see `SCREENED`: it orders candidates.
    """

    weights: Floats
    bias: float
    gate: Floats
    version: str
    fitted_on: str

    def score(self, measures: Floats) -> Floats:
        """Log-odds float64 [k] of measures float64 [k, m], for mates and strangers that are equally frequent.

        What was not compared in full scores at most `REJECTED_AT`, in the order of the cheap stage.
        """
        left = measures[:, MEASURES.index("compared")] == 0
        scores = features(measures) @ self.weights + self.bias
        if left.any():
            order = screened(measures[left]) @ self.gate
            scores[left] = p.REJECTED_AT + order - order.max()
        return np.asarray(scores, np.float64)

    def promising(self, measures: Floats) -> NDArray[np.intp]:
        """Of candidates that went through the cheap stage alone, the places of those to compare in full, ascending.

        `CASCADE_SHARE` of all candidates; others than these were too small for that stage and compared at once.
        """
        left = np.flatnonzero(measures[:, MEASURES.index("compared")] == 0)
        order = np.argsort(-(screened(measures[left]) @ self.gate), kind="stable")
        return np.sort(left[order[: math.ceil(p.CASCADE_SHARE * len(measures))]])

    @classmethod
    def load(cls, path: Path) -> Fusion:
        """Read the file that `write` made.

        Raises:
            Corrupt: it is missing, or does not hold one weight for every feature.
        """
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            weights = np.array([held["weights"][name] for name in FEATURES], np.float64)
            gate = np.array([held["cascade"][name] for name in SCREENED], np.float64)
            found = cls(weights, float(held["bias"]), gate, str(held["version"]), str(held["fitted_on"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Corrupt(f"{path} is not the fusion of fingerprint scores; restore the file.") from error
        if not np.isfinite(weights).all() or not np.isfinite(gate).all():
            raise Corrupt(f"{path} holds weights that are not finite; restore the file.")
        return found

    def write(self, path: Path) -> None:
        """Write the file that `load` reads."""
        held = {
            "version": self.version,
            "fitted_on": self.fitted_on,
            "bias": round(self.bias, 6),
            "weights": dict(zip(FEATURES, (round(float(w), 6) for w in self.weights), strict=True)),
            "cascade": dict(zip(SCREENED, (round(float(w), 6) for w in self.gate), strict=True)),
        }
        path.write_text(json.dumps(held, indent=2) + "\n", encoding="utf-8")


@lru_cache(maxsize=1)
def fusion() -> Fusion:
    """The shipped fusion."""
    return Fusion.load(shipped_manifests() / FILE)

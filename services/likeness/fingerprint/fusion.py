"""From what was measured between two templates to one score, a log-odds: a logistic fusion of named features.

The cheap stage of the cascade has a fusion of its own, of what little it measures. It orders the candidates of a
long list; one that it leaves out scores by that alone, and under every threshold that is of use.

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

from likeness.domain.errors import Corrupt, NotFound
from likeness.fingerprint import parameters as p
from likeness.fingerprint.evidence import MEASURES
from likeness.inference.models import sums
from likeness.inference.models.catalogue import shipped_manifests

FILE = "fingerprint-fusion/fusion.json"

FEATURES = (
    "relaxed",
    "local",
    "pairs",
    "trusted_share",
    "surprise_per_pair",
    "surprise",
    "excess_per_pair",
    "similarity_per_pair",
    "supported",
    "residual",
    "turn_residual",
    "overlap_counts",
    "overlap_area",
    "smaller_count",
    "kinds_equal",
    "worth",
)
"""The columns of `features`."""

CHEAP_FEATURES = ("relaxed", "local", "worth", "trusted_share", "smaller_count", "larger_count")
"""The columns of `cheap_features`."""

Floats = NDArray[np.float64]


def cheap_features(measures: Floats) -> Floats:
    """float64 [k, m] as `evidence.MEASURES` to float64 [k, 6] as `CHEAP_FEATURES`."""
    m = dict(zip(MEASURES, np.asarray(measures, np.float64).T, strict=True))
    columns = [
        np.sqrt(np.maximum(m["screen_relaxed"], 0)),
        m["screen_local"],
        np.sqrt(m["screen_worth"]),
        m["screen_share"],
        np.log(np.minimum(m["count_a"], m["count_b"]) + 3),
        np.log(np.maximum(m["count_a"], m["count_b"]) + 3),
    ]
    return np.stack(columns, axis=1)


def features(measures: Floats) -> Floats:
    """float64 [k, m] as `evidence.MEASURES` to float64 [k, 16] as `FEATURES`."""
    m = dict(zip(MEASURES, np.asarray(measures, np.float64).T, strict=True))
    inside_a, inside_b = m["overlap_a"] + 3, m["overlap_b"] + 3
    by_chance = m["kinds_known"] * m["kinds_chance"]
    columns = [
        np.sqrt(np.maximum(m["relaxed"], 0)),
        m["local"],
        np.sqrt(m["pairs"]),
        np.sqrt(m["trust_pairs_a"] * m["trust_pairs_b"] / ((m["trust_a"] + 1) * (m["trust_b"] + 1))),
        m["surprise"] / (m["pairs"] + 5),
        np.sqrt(np.maximum(m["surprise"], 0)),
        m["excess"] / (m["pair_cylinders"] + 2),
        m["pair_similarity"] / (m["pair_cylinders"] + 2),
        np.sqrt(np.maximum(m["supported"], 0)),
        np.sqrt(m["residual"]),
        np.sqrt(m["turn_residual"]),
        np.log(inside_a * inside_b),
        np.log(m["area"] + 5000),
        np.log(np.minimum(m["count_a"], m["count_b"]) + 3),
        (m["kinds_equal"] - by_chance) / np.sqrt(by_chance * (1 - m["kinds_chance"]) + 1),
        np.sqrt(m["worth"]),
    ]
    return np.stack(columns, axis=1)


def passing(order: Floats) -> NDArray[np.bool_]:
    """Which candidates of a list the cheap stage passes on; `order` as of `Fusion.order`, -inf for none to pass.

    All above 0, however many they are, for a finger may be enrolled more often than any share; and of the others as
    many as `CASCADE_SHARE` of the list, the best.

    Args:
        order: float64 [k].

    Returns:
        bool [k].
    """
    passed = order > 0
    below = np.flatnonzero(~passed & np.isfinite(order))
    share = math.ceil(p.CASCADE_SHARE * len(order))
    passed[below[np.argsort(-order[below], kind="stable")[:share]]] = True
    return passed


def score_left_out(order: Floats) -> Floats:
    """The log-odds float64 [k] of candidates that were not compared in full, by their `Fusion.order`."""
    return np.asarray(p.REJECTED_AT + np.minimum(order, 0.0), np.float64)


@dataclass(frozen=True, eq=False, slots=True)
class Fusion:
    """`weights` float64 [16] and `bias` of the log-odds; `version` and `fitted_on` name their origin.

    `cheap_weights` float64 [6] and `cheap_bias` are of the cheap stage's order.
    """

    weights: Floats
    bias: float
    cheap_weights: Floats
    cheap_bias: float
    version: str
    fitted_on: str

    def score(self, measures: Floats) -> Floats:
        """Log-odds float64 [k] of measures float64 [k, m], for mates and strangers that are equally frequent.

        What was not compared in full scores at most `REJECTED_AT`, by what the cheap stage measured. A score
        depends on the two templates alone.
        """
        scores = _weighed(features(measures), self.weights) + self.bias
        left_out = score_left_out(self.order(measures))
        return np.where(measures[:, MEASURES.index("compared")] == 0, left_out, scores)

    def order(self, measures: Floats) -> Floats:
        """The log-odds float64 [k] of the cheap stage, above a level that one in a thousand strangers reaches."""
        return np.asarray(_weighed(cheap_features(measures), self.cheap_weights) + self.cheap_bias)

    def promising(self, measures: Floats) -> NDArray[np.intp]:
        """Of candidates that went through the cheap stage alone, the places of those to compare in full, ascending.

        The others of the list were compared at once, since one side was too small for that stage, or have no
        minutiae at all.
        """
        only = measures[:, MEASURES.index("compared")] == 0
        waiting = only & (measures[:, MEASURES.index("count_a")] > 0)
        return np.flatnonzero(passing(np.where(waiting, self.order(measures), -np.inf)))

    @classmethod
    def load(cls, path: Path) -> Fusion:
        """Read the file that `write` made.

        Raises:
            Corrupt: it is missing, or does not hold one weight for every feature.
        """
        try:
            held = json.loads(sums.read(path))
            weights = np.array([held["weights"][name] for name in FEATURES], np.float64)
            cheap = np.array([held["cascade"][name] for name in (*CHEAP_FEATURES, "bias")], np.float64)
            bias, version, fitted_on = float(held["bias"]), str(held["version"]), str(held["fitted_on"])
        except (NotFound, ValueError, KeyError, TypeError) as error:
            raise Corrupt(f"{path} is not the fusion of fingerprint scores; restore the file.") from error
        if not np.isfinite([*weights, bias, *cheap]).all():
            raise Corrupt(f"{path} holds weights that are not finite; restore the file.")
        return cls(weights, bias, cheap[:-1], float(cheap[-1]), version, fitted_on)

    def write(self, path: Path) -> None:
        """Write the file that `load` reads."""
        held = {
            "version": self.version,
            "fitted_on": self.fitted_on,
            "bias": round(self.bias, 6),
            "weights": dict(zip(FEATURES, (round(float(w), 6) for w in self.weights), strict=True)),
            "cascade": {"bias": round(self.cheap_bias, 6)}
            | dict(zip(CHEAP_FEATURES, (round(float(w), 6) for w in self.cheap_weights), strict=True)),
        }
        path.write_text(json.dumps(held, indent=2) + "\n", encoding="utf-8")


def _weighed(columns: Floats, weights: Floats) -> Floats:
    """The sum of the weighed columns float64 [k, n] of each row: float64 [k].

    Not a product of matrices, which rounds the sum of a row otherwise in a list of another length.
    """
    return np.asarray((columns * weights).sum(axis=1))


@lru_cache(maxsize=1)
def fusion() -> Fusion:
    """The shipped fusion."""
    return Fusion.load(shipped_manifests() / FILE)

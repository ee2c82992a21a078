"""From what was measured between two photographs to one score, a log-odds, and to what it was measured to mean.

The weights come from `models/train/object_fusion.py`: a logistic regression on attacked photographs against their
hardest strangers, among them other objects before the same background, next to the same ruler or under the same
watermark.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likeness.domain.answers import Likelihood
from likeness.domain.errors import Corrupt, NotFound
from likeness.inference.models import sums
from likeness.inference.models.catalogue import shipped_manifests
from likeness.object import parameters as p

FILE = "object-fusion/fusion.json"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measures:
    """What was measured between two photographs; see `verify.Verification` and `similarity.cosines`.

    `cosine` of the embeddings and `normalised_cosine`, above that of photographs at random; `inliers` by count, the
    rest by their weight: `spread` in cells; `hull_area`, `agreement` and `inlier_share` of all matches, 0..1.
    `mirrored` is 1 where the candidate is the mirror image of the probe, else 0. `contradicted`, 0..1, is how much
    of what both should show differs, see `overlap`.
    """

    cosine: float
    normalised_cosine: float
    inliers: float = 0.0
    spread: float = 0.0
    hull_area: float = 0.0
    agreement: float = 0.0
    inlier_share: float = 0.0
    mirrored: float = 0.0
    contradicted: float = 0.0

    @property
    def beyond_chance(self) -> float:
        """Cells that inliers cover beyond those that chance explains; less where what they surround differs."""
        differs = (self.contradicted - p.DOUBTED_FROM) / (p.CONTRADICTED_ALL - p.DOUBTED_FROM)
        return max(self.spread - p.CHANCE_SPREAD, 0.0) * min(max(1.0 - differs, 0.0), 1.0)

    def parts(self) -> dict[str, float]:
        """By name."""
        return asdict(self)


FEATURES = ("cosine", "spread", "hull_area", "agreement", "inlier_share", "mirrored")
"""The columns of `features`."""

_LEAST_AREA = 1e-3
_LEAST_SHARE = 1e-2
_ZERO_AREA, _ZERO_AGREEMENT = float(np.log(0.2)), float(np.log(0.2))


def features(measured: Measures) -> Floats:
    """float64 [6] as `FEATURES`. Counts and shares enter by their logarithm.

    The count of inliers enters by how many places they cover beyond those that chance explains, so that a pattern
    that repeats in one corner counts for one; what else is known of them counts in full from twice as many on. Few
    details inside the hull that agree speak against.
    """
    beyond = measured.beyond_chance
    certain = min(beyond / p.CHANCE_SPREAD, 1.0)
    return np.array(
        [
            measured.normalised_cosine,
            np.log1p(beyond),
            certain * (np.log(max(measured.hull_area, _LEAST_AREA)) - _ZERO_AREA),
            certain * (np.log(max(measured.agreement, _LEAST_SHARE)) - _ZERO_AGREEMENT),
            certain * measured.inlier_share,
            certain * measured.mirrored,
        ]
    )


@dataclass(frozen=True, eq=False, slots=True)
class Fusion:
    """`weights` float64 [6] and `bias` of the log-odds; scores from which the two upper bands begin.

    `version` and `fitted_on` name their origin.
    """

    weights: Floats
    bias: float
    strong_from: float
    probable_from: float
    version: str
    fitted_on: str

    def score(self, measured: Measures) -> float:
        """The log-odds, for mates and strangers of a shortlist that are as frequent as where it was fitted."""
        return float(features(measured) @ self.weights + self.bias)

    def likelihood(self, score: float, parts: Mapping[str, float]) -> Likelihood:
        """The band of a score; nothing is more than similar without geometric evidence beyond chance, or where all
        that agrees is what frames two different things, and nothing strong where that is in doubt."""
        if parts["spread"] <= p.CHANCE_SPREAD or parts["contradicted"] >= p.CONTRADICTED_FROM:
            return Likelihood.SIMILAR
        if score < self.probable_from:
            return Likelihood.SIMILAR
        sure = score >= self.strong_from and parts["contradicted"] < p.DOUBTED_FROM
        return Likelihood.STRONG if sure else Likelihood.PROBABLE

    @classmethod
    def load(cls, path: Path) -> Fusion:
        """Read the file that `write` made.

        Raises:
            Corrupt: it is missing, or does not hold one finite weight for every feature.
        """
        try:
            held = json.loads(sums.read(path))
            found = cls(
                np.array([held["weights"][name] for name in FEATURES], np.float64),
                float(held["bias"]),
                float(held["strong_from"]),
                float(held["probable_from"]),
                str(held["version"]),
                str(held["fitted_on"]),
            )
        except (NotFound, ValueError, KeyError, TypeError) as error:
            raise Corrupt(f"{path} is not the fusion of object scores; restore the file.") from error
        if not np.isfinite([*found.weights, found.bias, found.strong_from, found.probable_from]).all():
            raise Corrupt(f"{path} holds numbers that are not finite; restore the file.")
        return found

    def write(self, path: Path) -> None:
        """Write the file that `load` reads."""
        held = {
            "version": self.version,
            "fitted_on": self.fitted_on,
            "bias": round(self.bias, 6),
            "weights": dict(zip(FEATURES, (round(float(w), 6) for w in self.weights), strict=True)),
            "strong_from": round(self.strong_from, 3),
            "probable_from": round(self.probable_from, 3),
        }
        path.write_text(json.dumps(held, indent=2) + "\n", encoding="utf-8")


@lru_cache(maxsize=1)
def fusion() -> Fusion:
    """The shipped fusion."""
    return Fusion.load(shipped_manifests() / FILE)

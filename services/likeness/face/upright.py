"""Whether a face lies upright in the view that its landmarks make of it.

A detector that meets a face upside down may take the brow for a mouth and invent landmarks with full confidence.
The view that such landmarks make then shows no upright face, whichever detector they come from. A logistic
regression on directed gradients tells the two apart; `models/train/face_upright.py` fits it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from likeness.domain.errors import Corrupt
from likeness.face import parameters as p
from likeness.face.detect import Floats, Pixels
from likeness.imaging.opencv import cv2
from likeness.inference.models.arrays import read_arrays
from likeness.inference.models.catalogue import shipped_manifests

FILE = "face-upright/upright.npz"

FEATURES = p.UPRIGHT_DIRECTIONS * (p.UPRIGHT_SIDE // p.UPRIGHT_CELL) ** 2

_ANGLES = np.arange(p.UPRIGHT_DIRECTIONS) * (2 * np.pi / p.UPRIGHT_DIRECTIONS)
_DIRECTIONS = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1).astype(np.float32)


def features(view: Pixels) -> Floats:
    """What the regression sees: how strongly the luminance rises in each direction, cell by cell.

    Args:
        view: uint8 [side, side], as `quality.face_view` makes it.

    Returns:
        float32 [FEATURES]; gradients are relative to those around them, so that light and contrast matter little.
    """
    small = cv2.resize(view, (p.UPRIGHT_SIDE, p.UPRIGHT_SIDE), interpolation=cv2.INTER_AREA).astype(
        np.float32
    )
    across, down = cv2.Sobel(small, cv2.CV_32F, 1, 0), cv2.Sobel(small, cv2.CV_32F, 0, 1)
    around = cv2.GaussianBlur(cv2.magnitude(across, down), (0, 0), p.UPRIGHT_AROUND) + p.UPRIGHT_FLOOR
    gradients = np.stack([(across / around).ravel(), (down / around).ravel()])
    rises = np.maximum(_DIRECTIONS @ gradients, 0)
    cells = p.UPRIGHT_SIDE // p.UPRIGHT_CELL
    pooled = rises.reshape(p.UPRIGHT_DIRECTIONS, cells, p.UPRIGHT_CELL, cells, p.UPRIGHT_CELL).mean((2, 4))
    found: Floats = np.sqrt(pooled).ravel()
    return found


@dataclass(frozen=True, eq=False, slots=True)
class Upright:
    """The regression: `weights` float32 [FEATURES] and `bias`."""

    weights: Floats
    bias: float

    def log_odds(self, view: Pixels) -> float:
        """How much more likely the view uint8 [side, side] shows an upright face than a turned one; natural log."""
        return float(features(view) @ self.weights) + self.bias

    @classmethod
    def load(cls, path: Path) -> Upright:
        """Read the file that `write` made.

        Raises:
            Corrupt: it is missing or not such a file.
        """
        held = read_arrays(path, ("weights", "bias"), "the weights of upright faces")
        try:
            weights, bias = held["weights"].astype(np.float32), float(held["bias"])
        except (TypeError, ValueError) as error:
            raise Corrupt(f"{path} does not hold numbers ({error}); restore the file.") from error
        if weights.shape != (FEATURES,) or not np.isfinite(weights).all() or not np.isfinite(bias):
            raise Corrupt(f"{path} does not hold {FEATURES} finite weights and a bias; restore the file.")
        return cls(weights, bias)

    def write(self, path: Path) -> None:
        """Write the file that `load` reads."""
        np.savez_compressed(path, weights=self.weights.astype(np.float32), bias=np.float64(self.bias))


def log_odds(view: Pixels) -> float:
    """`Upright.log_odds` by the shipped regression."""
    return _shipped().log_odds(view)


@lru_cache(maxsize=1)
def _shipped() -> Upright:
    return Upright.load(shipped_manifests() / FILE)


def share(odds: float) -> float:
    """Log-odds as a probability, 0..1."""
    return float(1 / (1 + np.exp(-np.clip(odds, -50, 50))))

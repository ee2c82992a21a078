"""All kernels at once, so that none is compiled in the middle of somebody's search."""

from __future__ import annotations

import numpy as np

from likeness.fingerprint.matcher import measures, pairing
from likeness.fingerprint.minutiae import Minutiae
from likeness.fingerprint.prepared import PreparedFinger, prepare


def load_kernels() -> None:
    """Load every kernel, or compile it where it was not compiled for this processor before.

    Compiling takes about half a minute on a free processor; see `kernel.watching`.
    """
    finger = PreparedFinger.from_bytes(prepare(drawn_pattern()).to_bytes())
    measures(finger, [finger])
    measures(finger, [finger], cheap=True)
    pairing(finger, finger)


def drawn_pattern() -> Minutiae:
    """Thirty minutiae on a spiral: the finger of self-tests."""
    number = np.arange(30)
    radius, around = 18.0 * np.sqrt(number + 1.0), 2.4 * number
    xy = np.stack([200 + radius * np.cos(around), 200 + radius * np.sin(around)], axis=1)
    angle = np.mod(0.7 * number + around, 2 * np.pi)
    nothing = np.zeros(len(number), np.uint8)
    return Minutiae(xy.astype(np.float32), angle.astype(np.float32), nothing, nothing)

"""Photographs drawn from an archive, for the programs here that run the product's own code on them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from benchmarks.common.object_attacks import Pixels, load


def drawn(archive: Path, count: int, seed: int) -> list[Pixels]:
    """At most `count` photographs uint8 [h, w, 3] RGB, drawn at random of a zip of WebP or JPEG files."""
    with zipfile.ZipFile(archive) as images:
        names = sorted(name for name in images.namelist() if name.endswith((".webp", ".jpg")))
        chosen = np.random.default_rng(seed).permutation(names)[:count]
        return [load(images.read(str(name))) for name in chosen]

"""Recognises a probe that is nearly the same as one before, of which nothing was stored but keyed digests.

Random hyperplanes divide the space of the vectors; on which side of each a vector lies is a bit, and near vectors
agree in most (M. Charikar, "Similarity estimation techniques from rounding algorithms", STOC 2002). The bits are
taken in bands, each of which is counted by itself: two probes are nearly the same where enough bands agree whole.

Measured with the faces that ship, on 149 people and five sets of planes: of two photographs of one person 3% are
taken for nearly the same, of two people fewer than 1 in 10,000; of a photograph and itself coded again as JPEG
(90), five levels brighter or darker, shifted by two pixels, cropped by four, or with noise of two levels 97% to
100%, with noise of six levels 93%. With 24 bits in a band 29% of one person's are; with 64 in twelve 78% of some
changes.
"""

from __future__ import annotations

import hashlib

import numpy as np

from likeness.domain.modality import TemplateSpace
from likeness.domain.samples import Template

BANDS = 8
BITS = 40
"""Of one band."""

AGREEING = 2
"""Bands that agree where two probes are nearly the same."""


class Sketcher:
    """Sketches the templates of one space.

    Args:
        space: of the templates.
        secret: draws the planes, so that nobody else knows what lies on which side.
    """

    def __init__(self, space: TemplateSpace, secret: str) -> None:
        self._space = space
        seed = hashlib.sha256(f"{secret} {space.space_id}".encode()).digest()
        draw = np.random.default_rng(np.frombuffer(seed, np.uint32))
        self._planes = draw.standard_normal((BANDS * BITS, space.dimension), dtype=np.float32)

    def names(self, template: Template) -> tuple[tuple[str, ...], ...]:
        """Of each band a name that near templates share, by the first of the vectors.

        One without vectors has a single name, which it shares with equal ones alone.
        """
        if not len(template.vectors):
            return ((self._space.space_id, hashlib.sha256(template.detail).hexdigest()),)
        sides = (self._planes @ template.vectors[0] > 0).reshape(BANDS, BITS)
        packed = np.packbits(sides, axis=1)
        return tuple(
            (self._space.space_id, str(band), row.tobytes().hex()) for band, row in enumerate(packed)
        )

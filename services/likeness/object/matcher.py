"""Compares what was taken down of one photograph with that of others."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.domain.answers import Evidence, Points, Score
from likeness.domain.errors import Corrupt
from likeness.domain.samples import Box, Template
from likeness.object import parameters as p
from likeness.object.background import background
from likeness.object.fusion import Measures, fusion
from likeness.object.local import Details, Pixels, coded, first, mirrored, raw
from likeness.object.verify import Verification, hull, verify

Floats = NDArray[np.float32]

_MAGIC = b"LKP1"
_LENGTHS = struct.Struct("<II")


@dataclass(frozen=True, eq=False, slots=True)
class Prepared:
    """The details of a photograph and, of a probe, those of its mirror image."""

    details: Details
    mirrored: Details | None = None

    def to_bytes(self) -> bytes:
        """Magic, two lengths, the details of each."""
        plain = self.details.to_bytes()
        mirrored = b"" if self.mirrored is None else self.mirrored.to_bytes()
        return _MAGIC + _LENGTHS.pack(len(plain), len(mirrored)) + plain + mirrored

    @classmethod
    def from_bytes(cls, data: bytes) -> Prepared:
        """Read what `to_bytes` wrote.

        Raises:
            Corrupt: the lengths do not add up.
        """
        start = len(_MAGIC) + _LENGTHS.size
        if len(data) < start or data[: len(_MAGIC)] != _MAGIC:
            raise Corrupt("A stored object template does not begin with its magic number.")
        plain, mirrored = _LENGTHS.unpack_from(data, len(_MAGIC))
        if start + plain + mirrored != len(data):
            raise Corrupt("The lengths in a stored object template do not add up.")
        details = Details.from_bytes(data[start : start + plain])
        return cls(details, Details.from_bytes(data[start + plain :]) if mirrored else None)


def prepare(image: Pixels, region: Box | None = None, *, as_probe: bool = False) -> Prepared:
    """Take down the details of a photograph uint8 [h, w, 3] RGB inside a region, of all of it without one.

    A probe has more details, since it may show other things around the object, and those of its mirror image.
    """
    height, width = image.shape[:2]
    descriptors, geometry = raw(image, region, p.PROBE_DETAILS if as_probe else p.MAX_DETAILS)
    details = coded(descriptors, geometry, width, height)
    if not as_probe:
        return Prepared(details)
    strongest = slice(p.MAX_DETAILS)
    turned = mirrored(descriptors[strongest], geometry[strongest], width)
    return Prepared(details, coded(*turned, width, height))


@dataclass(frozen=True, eq=False, slots=True)
class Weights:
    """How much each detail of a probe counts, float32 in 0..1: of the photograph and of its mirror image."""

    plain: Floats
    mirrored: Floats


def compare(probe: Template, candidates: Sequence[Template], weights: Weights | None = None) -> list[Score]:
    """The score of the probe with each candidate, in order; see `measured`."""
    weighing = fusion()
    scores = []
    for one in measured(probe, candidates, weights):
        value, parts = weighing.score(one), one.parts()
        scores.append(Score(value, parts, str(weighing.likelihood(value, parts))))
    return scores


def measured(
    probe: Template, candidates: Sequence[Template], weights: Weights | None = None
) -> list[Measures]:
    """What is measured between the probe and each candidate, in order.

    Of a candidate its first vector counts, which is that of the whole, and as many details as a reference has, so
    that it makes no difference whether it was read as one; of the probe the nearest vector, and every detail. A
    candidate may be the mirror image of the probe: the better of the two counts, and the measures say which.

    Args:
        probe: what is compared.
        candidates: with what.
        weights: what the probe's details count; all alike if None.
    """
    if not candidates:
        return []
    firsts = np.stack([candidate.vectors[0] for candidate in candidates])
    cosines, normalised = background().normalised(probe.vectors, firsts)
    prepared = Prepared.from_bytes(probe.detail)
    return [
        _measures(prepared, _as_reference(candidate), float(cosine), float(above), weights)
        for candidate, cosine, above in zip(candidates, cosines, normalised, strict=True)
    ]


def _measures(
    probe: Prepared, candidate: Prepared, cosine: float, normalised: float, weights: Weights | None
) -> Measures:
    found, is_mirrored = _better(probe, candidate, weights)
    return Measures(
        cosine=cosine,
        normalised_cosine=normalised,
        inliers=float(len(found.pairs)),
        spread=found.spread,
        hull_area=found.area,
        agreement=found.agreement,
        inlier_share=found.share,
        mirrored=float(is_mirrored),
    )


def _as_reference(template: Template) -> Prepared:
    return Prepared(first(Prepared.from_bytes(template.detail).details, p.MAX_DETAILS))


def _better(
    probe: Prepared, candidate: Prepared, weights: Weights | None = None
) -> tuple[Verification, bool]:
    """The verification of the photograph or of its mirror image, whichever agrees more, and whether the latter."""
    plain = verify(probe.details, candidate.details, None if weights is None else weights.plain)
    if probe.mirrored is None or plain.spread >= p.CLEARLY:
        return plain, False
    other = verify(probe.mirrored, candidate.details, None if weights is None else weights.mirrored)
    return (other, True) if other.spread > plain.spread else (plain, False)


def evidence(probe: Template, candidate: Template) -> Evidence:
    """The inliers, the transform and the outlines of a comparison, in pixels of the two photographs as sent."""
    return _evidence(Prepared.from_bytes(probe.detail), _as_reference(candidate))


def _evidence(probe: Prepared, candidate: Prepared) -> Evidence:
    found, is_mirrored = _better(probe, candidate)
    if found.transform is None:
        return Evidence()
    details = probe.details if not is_mirrored or probe.mirrored is None else probe.mirrored
    one, other = details.xy[found.pairs[:, 0]].astype(np.float64), candidate.details.xy[found.pairs[:, 1]]
    transform = found.transform
    if is_mirrored:
        back = np.array([[-1.0, 0, details.width - 1], [0, 1, 0], [0, 0, 1]])
        one[:, 0] = details.width - 1 - one[:, 0]
        transform = transform @ back
    return Evidence(
        _points(one),
        _points(other),
        tuple(float(n) for n in (transform / transform[2, 2]).reshape(-1)),
        _points(hull(one.astype(np.float32))),
        _points(hull(other)),
    )


def _points(xy: NDArray[np.floating]) -> Points:
    return tuple((float(x), float(y)) for x, y in xy)

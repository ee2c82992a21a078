"""Compares what was taken down of one photograph with that of others."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.domain.answers import Evidence, Likelihood, Points, Score
from likeness.domain.errors import Corrupt
from likeness.domain.modality import Clutter
from likeness.domain.samples import Box, Template
from likeness.inference.concurrency.turns import Turns
from likeness.object import parameters as p
from likeness.object.fusion import Measures, fusion
from likeness.object.local import Details, Pixels, coded, first, mirrored, raw
from likeness.object.overlap import contradicted
from likeness.object.similarity import cosines
from likeness.object.verify import Verification, hull, verify

Floats = NDArray[np.float32]

_MAGIC = b"LKP1"
_LENGTHS = struct.Struct("<II")


@dataclass(frozen=True, eq=False, slots=True)
class PreparedObject:
    """The details of a photograph and, of a probe, those of its mirror image."""

    details: Details
    mirrored: Details | None = None

    def to_bytes(self) -> bytes:
        """Magic, two lengths, the details of each."""
        plain = self.details.to_bytes()
        mirrored = b"" if self.mirrored is None else self.mirrored.to_bytes()
        return _MAGIC + _LENGTHS.pack(len(plain), len(mirrored)) + plain + mirrored

    @classmethod
    def from_bytes(cls, data: bytes) -> PreparedObject:
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


def prepare(image: Pixels, region: Box | None = None, *, as_probe: bool = False) -> PreparedObject:
    """Take down the details of a photograph uint8 [h, w, 3] RGB inside a region, of all of it without one.

    A probe has more details, since it may show other things around the object, and those of its mirror image.
    """
    height, width = image.shape[:2]
    descriptors, geometry = raw(image, region, p.PROBE_DETAILS if as_probe else p.MAX_DETAILS)
    details = coded(descriptors, geometry, width, height, with_words=not as_probe)
    if not as_probe:
        return PreparedObject(details)
    strongest = slice(p.MAX_DETAILS)
    turned = mirrored(descriptors[strongest], geometry[strongest], width)
    return PreparedObject(details, coded(*turned, width, height, with_words=False))


def compare(
    probe: Template,
    candidates: Sequence[Template],
    clutter: Clutter | None = None,
    turns: Turns | None = None,
) -> list[Score]:
    """The score of the probe with each candidate, in order; see `measured`.

    Nothing is called strong where clutter was looked for in fewer than `CLUTTER_KNOWN_FROM` references.
    """
    weighing = fusion()
    known = clutter is not None and clutter.references >= p.CLUTTER_KNOWN_FROM
    scores = []
    for one in measured(probe, candidates, clutter, turns):
        value, parts = weighing.score(one), one.parts()
        band = weighing.likelihood(value, parts)
        if band is Likelihood.STRONG and not known:
            band = Likelihood.PROBABLE
        scores.append(Score(value, parts, band))
    return scores


def measured(
    probe: Template,
    candidates: Sequence[Template],
    clutter: Clutter | None = None,
    turns: Turns | None = None,
) -> list[Measures]:
    """What is measured between the probe and each candidate, in order.

    Of a candidate the vectors and as many details count as a reference has, so that it makes no difference whether
    it was read as one; of the probe every one. A candidate may be the mirror image of the probe: the better of the
    two counts, and the measures say which. What is measured with a candidate depends on no other candidate.

    Args:
        probe: what is compared.
        candidates: with what.
        clutter: how many references hold each detail of the probe; those beyond its end count in full, as all do
            if it is None.
        turns: at computing, to use idle cores, one of which the caller holds; None keeps to the calling thread.
    """
    if not candidates:
        return []
    plain, normalised = cosines(probe.vectors, [candidate.vectors for candidate in candidates])
    prepared = PreparedObject.from_bytes(probe.detail)

    weights = np.ones(len(prepared.details), np.float32)
    if clutter is not None:
        weights[: len(clutter.counts)] = worth(clutter.counts)

    def seen(part: Sequence[Template]) -> list[_Agreement]:
        return [_better(prepared, _as_reference(candidate), weights) for candidate in part]

    found = seen(candidates) if turns is None else turns.spread(seen, candidates, p.LEAST_PART)
    return [
        _measures(one, float(cosine), float(above))
        for one, cosine, above in zip(found, plain, normalised, strict=True)
    ]


@dataclass(frozen=True, eq=False, slots=True)
class _Agreement:
    """What a probe, or its mirror image, and a candidate agree on."""

    probe: Details
    candidate: Details
    found: Verification
    is_mirrored: bool


def worth(common: NDArray[np.int64]) -> Floats:
    """What a detail counts that so many references hold: 1 up to a few; beyond, it falls with their third power."""
    return np.asarray((p.UNCOMMON / np.maximum(common, p.UNCOMMON)) ** 3, np.float32)


def _measures(seen: _Agreement, cosine: float, normalised: float) -> Measures:
    found = seen.found
    return Measures(
        cosine=cosine,
        normalised_cosine=normalised,
        inliers=float(len(found.pairs)),
        spread=found.spread,
        hull_area=found.area,
        agreement=found.agreement,
        inlier_share=found.share,
        mirrored=float(seen.is_mirrored),
        contradicted=contradicted(seen.probe, seen.candidate, found)
        if found.spread > p.CHANCE_SPREAD
        else 0.0,
    )


def _as_reference(template: Template) -> PreparedObject:
    return PreparedObject(first(PreparedObject.from_bytes(template.detail).details, p.MAX_DETAILS))


def _better(probe: PreparedObject, candidate: PreparedObject, weights: Floats | None = None) -> _Agreement:
    """The photograph or its mirror image, whichever agrees more; `weights` as those of `verify`, of both."""
    plain = verify(probe.details, candidate.details, weights)
    if probe.mirrored is not None and plain.spread < p.CLEARLY:
        other = verify(probe.mirrored, candidate.details, weights)
        if other.spread > plain.spread:
            return _Agreement(probe.mirrored, candidate.details, other, True)
    return _Agreement(probe.details, candidate.details, plain, False)


def evidence(probe: Template, candidate: Template) -> Evidence:
    """The inliers, the transform and the outlines of a comparison, in pixels of the two photographs as sent."""
    return _evidence(PreparedObject.from_bytes(probe.detail), _as_reference(candidate))


def _evidence(probe: PreparedObject, candidate: PreparedObject) -> Evidence:
    seen = _better(probe, candidate)
    pairs, transform = seen.found.pairs, seen.found.transform
    if transform is None:
        return Evidence()
    one, other = seen.probe.xy[pairs[:, 0]].astype(np.float64), seen.candidate.xy[pairs[:, 1]]
    if seen.is_mirrored:
        width = seen.probe.width
        transform = transform @ np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]])
        one[:, 0] = width - 1 - one[:, 0]
    return Evidence(
        _points(one),
        _points(other),
        tuple(float(n) for n in (transform / transform[2, 2]).reshape(-1)),
        _points(hull(one.astype(np.float32))),
        _points(hull(other)),
    )


def _points(xy: NDArray[np.floating]) -> Points:
    return tuple((float(x), float(y)) for x, y in xy)

"""Compares what was taken down of one photograph with that of others."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.domain.answers import Evidence, Points, Score
from likeness.domain.errors import Corrupt
from likeness.domain.samples import Box
from likeness.object.fusion import fuse, likelihood
from likeness.object.local import Details, Pixels, describe
from likeness.object.verify import NOTHING, Verification, hull, verify

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


def prepare(image: Pixels, region: Box | None = None, *, mirrored: bool = False) -> Prepared:
    """Take down the details of a photograph uint8 [h, w, 3] RGB; of a probe those of its mirror image too."""
    details = describe(image, region)
    if not mirrored:
        return Prepared(details)
    if region is not None:
        region = Box(image.shape[1] - region.x - region.width, region.y, region.width, region.height)
    return Prepared(details, describe(np.ascontiguousarray(image[:, ::-1]), region))


def compare(probe: Prepared, candidates: Sequence[Prepared], cosines: Sequence[float]) -> list[Score]:
    """The score of the probe with each candidate, in order; `cosines` are those of their embeddings.

    A candidate may be the mirror image of the probe: the better of the two counts, and the parts say which.
    """
    scores = []
    for candidate, cosine in zip(candidates, cosines, strict=True):
        found, is_mirrored = _better(probe, candidate)
        value, parts = fuse(cosine, found)
        parts["mirrored"] = float(is_mirrored)
        scores.append(Score(value, parts, str(likelihood(value, parts))))
    return scores


def _better(probe: Prepared, candidate: Prepared) -> tuple[Verification, bool]:
    plain = verify(probe.details, candidate.details)
    other = NOTHING if probe.mirrored is None else verify(probe.mirrored, candidate.details)
    return (other, True) if other.spread > plain.spread else (plain, False)


def evidence(probe: Prepared, candidate: Prepared) -> Evidence:
    """The inliers, the transform and the outlines of a comparison, in pixels of the two photographs as sent."""
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

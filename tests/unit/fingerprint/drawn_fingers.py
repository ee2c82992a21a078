"""Drawn fingers as records and samples, for the tests of this package."""

from __future__ import annotations

from functools import cache

from likeness.domain.samples import Sample, Selection
from likeness.fingerprint.formats import Standard, write
from likeness.fingerprint.minutiae import FingerView, Minutiae, Record
from likeness.fingerprint.synthesis import impressions, record_of


@cache
def fingers(count: int = 12, each: int = 2, seed: int = 11) -> tuple[tuple[Minutiae, ...], ...]:
    """`each` impressions of `count` fingers."""
    return tuple(impressions(count, each, seed))


def view(finger: int, impression: int = 0, position: int = 0) -> FingerView:
    return record_of(fingers()[finger][impression], position).views[0]


def record(*views: FingerView, standard: Standard = Standard.ISO_2005) -> bytes:
    return write(Record("drawn", views), standard)


def sample(*views: FingerView, name: str = "a record", selection: Selection = Selection()) -> Sample:
    return Sample(record(*views), name=name, selection=selection)

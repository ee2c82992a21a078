"""Which kind of segment a build seals its rows in, chosen by size, and how a snapshot gets it back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.index.fourbit import CENTROIDS
from likeness.index.rows import Mask, RowMap
from likeness.index.scan import Vectors
from likeness.index.segments import Flat, Segment, Tail
from likeness.index.shortlisted import Shortlisted
from likeness.index.sixteenbit import Wide

FLAT_COMPONENTS = 8 << 20
"""Vectors times dimension up to which a flat scan is used: 65,536 x 128 or 16,384 x 512, 32 MiB.

One core reads that in 1.1 to 1.3 ms; a shortlist takes 0.8 to 1.0 ms, too little less to give up exactness for. At
twice the size it is 2.2 against 1.1 ms (`python benchmarks/index.py --sizes 65536x128 131072x128 16384x512`).
"""
_LEAST_DIMENSION = 16
"""Under this the codes are too short to tell vectors apart."""


def seal(segments: Sequence[Segment], alive: Mask, dimension: int, flat_components: int) -> Segment:
    """One sealed segment of every row in `segments` that `alive` bool [rows] marks.

    It is flat up to `flat_components` rows times dimension. Rows may be erased while it is made; erase them in
    the result as well.
    """
    rows = RowMap(np.flatnonzero(alive))
    large = len(rows) * dimension > flat_components
    if large and len(rows) >= CENTROIDS and dimension >= _LEAST_DIMENSION:
        return Shortlisted.build(rows, _wide(segments, alive, len(rows), dimension))
    vectors = np.empty((len(rows), dimension), np.float32)
    for start, block in _live(segments, alive):
        vectors[start : start + len(block)] = block
    return Flat(rows, vectors)


def restored(about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], dimension: int) -> Segment:
    """The segment that `state` described; raises KeyError, TypeError or ValueError where it describes none."""
    for kind in (Tail, Flat, Shortlisted):
        if about["kind"] == kind.kind:
            return kind.restored(about, arrays, dimension)
    raise ValueError(f"there is no kind of segment called {about['kind']!r}")


def _live(segments: Sequence[Segment], alive: Mask) -> Iterator[tuple[int, Vectors]]:
    """The vectors of live rows in blocks, each with the position of its first."""
    position = 0
    for segment in segments:
        for rows, vectors in segment.blocks():
            live = vectors[alive[rows]]
            yield position, live
            position += len(live)


def _wide(segments: Sequence[Segment], alive: Mask, count: int, dimension: int) -> Wide:
    peak = max((float(np.abs(block).max(initial=0)) for _, block in _live(segments, alive)), default=0.0)
    wide = Wide.reserve(count, dimension, peak)
    for start, block in _live(segments, alive):
        wide.put(start, block)
    return wide

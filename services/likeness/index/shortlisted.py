"""The kind for large galleries: shortlist by four-bit codes, then rank the shortlist at 16 bits.

Every allowed row is read in every search, so the recall does not depend on how many rows a filter leaves, as it
does with graphs and with inverted lists. Reading is cheap because a row's code is a sixteenth of its float32
size. `python benchmarks/index.py` compares it with the others. On one core at 1,000,000 x 128 and a recall@10 of
.99 it took 2.5 to 2.8 ms, a flat scan 18 ms, IVF1024,SQ8 4.7 ms (in so many dimensions half of the cells must be
read) and HNSW32,SQ8 7 ms (`--peer-size 1000000`), which took 435 s to build where this took 6, in twice the memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from likeness.index.fourbit import FourBit
from likeness.index.rows import Mask, RowMap, Rows
from likeness.index.scan import Neighbours, Vectors, nothing
from likeness.index.segments import SegmentState
from likeness.index.sixteenbit import Wide

GATHER_PART = 32
"""One row in this many allowed, or fewer: decoding them all beats reading every code."""
DEPTH_GROWTH = 0.75
"""Beyond k = 10 the shortlist grows with (k / 10) to this power. Measured on 500,000 x 128 and 100,000 x 512: for
a recall of .99 it must be 5.2 times as deep at k = 100 and 16 times at k = 500, an exponent of 0.71 to 0.74."""
DEPTH = 1024
"""Rows shortlisted for the best 10. On vectors like embeddings of faces the true best 10 of 1,000,000 are then
complete in more than 99 of 100 searches; the rest is noticed by SAFE_PART."""
SAFE_PART = 0.5
"""Share of a shortlist in which all of the best must lie for it to be trusted. Some of them further down say that
the codes cannot tell this probe's rows apart well, as when a filter leaves out all that is like it."""
DEEP_SHARE = 0.01
"""Share of the best that may lie further down all the same: none of 10, 1 of 100."""
DEEPER = 4
"""How many times deeper a shortlist is made that was not trusted."""
TRAIN_ROWS = 65_536
"""Rows that the codes are fitted to: 4,096 for each of the 16 centroids; more change nothing measurable."""
EXACT_PART = 8
"""A shortlist of one row in this many, or more, costs more than ranking all of them."""
_LEAST_K = 10
"""So many are ranked at least, that one lucky row high in a poor shortlist does not make it look safe."""
_SEED = 1


class Shortlisted:
    """Sealed rows, searched by codes and ranked by 16-bit vectors."""

    kind = "fourbit"

    def __init__(self, rows: RowMap, wide: Wide, codes: FourBit) -> None:
        self._rows = rows
        self._wide = wide
        self._codes = codes

    @classmethod
    def build(cls, rows: RowMap, wide: Wide) -> Shortlisted:
        """Code the vectors, one for each row; at least 16."""
        return cls(rows, wide, _coded(wide))

    @property
    def params(self) -> dict[str, int]:
        """`depth`: how many rows are shortlisted for the best 10."""
        return {"depth": DEPTH}

    @property
    def rows(self) -> RowMap:
        """The rows held."""
        return self._rows

    @property
    def nbytes(self) -> int:
        """Memory that codes, 16-bit vectors and row numbers take."""
        return self._codes.nbytes + self._wide.values.nbytes + self._rows.nbytes

    def search(self, queries: Vectors, k: int, allowed: Mask | None, *, exact: bool) -> Neighbours:
        """See `Segment.search`."""
        part = None if allowed is None else self._rows.part(allowed)
        count = len(self._wide) if part is None else int(np.count_nonzero(part))
        depth = int(DEPTH * max(1.0, (k / _LEAST_K) ** DEPTH_GROWTH))
        if part is not None and count == len(part):
            part = None
        if exact or count <= max(depth, len(self._wide) // GATHER_PART):
            scores, at = self._wide.search(queries, k, part)
        else:
            scores, at = self._rank(queries, max(k, _LEAST_K), depth, part, count)
            scores, at = scores[:, :k], at[:, :k]
        return scores, self._rows.rows_at(at)

    def blocks(self) -> Iterator[tuple[Rows, Vectors]]:
        """See `Segment.blocks`."""
        rows = self._rows.array()
        for start, vectors in self._wide.blocks():
            yield rows[start : start + len(vectors)], vectors

    def take(self, positions: NDArray[np.int64]) -> Vectors:
        """See `Segment.take`."""
        return self._wide.take(positions)

    def erase(self, row: int) -> None:
        """See `Segment.erase`; the code is overwritten as well."""
        position = self._rows.position(row)
        if position is not None:
            self._wide.values[position] = 0
            self._codes.erase(position)

    def state(self) -> SegmentState:
        """See `Segment.state`."""
        about: dict[str, object] = {
            "kind": self.kind,
            "scale": self._wide.scale,
            "radius": self._codes.radius,
            "faiss": faiss.__version__,
        }
        return about, {"rows": self._rows.array(), "wide": self._wide.values, **self._codes.state()}

    @classmethod
    def restored(
        cls, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], dimension: int
    ) -> Shortlisted:
        """The segment that `state` described; raises KeyError, TypeError or ValueError otherwise."""
        rows, values = RowMap(arrays["rows"]), arrays["wide"]
        if values.dtype != np.int16 or values.shape != (len(rows), dimension):
            raise ValueError("the 16-bit vectors have the wrong shape or type")
        wide = Wide(values, float(about["scale"]))
        if about["faiss"] == faiss.__version__:
            codes = FourBit.restored(arrays, len(wide), float(about["radius"]))
        else:
            codes = _coded(wide)  # another version may lay its code blocks out otherwise
        return cls(rows, wide, codes)

    def _rank(self, queries: Vectors, k: int, depth: int, part: Mask | None, count: int) -> Neighbours:
        """Shortlist and rank; a query whose best came from deep in its shortlist is asked again, deeper."""
        scores, at = nothing(len(queries), k)
        open_ = np.arange(len(queries))
        while len(open_):
            if depth >= count // EXACT_PART:
                scores[open_], at[open_] = self._wide.search(queries[open_], k, part)
                break
            shortlists = self._codes.nearest(queries[open_], depth, part)
            for query, shortlist in zip(open_, shortlists, strict=True):
                scores[query], at[query] = self._wide.search_at(queries[query][None], k, shortlist)
            deep = shortlists[:, int(SAFE_PART * depth) :]
            allowance = int(DEEP_SHARE * k)
            safe = [np.isin(best, low).sum() <= allowance for best, low in zip(at[open_], deep, strict=True)]
            open_ = open_[np.logical_not(safe)]
            depth *= DEEPER
        return scores, at


def _coded(wide: Wide) -> FourBit:
    radius = max((float(np.linalg.norm(vectors, axis=1).max()) for _, vectors in wide.blocks()), default=0.0)
    random = np.random.default_rng(_SEED)
    sample = np.sort(random.choice(len(wide), min(len(wide), TRAIN_ROWS), replace=False))
    codes = FourBit.train(wide.take(sample), radius)
    for _, vectors in wide.blocks():
        codes.add(vectors)
    return codes

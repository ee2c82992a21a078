"""A segment holds some of an index's rows. The growing tail is one; the sealed kinds are others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from likeness.index.rows import Mask, RowMap, Rows
from likeness.index.scan import Neighbours, Vectors, merge, nothing, scan

CHUNK_BYTES = 16 << 20
"""Memory of one chunk of the tail; it is reserved, and only pages that are written take memory."""
SegmentState = tuple[dict[str, object], dict[str, NDArray[np.generic]]]
"""What a segment says of itself (JSON) and its arrays, by name."""


class Segment(Protocol):
    """Rows that are searched together. Rows are numbered across the whole index and ascend in a segment."""

    @property
    def kind(self) -> str:
        """What it is called in names of generations and in snapshots."""

    @property
    def params(self) -> dict[str, int]:
        """What was chosen when it was built."""

    @property
    def rows(self) -> RowMap:
        """The rows held."""

    @property
    def nbytes(self) -> int:
        """Memory that the rows take."""

    def search(self, queries: Vectors, k: int, allowed: Mask | None, *, exact: bool) -> Neighbours:
        """The best `k` rows for each query. `allowed` is a bool per row of the index, from row 0."""

    def blocks(self) -> Iterator[tuple[Rows, Vectors]]:
        """Every row with its vector, in bounded blocks, in order."""

    def take(self, positions: NDArray[np.int64]) -> Vectors:
        """The vectors at these positions in `rows`."""

    def erase(self, row: int) -> None:
        """Overwrite the vector of this row with zeros, if it is here."""

    def state(self) -> SegmentState:
        """What the segment is restored from. Arrays that still grow are copied."""


class Tail:
    """Exact float32 vectors in fixed chunks that fill up. One writer; concurrent readers without locks."""

    kind = "tail"

    def __init__(self, first: int, dimension: int) -> None:
        self.first = first
        self._dimension = dimension
        self._per_chunk = max(1, CHUNK_BYTES // (4 * dimension))
        self._chunks: list[Vectors] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def params(self) -> dict[str, int]:
        """None."""
        return {}

    @property
    def rows(self) -> RowMap:
        """The rows held at this moment."""
        return RowMap.gapless(self.first, self._count)

    @property
    def nbytes(self) -> int:
        """Memory that the vectors take."""
        return self._count * 4 * self._dimension

    def add(self, vectors: Vectors) -> None:
        """Append the vectors; they are visible once all are in place."""
        count, done = self._count, 0
        while done < len(vectors):
            chunk, offset = divmod(count + done, self._per_chunk)
            if chunk == len(self._chunks):
                self._chunks.append(np.zeros((self._per_chunk, self._dimension), np.float32))
            part = vectors[done : done + self._per_chunk - offset]
            self._chunks[chunk][offset : offset + len(part)] = part
            done += len(part)
        self._count = count + done

    def search(self, queries: Vectors, k: int, allowed: Mask | None, *, exact: bool) -> Neighbours:  # noqa: ARG002
        """See `Segment.search`; always exact."""
        rows = self.rows
        part = None if allowed is None else rows.part(allowed)
        found: list[Neighbours] = []
        for start, chunk in self._filled(len(rows)):
            scores, at = scan(queries, chunk, k, None if part is None else part[start : start + len(chunk)])
            found.append((scores, np.where(at < 0, at, at + (self.first + start))))
        if len(found) == 1:
            return found[0]
        return merge(found, k) if found else nothing(len(queries), k)

    def blocks(self) -> Iterator[tuple[Rows, Vectors]]:
        """See `Segment.blocks`."""
        for start, chunk in self._filled(self._count):
            yield np.arange(self.first + start, self.first + start + len(chunk)), chunk

    def take(self, positions: NDArray[np.int64]) -> Vectors:
        """See `Segment.take`."""
        taken = np.empty((len(positions), self._dimension), np.float32)
        for i, position in enumerate(positions.tolist()):
            chunk, offset = divmod(position, self._per_chunk)
            taken[i] = self._chunks[chunk][offset]
        return taken

    def erase(self, row: int) -> None:
        """See `Segment.erase`."""
        if 0 <= row - self.first < self._count:
            chunk, offset = divmod(row - self.first, self._per_chunk)
            self._chunks[chunk][offset] = 0.0

    def state(self) -> SegmentState:
        """See `Segment.state`."""
        blocks = [vectors for _, vectors in self.blocks()] or [np.zeros((0, self._dimension), np.float32)]
        return {"kind": self.kind, "first": self.first}, {"vectors": np.concatenate(blocks)}

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], dimension: int) -> Tail:
        """The tail that `state` described; raises KeyError, TypeError or ValueError where it describes none."""
        tail = cls(int(about["first"]), dimension)
        tail.add(checked_vectors(arrays["vectors"], dimension))
        return tail

    def _filled(self, end: int) -> Iterator[tuple[int, Vectors]]:
        for chunk, start in enumerate(range(0, end, self._per_chunk)):
            yield start, self._chunks[chunk][: end - start]


class Flat:
    """Sealed, exact float32 vectors: every search reads all that are allowed."""

    kind = "flat"

    def __init__(self, rows: RowMap, vectors: Vectors) -> None:
        self._rows = rows
        self._vectors = vectors

    @property
    def params(self) -> dict[str, int]:
        """None."""
        return {}

    @property
    def rows(self) -> RowMap:
        """The rows held."""
        return self._rows

    @property
    def nbytes(self) -> int:
        """Memory that the vectors and the row numbers take."""
        return self._vectors.nbytes + self._rows.nbytes

    def search(self, queries: Vectors, k: int, allowed: Mask | None, *, exact: bool) -> Neighbours:  # noqa: ARG002
        """See `Segment.search`; always exact."""
        part = None if allowed is None else self._rows.part(allowed)
        scores, at = scan(queries, self._vectors, k, part)
        return scores, self._rows.rows_at(at)

    def blocks(self) -> Iterator[tuple[Rows, Vectors]]:
        """See `Segment.blocks`."""
        yield self._rows.array(), self._vectors

    def take(self, positions: NDArray[np.int64]) -> Vectors:
        """See `Segment.take`."""
        return self._vectors[positions]

    def erase(self, row: int) -> None:
        """See `Segment.erase`."""
        position = self._rows.position(row)
        if position is not None:
            self._vectors[position] = 0.0

    def state(self) -> SegmentState:
        """See `Segment.state`."""
        return {"kind": self.kind}, {"rows": self._rows.array(), "vectors": self._vectors}

    @classmethod
    def restored(cls, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], dimension: int) -> Flat:  # noqa: ARG003
        """The segment that `state` described; raises KeyError, TypeError or ValueError otherwise."""
        rows, vectors = RowMap(arrays["rows"]), checked_vectors(arrays["vectors"], dimension)
        if len(rows) != len(vectors):
            raise ValueError("a segment has not one row per vector")
        return cls(rows, vectors)


def checked_vectors(vectors: NDArray[Any], dimension: int) -> Vectors:
    """`vectors` if they are float32 [n, dimension]; raises ValueError otherwise."""
    if vectors.dtype != np.float32 or vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise ValueError(f"a segment's vectors are not float32 [n, {dimension}]")
    return vectors

"""Finds photographs by their local details: an inverted file of codes whose neighbours vote for their photograph.

Each detail of a probe asks for its nearest stored details. A neighbour's vote is the worth of its nearness against
that of the last one asked for, so a detail that many photographs share (a carpet, a ruler, a watermark) has
neighbours that are all equally near and gives next to nothing. Votes for a photograph count together only where
they agree on one turn and one scale (Jegou, Douze, Schmid: weak geometric consistency, ECCV 2008).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from likeness.index.nearest import FEW_ROWS, Agreement, NearestDetails, NearestInPart, Votes

Codes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

SLOTS = 512
"""Details that one row may hold; a stored detail is row * SLOTS + its place. A multiple of 8, for the bitmap."""
_MANY_LISTS = 64
_TURN = 256.0 / 360.0
_OCTAVE, _OCTAVE_ZERO = 16.0, 64.0  # a stored octave is 16 per doubling, 4 doublings under 1 pixel being 0


@dataclass(frozen=True, eq=False, slots=True)
class Asked:
    """The details of a probe: codes uint8 [n, d]; turn float32 [n] in degrees; octave float32 [n], log2 of size."""

    codes: Codes
    turn: Floats
    octave: Floats


class VotingIndex:
    """Details by row. One writer; any number of concurrent readers, none while a row is written.

    Args:
        words: float32 [k, d], centres of the inverted lists.
        neighbours: stored details asked for each detail of a probe.
        probes: lists visited for each.
        agreement: of neighbours of one row.
    """

    def __init__(
        self,
        words: Floats,
        *,
        neighbours: int,
        probes: int,
        agreement: Agreement,
    ) -> None:
        self._dimension = int(words.shape[1])
        self._neighbours, self._probes = neighbours, probes
        self._agreement = agreement
        self._quantiser = faiss.IndexFlatL2(self._dimension)
        self._quantiser.add(np.ascontiguousarray(words, np.float32))
        self._index = faiss.IndexIVFScalarQuantizer(
            self._quantiser,
            self._dimension,
            len(words),
            faiss.ScalarQuantizer.QT_8bit_direct,
            faiss.METRIC_L2,
            False,
        )
        self._index.is_trained = True
        self._index.parallel_mode = 0
        self._geometry = _Geometry()
        self._lock = _Shared()

    def __len__(self) -> int:
        """Rows that are held."""
        return self._geometry.rows

    @property
    def details(self) -> int:
        """Details of all rows together."""
        return int(self._index.ntotal)

    @property
    def nbytes(self) -> int:
        """Memory of codes, numbers and geometry, without the centres of the lists."""
        return self.details * (self._dimension + 8) + self._geometry.nbytes

    def nearest_words(self, codes: Codes) -> Ints:
        """The inverted list of each code, for `add`: what takes most of the time of adding a row."""
        if not len(codes):
            return np.zeros(0, np.int64)
        _, found = self._quantiser.search(codes.astype(np.float32), 1)
        return np.asarray(found.reshape(-1), np.int64)

    def add(self, row: int, codes: Codes, words: Ints, turn: Floats, octave: Floats) -> None:
        """Take in the details of a row, at most `SLOTS`: see `Asked`; `words` as from `nearest_words`."""
        codes, words = codes[:SLOTS].astype(np.float32), np.ascontiguousarray(words[:SLOTS], np.int64)
        ids = row * SLOTS + np.arange(len(codes), dtype=np.int64)
        with self._lock.exclusive():
            self._geometry.add(row, turn[:SLOTS], octave[:SLOTS])
            if len(codes):
                self._index.add_core(
                    len(codes), faiss.swig_ptr(codes), faiss.swig_ptr(ids), faiss.swig_ptr(words), None
                )

    def remove(self, row: int) -> None:
        """Forget the details of a row; a row that is not held is no error."""
        with self._lock.exclusive():
            if self._geometry.remove(row):
                self._blank(row)
                self._index.remove_ids(faiss.IDSelectorRange(row * SLOTS, (row + 1) * SLOTS))

    def _blank(self, row: int) -> None:
        """Overwrite the codes of a row: removing them only shortens the lists, and leaves them in memory."""
        lists: Any = self._index.invlists
        nothing = np.zeros(self._dimension, np.uint8)
        for number in range(self._index.nlist):
            ids = faiss.rev_swig_ptr(lists.get_ids(number), lists.list_size(number))
            for place in np.flatnonzero(ids // SLOTS == row).tolist():
                lists.update_entry(number, place, int(ids[place]), faiss.swig_ptr(nothing))

    def held(self, mask: NDArray[np.bool_]) -> int:
        """How many rows of the mask, bool [rows], are held."""
        return self._geometry.held(mask)

    def search(self, asked: Asked, count: int, mask: NDArray[np.bool_]) -> Votes:
        """The rows of the mask, bool [rows], that the details of a probe vote for; how common each detail is."""
        lists = _MANY_LISTS if np.count_nonzero(mask) < FEW_ROWS else self._probes
        return self._neighbours_of(asked, mask, lists).found(self._agreement, count)

    def nearest(self, asked: Asked, mask: NDArray[np.bool_]) -> NearestInPart:
        """What `search` is made of where the mask, bool [rows], is a part of what the search may see."""
        rows = int(np.count_nonzero(mask))
        few = self._neighbours_of(asked, mask, _MANY_LISTS) if rows < FEW_ROWS else None
        return NearestInPart(rows, self._neighbours_of(asked, mask, self._probes), few)

    def _neighbours_of(self, asked: Asked, mask: NDArray[np.bool_], lists: int) -> NearestDetails:
        if not len(asked.codes) or not self.details or not mask.any():
            return self._none(len(asked.codes))
        with self._lock.shared():
            distance, ids = self._nearest(asked.codes, mask, lists)
            stored = self._geometry.of(np.maximum(ids, 0).reshape(-1)).reshape(2, *ids.shape)
        rule = self._agreement
        angle = np.mod(asked.turn[:, None] - stored[0], 360.0) * (rule.angle_bins / 360.0)
        scale = np.clip(asked.octave[:, None] - stored[1] + rule.scale_bins / 2, 0, rule.scale_bins - 1e-3)
        return NearestDetails(
            distance,
            np.where(ids >= 0, ids // SLOTS, -1),
            (angle.astype(np.int64) % rule.angle_bins).astype(np.int8),
            scale.astype(np.int8),
        )

    def _none(self, details: int) -> NearestDetails:
        shape = (details, self._neighbours + 1)
        nothing = np.zeros(shape, np.int8)
        return NearestDetails(
            np.full(shape, np.inf, np.float32), np.full(shape, -1, np.int64), nothing, nothing
        )

    def _nearest(self, codes: Codes, mask: NDArray[np.bool_], lists: int) -> tuple[Floats, Ints]:
        """Distance and number of the nearest stored details of rows of the mask; infinite and -1 where missing."""
        parameters = faiss.SearchParametersIVF()
        parameters.nprobe = lists
        bits = np.repeat(np.where(mask, np.uint8(255), np.uint8(0)), SLOTS // 8)
        selector = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
        if not mask.all() or len(mask) < self._geometry.end:
            parameters.sel = selector
        squared, ids = self._index.search(codes.astype(np.float32), self._neighbours + 1, params=parameters)
        distance = np.sqrt(np.maximum(squared, 0.0))
        distance[ids < 0] = np.inf
        return distance, ids


class _Geometry:
    """Turn and octave of every stored detail, a byte each, in two arrays that grow; and where a row's begin."""

    def __init__(self) -> None:
        self._start = np.full(16, -1, np.int64)
        self._bytes = np.zeros((2, 1024), np.uint8)
        self._used = 0
        self._end = 0
        self._length: dict[int, int] = {}

    @property
    def rows(self) -> int:
        return len(self._length)

    def held(self, mask: NDArray[np.bool_]) -> int:
        """Rows of the mask that are held."""
        start = self._start[: len(mask)]
        return int(np.count_nonzero(mask[: len(start)] & (start >= 0)))

    @property
    def end(self) -> int:
        """One more than the highest row ever added."""
        return self._end

    @property
    def nbytes(self) -> int:
        return int(self._bytes.nbytes + self._start.nbytes)

    def add(self, row: int, turn: Floats, octave: Floats) -> None:
        while row >= len(self._start):
            self._start = np.concatenate([self._start, np.full(len(self._start), -1, np.int64)])
        end = self._used + len(turn)
        if end > self._bytes.shape[1]:
            grown = np.zeros((2, max(end, self._bytes.shape[1] * 3 // 2)), np.uint8)
            grown[:, : self._used] = self._bytes[:, : self._used]
            self._bytes = grown
        self._bytes[0, self._used : end] = np.mod(np.rint(turn * _TURN), 256)
        self._bytes[1, self._used : end] = np.clip(np.rint(octave * _OCTAVE + _OCTAVE_ZERO), 0, 255)
        self._start[row], self._length[row] = self._used, len(turn)
        self._used, self._end = end, max(self._end, row + 1)

    def remove(self, row: int) -> bool:
        length = self._length.pop(row, None)
        if length is None:
            return False
        start = int(self._start[row])
        self._bytes[:, start : start + length] = 0
        self._start[row] = -1
        return True

    def of(self, ids: Ints) -> Floats:
        """Turn in degrees and octave of stored details, float32 [2, n]."""
        at = self._start[ids // SLOTS] + ids % SLOTS
        found = self._bytes[:, at].astype(np.float32)
        found[0] /= np.float32(_TURN)
        found[1] = (found[1] - np.float32(_OCTAVE_ZERO)) / np.float32(_OCTAVE)
        return found


class _Shared:
    """A lock that readers share and a writer holds exclusively; a waiting writer goes before new readers."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._writers = 0  # waiting or writing
        self._writing = False

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold it as a reader."""
        with self._changed:
            self._changed.wait_for(lambda: not self._writers)
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold it as the writer."""
        with self._changed:
            self._writers += 1
            self._changed.wait_for(lambda: not self._readers and not self._writing)
            self._writing = True
        try:
            yield
        finally:
            with self._changed:
                self._writers -= 1
                self._writing = False
                self._changed.notify_all()

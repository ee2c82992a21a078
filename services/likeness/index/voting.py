"""Finds photographs by their local details: an inverted file of codes whose neighbours vote for their photograph.

Each detail of a probe asks for its nearest stored details. A neighbour's vote is the worth of its nearness against
that of the last one asked for, so a detail that many photographs share (a carpet, a ruler, a watermark) has
neighbours that are all equally near and gives next to nothing. Votes for a photograph count together only where
they agree on one turn and one scale (Jegou, Douze, Schmid: weak geometric consistency, ECCV 2008).
"""

from __future__ import annotations

import threading

import faiss
import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint8]
Floats = NDArray[np.float32]

_SLOTS = 1024
"""Details that one row may hold; a stored detail is row * _SLOTS + its place."""
_FLAT_BELOW = 20_000
"""Details under which every list is visited: cheaper than missing a neighbour in the next list."""
_EVERY_LIST = 64


class VotingIndex:
    """Details by row. One writer, any number of readers; a reader waits while a row is written.

    Args:
        words: float32 [k, d], centres of the inverted lists.
        neighbours: stored details asked for each detail of a probe.
        probes: lists visited for each.
        angle_bins: bins of 360 degrees of turn.
        scale_bins: bins of one doubling of size each.
    """

    def __init__(
        self, words: Floats, *, neighbours: int, probes: int, angle_bins: int, scale_bins: int
    ) -> None:
        self._dimension = int(words.shape[1])
        self._neighbours, self._probes = neighbours, probes
        self._angle_bins, self._scale_bins = angle_bins, scale_bins
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
        self._geometry: dict[int, Floats] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._geometry)

    @property
    def details(self) -> int:
        """Details of all rows together."""
        return int(self._index.ntotal)

    def add(self, row: int, codes: Codes, turn: Floats, octave: Floats) -> None:
        """Take in the details of a row: codes uint8 [n, d], turn float32 [n] degrees, octave float32 [n]."""
        codes, turn, octave = codes[:_SLOTS], turn[:_SLOTS], octave[:_SLOTS]
        ids = row * _SLOTS + np.arange(len(codes), dtype=np.int64)
        with self._lock:
            self._geometry[row] = np.stack([turn, octave]).astype(np.float32)
            if len(codes):
                self._index.add_with_ids(codes.astype(np.float32), ids)

    def remove(self, row: int) -> None:
        """Forget the details of a row."""
        with self._lock:
            if self._geometry.pop(row, None) is not None:
                self._index.remove_ids(faiss.IDSelectorRange(row * _SLOTS, (row + 1) * _SLOTS))

    def search(
        self, codes: Codes, turn: Floats, octave: Floats, count: int, mask: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], Floats]:
        """The rows of the mask, bool [rows], that the details of a probe vote for: rows and votes, best first."""
        if len(codes) == 0 or self.details == 0:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        with self._lock:
            asked, rows, votes, slots = self._neighbours_of(codes, mask)
            stored = np.stack(
                [self._geometry[row][:, slot] for row, slot in zip(rows, slots, strict=True)], axis=1
            )
        angle = np.mod(turn[asked] - stored[0], 360.0) * (self._angle_bins / 360.0)
        scale = np.clip(octave[asked] - stored[1] + self._scale_bins / 2, 0, self._scale_bins - 1e-3)
        return self._agreeing(rows, votes, angle, scale, count)

    def _neighbours_of(
        self, codes: Codes, mask: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, NDArray[np.int64]]:
        """For each vote: the probe's detail, the row, its worth, and the place in the row."""
        parameters = faiss.SearchParametersIVF()
        parameters.nprobe = _EVERY_LIST if self.details < _FLAT_BELOW else self._probes
        bits = np.packbits(np.repeat(mask, _SLOTS), bitorder="little")
        selector = faiss.IDSelectorBitmap(len(mask) * _SLOTS, faiss.swig_ptr(bits))
        if not mask.all():
            parameters.sel = selector
        wanted = self._neighbours + 1
        squared, ids = self._index.search(codes.astype(np.float32), wanted, params=parameters)
        distance = np.sqrt(np.maximum(squared, 0.0))
        distance[ids < 0] = np.inf
        # Where fewer were found than asked for, the last that was found sets no standard: twice the first does.
        last = np.where(np.isfinite(distance[:, -1]), distance[:, -1], 2.0 * distance[:, 0])
        worth = 1.0 - (distance[:, :-1] / np.maximum(last, 1e-6)[:, None])
        asked, place = np.nonzero((ids[:, :-1] >= 0) & (worth > 0))
        chosen = ids[asked, place]
        rows = chosen // _SLOTS
        known = np.fromiter((row < len(mask) and bool(mask[row]) for row in rows), np.bool_, len(rows))
        asked, place, rows, chosen = asked[known], place[known], rows[known], chosen[known]
        return asked, rows, worth[asked, place], chosen % _SLOTS

    def _agreeing(
        self, rows: NDArray[np.int64], votes: Floats, angle: Floats, scale: Floats, count: int
    ) -> tuple[NDArray[np.int64], Floats]:
        """Rows by their votes in the fullest pair of neighbouring bins of turn and scale."""
        unique, place = np.unique(rows, return_inverse=True)
        bins = np.zeros((len(unique), self._angle_bins, self._scale_bins), np.float32)
        a, s = angle.astype(np.int64) % self._angle_bins, scale.astype(np.int64)
        np.add.at(bins, (place, a, s), votes.astype(np.float32))
        both = bins + np.roll(bins, -1, axis=1)
        both[:, :, :-1] += both[:, :, 1:].copy()
        total = both.reshape(len(unique), -1).max(1)
        best = np.argsort(-total, kind="stable")[:count]
        return unique[best], total[best]

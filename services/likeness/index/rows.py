"""Which rows of an index a segment holds, and at which of its positions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]


class RowMap:
    """Ascending row numbers, one per position. Rows without gaps take no memory."""

    def __init__(self, rows: Rows) -> None:
        """`rows` int64 [n], ascending and distinct; raises ValueError otherwise."""
        if (
            rows.dtype != np.int64
            or rows.ndim != 1
            or np.any(np.diff(rows) <= 0)
            or (len(rows) and rows[0] < 0)
        ):
            raise ValueError("the rows of a segment do not ascend")
        self._first = int(rows[0]) if len(rows) else 0
        self._count = len(rows)
        gapless = not len(rows) or int(rows[-1]) - self._first + 1 == len(rows)
        self._listed = None if gapless else rows

    @classmethod
    def gapless(cls, first: int, count: int) -> RowMap:
        """The rows first, first + 1, ... in that number."""
        made = cls.__new__(cls)  # there is nothing to check, and a search asks for them each time
        made._first, made._count, made._listed = first, count, None
        return made

    def __len__(self) -> int:
        return self._count

    @property
    def end(self) -> int:
        """One more than the last row; 0 where there is none."""
        if self._listed is not None:
            return int(self._listed[-1]) + 1
        return self._first + self._count

    @property
    def nbytes(self) -> int:
        """Memory that the numbers take."""
        return 0 if self._listed is None else self._listed.nbytes

    def array(self) -> Rows:
        """The rows, int64 [n]."""
        return np.arange(self._first, self._first + self._count) if self._listed is None else self._listed

    def part(self, mask: Mask) -> Mask:
        """The mask's entry for each position; rows beyond the mask's end are False."""
        if self._listed is None:
            part = mask[self._first : self._first + self._count]
        else:
            part = mask[self._listed[: np.searchsorted(self._listed, len(mask))]]
        return part if len(part) == self._count else np.pad(part, (0, self._count - len(part)))

    def rows_at(self, positions: NDArray[np.int64]) -> Rows:
        """The row at each position; -1 stays -1."""
        if self._listed is None:
            return np.where(positions < 0, np.int64(-1), positions + self._first)
        return np.where(positions < 0, np.int64(-1), self._listed[positions])

    def position(self, row: int) -> int | None:
        """Where a row is, or None if it is not here."""
        if self._listed is None:
            return row - self._first if 0 <= row - self._first < self._count else None
        at = int(np.searchsorted(self._listed, row))
        return at if at < self._count and self._listed[at] == row else None

    def positions(self, rows: Rows) -> NDArray[np.int64]:
        """Where these rows are, int64 [n]; -1 for a row that is not here."""
        held = self.array()
        at = np.minimum(np.searchsorted(held, rows), max(self._count - 1, 0))
        return np.where(held[at] == rows, at, -1) if self._count else np.full(len(rows), -1)

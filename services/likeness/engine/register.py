"""Which row of an index belongs to which reference, and what may be done with it."""

from __future__ import annotations

from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from likeness.domain.errors import Corrupt
from likeness.domain.references import Facets
from likeness.index.columns import Columns, ColumnsState

_ID_BYTES = 16
_FIRST_ROWS = 1024


class Register:
    """Rows in order of enrolment; a reference has one row per vector, side by side.

    One writer; any number of concurrent readers, without locks. Identifiers are UUIDs, held as 16 bytes.
    """

    def __init__(self) -> None:
        self.columns = Columns()
        self._ids = np.zeros((_FIRST_ROWS, _ID_BYTES), np.uint8)
        self._first = np.zeros(_FIRST_ROWS, np.bool_)
        self._positions = np.zeros(_FIRST_ROWS, np.int64)
        self._further = 0
        self._rows: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def references(self) -> int:
        """References that were not removed."""
        return len(self._rows)

    def __contains__(self, reference_id: str) -> bool:
        return UUID(reference_id).bytes in self._rows

    def add(self, reference_id: str, facets: Facets, rows: int, position: int) -> None:
        """Append a reference with that many rows, enrolled at a log position after those of all before it."""
        self.columns.reserve(facets)  # first: where it is refused nothing is here
        key = UUID(reference_id).bytes
        first = len(self.columns)
        if first + rows > len(self._ids):
            self._grow(max(first + rows, 2 * len(self._ids)))
        self._ids[first : first + rows] = np.frombuffer(key, np.uint8)
        self._first[first] = True
        self._positions[first : first + rows] = position
        self._further += rows - 1
        self._rows[key] = first
        self.columns.append(facets, rows)  # last: it publishes the rows

    def _grow(self, capacity: int) -> None:
        held = min(len(self.columns), len(self._ids))
        ids, first = np.zeros((capacity, _ID_BYTES), np.uint8), np.zeros(capacity, np.bool_)
        positions = np.zeros(capacity, np.int64)
        ids[:held], first[:held], positions[:held] = (
            self._ids[:held],
            self._first[:held],
            self._positions[:held],
        )
        self._ids, self._first, self._positions = ids, first, positions

    def update(self, reference_id: str, facets: Facets) -> None:
        """Replace the facets of a reference."""
        for row in self.rows(reference_id):
            self.columns.set(row, facets)

    def remove(self, reference_id: str) -> range:
        """Hide a reference for good; returns the rows it had."""
        rows = self.rows(reference_id)
        for row in rows:
            self.columns.clear(row)
        self._rows.pop(UUID(reference_id).bytes, None)
        return rows

    def rows(self, reference_id: str) -> range:
        """The rows of a reference; empty if it is not here."""
        first = self._rows.get(UUID(reference_id).bytes)
        if first is None:
            return range(0)
        end = first + 1
        while end < len(self) and np.array_equal(self._ids[end], self._ids[first]):
            end += 1
        return range(first, end)

    def facets(self, reference_id: str) -> Facets | None:
        """The facets of a reference; None if it is not here, as what is no UUID never is."""
        try:
            first = self._rows.get(UUID(reference_id).bytes)
        except ValueError:
            return None
        return None if first is None else self.columns.get(first)

    def references_at(self, rows: NDArray[np.int64]) -> list[str]:
        """The reference that each row belongs to."""
        # As UUIDs are written, without the making of any: it takes a sixth of the time.
        every = self._ids[rows].tobytes().hex()
        ids = (every[start : start + 2 * _ID_BYTES] for start in range(0, len(every), 2 * _ID_BYTES))
        return [f"{d[:8]}-{d[8:12]}-{d[12:16]}-{d[16:20]}-{d[20:]}" for d in ids]

    def count(self, mask: NDArray[np.bool_]) -> int:
        """How many distinct references have a row in the mask, bool [rows]."""
        if self._further == 0:
            return int(np.count_nonzero(mask))
        return int(np.count_nonzero(mask & self._first[: len(mask)]))

    def references_in(self, mask: NDArray[np.bool_]) -> list[str]:
        """The references that have a row in the mask, in order of enrolment."""
        return list(dict.fromkeys(self.references_at(np.flatnonzero(mask))))

    def enrolled(self, mask: NDArray[np.bool_], after: int) -> NDArray[np.int64]:
        """Where in the log, after `after`, the references with a row in the mask were enrolled; ascending."""
        positions = self._positions[: len(mask)]
        begin = int(np.searchsorted(positions, after, side="right"))
        return positions[begin:][mask[begin:] & self._first[begin : len(mask)]]

    def capture(self) -> tuple[ColumnsState, NDArray[np.uint8], NDArray[np.int64]]:
        """A consistent copy of the facets, identifiers and positions of enrolment; call it from the writer."""
        state = self.columns.capture()
        count = len(state.cells)
        return state, self._ids[:count].copy(), self._positions[:count].copy()

    @classmethod
    def restore(cls, state: ColumnsState, ids: NDArray[np.uint8], positions: NDArray[np.int64]) -> Register:
        """What `capture` copied.

        Raises:
            Corrupt: the parts do not belong together.
        """
        made = cls()
        columns = Columns.restore(state)
        if ids.dtype != np.uint8 or ids.shape != (len(columns), _ID_BYTES):
            raise Corrupt(
                "The identifiers in a snapshot do not fit its rows; rebuild the index from the log."
            )
        if (
            positions.dtype != np.int64
            or positions.shape != (len(columns),)
            or np.any(np.diff(positions) < 0)
        ):
            raise Corrupt(
                "The positions of enrolment in a snapshot do not fit its rows; rebuild the index from the log."
            )
        made.columns = columns
        made._grow(max(len(ids), _FIRST_ROWS))
        made._ids[: len(ids)] = ids
        made._positions[: len(ids)] = positions
        made._first[: len(ids)] = _starts(ids)
        made._further = int(len(ids) - np.count_nonzero(made._first))
        raw = ids.tobytes()
        live = made.columns.mask(lambda _: True, None)
        for row in np.flatnonzero(live & made._first[: len(ids)]).tolist():
            made._rows[raw[row * _ID_BYTES : (row + 1) * _ID_BYTES]] = row
        return made


def _starts(ids: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which rows begin a reference: those whose identifier differs from the row before."""
    starts = np.ones(len(ids), np.bool_)
    starts[1:] = np.any(ids[1:] != ids[:-1], axis=1)
    return starts

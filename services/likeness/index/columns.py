"""Filter columns, parallel to the rows of vectors, turned into one boolean mask per search.

Facets repeat: a million references share a few hundred combinations of owner, galleries, category, status and
restrictions. Each distinct combination is interned as a code, so a predicate runs once per combination, its
answers become a look-up table, and the table is gathered over the rows in one vectorised pass (about 1 ms per
million rows; `benchmarks/index.py` prints it).

A row is one 64-bit cell that holds the code and the expiry together, so that a concurrent reader sees
a row before or after an update, never half of it.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from likeness.domain.errors import Corrupt, Exhausted, InvalidInput
from likeness.domain.facets import facets_as_json, facets_from_json
from likeness.domain.references import Facets

_EXPIRY_BITS = 40
"""Seconds since 1970 up to the year 36,812; the 23 bits above hold the code."""
_NEVER = (1 << _EXPIRY_BITS) - 1
_MAX_CODES = 1 << (63 - _EXPIRY_BITS)
_GONE = 0
"""The code of a row whose reference was expunged: no predicate is ever asked about it."""
_CACHED_TABLES = 256
"""Look-up tables cached for predicates that came with a key."""
_FIRST_ROWS = 1024
_NOTHING = np.zeros(0, np.bool_)

Allows = Callable[[Facets], bool]
"""Whether a row with these facets may take part; `expires_at` is always None here, the mask checks it."""


@dataclass(frozen=True, slots=True)
class ColumnsState:
    """A consistent copy of the columns: `cells` int64 [rows] and the distinct facets as JSON bytes, uint8 [n]."""

    cells: NDArray[np.int64]
    facets: NDArray[np.uint8]


class Columns:
    """The facets of every row. One writer; any number of concurrent readers, without locks."""

    def __init__(self) -> None:
        self._cells = np.zeros(_FIRST_ROWS, np.int64)
        self._count = 0
        self._soonest = _NEVER
        self._facets: list[Facets | None] = [None]
        self._codes: dict[Facets, int] = {}
        self._rows_of = [0]  # rows by code
        self._codes_in: dict[str, list[int]] = {}  # codes by gallery
        self._tables: OrderedDict[Hashable, NDArray[np.bool_]] = OrderedDict()
        self._tables_lock = threading.Lock()

    def __len__(self) -> int:
        return self._count

    @property
    def distinct(self) -> int:
        """How many combinations of facets are interned."""
        return len(self._codes)

    def append(self, facets: Facets, times: int = 1) -> int:
        """Add `times` rows with the same facets (one per vector of a reference); returns the first row."""
        cell = self._cell(facets)
        first, end = self._count, self._count + times
        if end > len(self._cells):
            grown = np.zeros(max(end, 2 * len(self._cells)), np.int64)
            grown[:first] = self._cells[:first]
            self._cells = grown
        self._cells[first:end] = cell
        self._rows_of[cell >> _EXPIRY_BITS] += times
        self._count = end  # last: a reader that sees the count sees the cells
        return first

    def set(self, row: int, facets: Facets) -> None:
        """Replace the facets of a row.

        Raises:
            InvalidInput: there is no such row, or it was cleared.
        """
        if self.get(row) is None:
            raise InvalidInput(f"Row {row} was cleared and takes no facets; append a new row.")
        self._replace(row, self._cell(facets))

    def clear(self, row: int) -> None:
        """Hide a row for good: its reference was expunged."""
        self._check(row)
        self._replace(row, _GONE << _EXPIRY_BITS)

    def _replace(self, row: int, cell: int) -> None:
        self._rows_of[int(self._cells[row]) >> _EXPIRY_BITS] -= 1
        self._rows_of[cell >> _EXPIRY_BITS] += 1
        self._cells[row] = cell

    def get(self, row: int) -> Facets | None:
        """The facets of a row, or None if it was cleared."""
        self._check(row)
        cell = int(self._cells[row])
        facets, expiry = self._facets[cell >> _EXPIRY_BITS], cell & _NEVER
        return facets if facets is None or expiry == _NEVER else replace(facets, expires_at=expiry)

    def mask(self, allows: Allows, now: int | None, *, key: Hashable = None) -> NDArray[np.bool_]:
        """Which rows may take part: bool [rows], True where `allows` says so and `expires_at` is after `now`.

        `now` is in Unix seconds; None leaves expiry aside. With a `key` the answers of `allows` are remembered
        under it, so give the same key only for the same predicate.
        """
        # Copied once, so that code and expiry are of the same moment, and before the table, so that it knows them.
        cells = self._cells[: self._count].copy()
        mask = self._table(allows, key).take(cells >> _EXPIRY_BITS)
        if now is not None and self._soonest <= now:
            mask &= (cells & _NEVER) > now
        return mask

    def has_gallery(self, gallery: str, allows: Allows, *, key: Hashable = None) -> bool:
        """Whether any row in this gallery may take part, its expiry left aside; `key` as that of `mask`."""
        codes = self._codes_in.get(gallery)
        if codes is None:
            return False
        table = self._table(allows, key)
        return any(self._rows_of[code] > 0 and table[code] for code in codes if code < len(table))

    def has_any(self, allows: Allows, *, key: Hashable = None) -> bool:
        """Whether any row may take part, its expiry left aside; `key` as that of `mask`. No row is looked at."""
        return any(self._rows_of[code] > 0 for code in np.flatnonzero(self._table(allows, key)).tolist())

    def capture(self) -> ColumnsState:
        """Copy the columns; call it from the writer."""
        described = json.dumps([None if f is None else facets_as_json(f) for f in self._facets]).encode()
        return ColumnsState(self._cells[: self._count].copy(), np.frombuffer(described, np.uint8))

    @classmethod
    def restore(cls, state: ColumnsState) -> Columns:
        """The columns as they were captured.

        Raises:
            Corrupt: the facets cannot be read, or a cell names facets that are not there.
        """
        made = cls()
        try:
            described = json.loads(state.facets.tobytes())
            made._facets = [None, *(facets_from_json(item) for item in described[1:])]
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise Corrupt(
                "The facets in a snapshot cannot be read; rebuild the index from the log."
            ) from error
        made._codes = {f: code for code, f in enumerate(made._facets) if f is not None}
        for facets, code in made._codes.items():
            made._place(facets, code)
        codes = state.cells >> _EXPIRY_BITS
        if len(codes) and (codes.min() < 0 or codes.max() >= len(made._facets)):
            raise Corrupt(
                "A row in a snapshot names facets that are not in it; rebuild the index from the log."
            )
        made._cells = state.cells.astype(np.int64, copy=True)
        made._count = len(state.cells)
        made._rows_of = np.bincount(codes, minlength=len(made._facets)).tolist()
        made._soonest = int((state.cells & _NEVER)[codes != _GONE].min(initial=_NEVER))
        return made

    def _cell(self, facets: Facets) -> int:
        expiry = _NEVER if facets.expires_at is None else min(max(facets.expires_at, 0), _NEVER - 1)
        self._soonest = min(self._soonest, expiry)
        bare = facets if facets.expires_at is None else replace(facets, expires_at=None)
        code = self._codes.get(bare)
        if code is None:
            code = len(self._facets)
            if code >= _MAX_CODES:
                raise Exhausted(
                    f"The index holds {_MAX_CODES:,} distinct combinations of facets and takes no more; "
                    "use fewer, shared restrictions, or split the gallery."
                )
            self._rows_of.append(0)
            self._facets.append(bare)
            self._codes[bare] = code
            self._place(bare, code)
        return code << _EXPIRY_BITS | expiry

    def _place(self, facets: Facets, code: int) -> None:
        for gallery in facets.galleries:
            self._codes_in.setdefault(gallery, []).append(code)

    def _table(self, allows: Allows, key: Hashable) -> NDArray[np.bool_]:
        """The predicate's answer for every code so far."""
        with self._tables_lock:
            table = self._tables.get(key, _NOTHING) if key is not None else _NOTHING
        fresh = [facets is not None and allows(facets) for facets in self._facets[len(table) :]]
        if fresh:
            table = np.concatenate([table, np.array(fresh, np.bool_)])
        if key is not None:
            with self._tables_lock:
                self._tables[key] = table
                self._tables.move_to_end(key)
                while len(self._tables) > _CACHED_TABLES:
                    self._tables.popitem(last=False)
        return table

    def _check(self, row: int) -> None:
        if not 0 <= row < self._count:
            raise InvalidInput(f"Row {row} is not one of the {self._count} rows in the index.")

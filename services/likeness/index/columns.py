"""Filter columns, parallel to the rows of vectors, turned into one boolean mask per search.

Facets repeat: a million references share a few hundred combinations of owner, galleries, category, status and
restrictions. Each distinct combination is interned as a code, so a predicate runs once per combination, its
answers become a look-up table, and the table is gathered over the rows in one vectorised pass (about 1 ms per
million rows; `benchmarks/index.py` prints it).

What a caller may know of is judged apart from what it asks for: once, and then only combinations that are new. A
filter is asked about what came through, so that none takes longer for what is hidden from the caller, and nobody
slows down the searches of others with combinations that they cannot see.

A row is one 64-bit cell that holds the code and the expiry together, so that a concurrent reader sees
a row before or after an update, never half of it.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from likeness.domain.errors import Corrupt, Exhausted, InvalidInput
from likeness.domain.facets import facets_as_json, facets_from_json
from likeness.domain.references import Facets
from likeness.index.sights import Allows, Sight, Tables

_EXPIRY_BITS = 40
"""Seconds since 1970 up to the year 36,812; the 23 bits above hold the code."""
_NEVER = (1 << _EXPIRY_BITS) - 1
_MAX_CODES = 1 << (63 - _EXPIRY_BITS)
_GONE = 0
"""The code of a row whose reference was expunged: no predicate is ever asked about it."""
_CACHED_TABLES = 512
"""Look-up tables cached for predicates that came with a key."""
_CACHED_SIGHTS = 1024
"""Look-up tables cached of what callers may know of; more than one goes with each caller's rights."""
_FIRST_ROWS = 1024


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
        self._tables = Tables(_CACHED_TABLES)
        self._sights = Tables(_CACHED_SIGHTS)

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

    def reserve(self, facets: Facets) -> None:
        """Make sure that a row with these facets can be added.

        Raises:
            Exhausted: there are too many distinct combinations of facets.
        """
        self._cell(facets)

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

    def mask(
        self, allows: Allows, now: int | None, *, key: Hashable = None, within: Sight | None = None
    ) -> NDArray[np.bool_]:
        """Which rows may take part: bool [rows], True where `allows` says so and `expires_at` is after `now`.

        `now` is in Unix seconds; None leaves expiry aside. With a `key` the answers of `allows` are remembered
        under it, so give the same key only for the same predicate. `allows` is asked about nothing that is not
        `within` a sight, if there is one, and no such row takes part.
        """
        # Copied once, so that code and expiry are of the same moment, and before the table, so that it knows them.
        cells = self._cells[: self._count].copy()
        mask = self._table(allows, key, within).take(cells >> _EXPIRY_BITS)
        if now is not None and self._soonest <= now:
            mask &= (cells & _NEVER) > now
        return mask

    def known_galleries(self, galleries: frozenset[str], within: Sight) -> frozenset[str]:
        """Those of the galleries that hold a row within the sight, its expiry left aside. No row is looked at."""
        named = self._table(
            lambda facets: not galleries.isdisjoint(facets.galleries),
            ("galleries", galleries, within.key),
            within,
        )
        unknown = galleries
        for code in np.flatnonzero(named).tolist():
            facets = self._facets[code]
            if facets is not None and self._rows_of[code] > 0:
                unknown -= facets.galleries
            if not unknown:
                break
        return galleries - unknown

    def has_any(self, allows: Allows, *, key: Hashable = None, within: Sight | None = None) -> bool:
        """Whether any row may take part, its expiry left aside; otherwise as `mask`. No row is looked at."""
        passed = np.flatnonzero(self._table(allows, key, within))
        return any(self._rows_of[code] > 0 for code in passed.tolist())

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
        return code << _EXPIRY_BITS | expiry

    def _table(self, allows: Allows, key: Hashable, within: Sight | None) -> NDArray[np.bool_]:
        """The predicate's answer for every code so far."""
        table = self._tables.get(key)
        if len(table) >= len(self._facets):
            return table
        if within is None:
            grown = self._judged(table, allows)
        else:
            seen = self._sights.get(within.key)
            if len(seen) < len(self._facets):
                seen = self._judged(seen, within.allows)
                self._sights.put(within.key, seen)
            grown = self._judged(table, allows, seen)
        self._tables.put(key, grown)
        return grown

    def _judged(
        self, table: NDArray[np.bool_], allows: Allows, seen: NDArray[np.bool_] | None = None
    ) -> NDArray[np.bool_]:
        """The table, grown by the answers for the codes that it lacks; of those not seen no one is asked."""
        known, end = len(table), len(self._facets) if seen is None else len(seen)
        grown = np.zeros(max(known, end), np.bool_)
        grown[:known] = table
        fresh = range(known, end) if seen is None else (known + np.flatnonzero(seen[known:])).tolist()
        for code in fresh:
            facets = self._facets[code]
            grown[code] = facets is not None and allows(facets)
        return grown

    def _check(self, row: int) -> None:
        if not 0 <= row < self._count:
            raise InvalidInput(f"Row {row} is not one of the {self._count} rows in the index.")

"""What a caller may know of, as a predicate over facets, and the answers to predicates that are remembered."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.domain.references import Facets

Allows = Callable[[Facets], bool]
"""Whether a row with these facets may take part; `expires_at` is always None here, the mask checks it."""

_CACHED_BYTES = 256 << 20
"""Of all the tables of one cache: enough for 1,000 callers at 250,000 combinations of facets."""
_EMPTY = np.zeros(0, np.bool_)


@dataclass(frozen=True, slots=True)
class Sight:
    """The references that a caller may know of, whatever it asks for. Equal keys stand for the same predicate."""

    allows: Allows
    key: Hashable


class Tables:
    """Tables of answers, bool [codes], by the key of a predicate; those used last are kept. Safe from many threads.

    Args:
        most: tables that are kept; fewer where they are large.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._tables: OrderedDict[Hashable, NDArray[np.bool_]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._tables)

    def get(self, key: Hashable) -> NDArray[np.bool_]:
        """The table of a key; an empty one where there is none, and for None."""
        if key is None:
            return _EMPTY
        with self._lock:
            table = self._tables.get(key)
            if table is None:
                return _EMPTY
            self._tables.move_to_end(key)
            return table

    def put(self, key: Hashable, table: NDArray[np.bool_]) -> None:
        """Keep a table in place of the one of that key; with None as the key nothing is kept."""
        if key is None:
            return
        with self._lock:
            self._bytes += table.nbytes - self._tables.pop(key, _EMPTY).nbytes
            self._tables[key] = table
            while len(self._tables) > self._most or (self._bytes > _CACHED_BYTES and len(self._tables) > 1):
                self._bytes -= self._tables.popitem(last=False)[1].nbytes

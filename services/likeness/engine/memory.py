"""Templates and references that were read lately, so that a small or much-searched gallery is not decrypted again
for every answer.

What is held equals what is stored. It follows the log, so that it drops what this process changes before the change
is acknowledged. Before anything that is held is used, the position up to which it has followed is compared with the
end of the log, where the changes of other processes stand too, and what they changed is dropped. A read that may
have begun before a change is not held.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from likeness.domain.changes import LogEntry
from likeness.domain.references import Reference
from likeness.domain.samples import Template
from likeness.domain.storage import Storage

CAPACITY = 8192
"""Entries of each kind."""

BUDGET = 128 << 20
"""Bytes of the templates cached. Those of 8192 faces take 8 MB; a fingerprint's takes 14 KB, an object's 19, and
that of a record of many fingers as much as it has fingers."""

_TAIL_BATCH = 256
"""Log entries read at once while catching up; bounds the memory that their templates take."""

_CHANGES = 8192
"""Changes remembered, to tell whether a read began before one of them."""

T = TypeVar("T")


def _nothing(_: object) -> int:
    return 0


def _bytes(template: Template) -> int:
    return template.vectors.nbytes + len(template.detail)


class _Cache(Generic[T]):
    """The entries of one kind used last, at most `capacity` and `budget` by what they weigh. Not locked."""

    def __init__(self, capacity: int, budget: int = 0, weigh: Callable[[T], int] = _nothing) -> None:
        self._capacity, self._budget, self._weigh = capacity, budget, weigh
        self._weight = 0
        self._entries: OrderedDict[str, T] = OrderedDict()

    def get(self, key: str) -> T | None:
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: str, entry: T) -> None:
        self.drop(key)
        self._entries[key] = entry
        self._weight += self._weigh(entry)
        while len(self._entries) > self._capacity or self._weight > self._budget:
            _, oldest = self._entries.popitem(last=False)
            self._weight -= self._weigh(oldest)

    def clear(self) -> None:
        self._entries.clear()
        self._weight = 0

    def drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._weight -= self._weigh(entry)


class Memory:
    """Reads through to the store. Thread-safe."""

    def __init__(self, store: Storage, *, capacity: int = CAPACITY, budget: int = BUDGET) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._references: _Cache[Reference] = _Cache(capacity)
        self._templates: _Cache[Template] = _Cache(capacity, budget, _bytes)
        self._changed: OrderedDict[str, int] = OrderedDict()
        self._known_since = 0
        self._position = store.head()
        store.follow(self._follow)

    def references(self, ids: Iterable[str]) -> dict[str, Reference]:
        """As `Storage.get_many`."""
        return self._through(self._references, ids, self._store.get_many)

    def templates(self, ids: Iterable[str]) -> dict[str, Template]:
        """As `Storage.templates`, in the order asked for."""
        return self._through(self._templates, ids, self._store.templates)

    def _follow(self, entries: Sequence[LogEntry]) -> None:
        """Drop what was changed, unless changes of other processes come before: `_confirm` reads them all."""
        with self._lock:
            for entry in entries:
                if entry.position == self._position + 1:
                    self._forget(entry)

    def _forget(self, entry: LogEntry) -> None:
        self._references.drop(entry.reference_id)
        self._templates.drop(entry.reference_id)
        self._changed[entry.reference_id] = entry.position
        self._changed.move_to_end(entry.reference_id)
        if len(self._changed) > _CHANGES:
            _, self._known_since = self._changed.popitem(last=False)
        self._position = entry.position

    def _confirm(self) -> None:
        """Follow the log to its end, whoever wrote it."""
        if self._store.head() - self._position > _CHANGES:
            self._forget_everything()
        while self._position < self._store.head():
            entries = self._store.tail(self._position, limit=_TAIL_BATCH)
            if not entries:
                return
            self._follow(entries)

    def _forget_everything(self) -> None:
        with self._lock:
            self._references.clear()
            self._templates.clear()
            self._changed.clear()
            self._position = self._known_since = self._store.head()

    def _through(
        self, cache: _Cache[T], ids: Iterable[str], read: Callable[[list[str]], Mapping[str, T]]
    ) -> dict[str, T]:
        self._confirm()
        listed = list(ids)
        with self._lock:
            found = {key: entry for key in listed if (entry := cache.get(key)) is not None}
            began = self._position
        missing = [key for key in listed if key not in found]
        if missing:
            fresh = read(missing)
            self._put(cache, fresh, began)
            found |= fresh
        return {key: found[key] for key in listed if key in found}

    def _put(self, cache: _Cache[T], fresh: Mapping[str, T], began: int) -> None:
        with self._lock:
            if began < self._known_since:
                return
            for key, entry in fresh.items():
                if self._changed.get(key, 0) <= began:
                    cache.put(key, entry)

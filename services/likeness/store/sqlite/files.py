"""The files of a store that SQLite keeps, by their names in its folder."""

from __future__ import annotations

DATABASE = "likeness.db"
WRITE_AHEAD_LOG = f"{DATABASE}-wal"
SHARED_MEMORY = f"{DATABASE}-shm"
JOURNAL = f"{DATABASE}-journal"
LOCK = "likeness.lock"
RESERVE = "likeness.reserve"

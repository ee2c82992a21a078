"""Identifiers sort by the moment at which they were made."""

from __future__ import annotations

import time
import uuid

import pytest

from likeness.domain import ids


def test_ids_sort_by_time_within_a_millisecond_too(monkeypatch: pytest.MonkeyPatch) -> None:
    start = 1_900_000_000_999_000_000
    moments = [start + nanoseconds for nanoseconds in range(0, 2_000_000, 500)]
    clock = iter(moments)
    monkeypatch.setattr(time, "time_ns", lambda: next(clock))
    made = [ids.new_id() for _ in moments]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_an_id_is_a_uuid_of_version_7_of_this_moment() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(ids.new_id())
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000

"""Quotas: counted with the act, in one transaction, whoever else counts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from likeness.domain.errors import Corrupt
from likeness.domain.quotas import DAY, HOUR, Charge, QuotaKind, QuotaReached
from likeness.store import quotas
from likeness.store.store import Store
from tests.unit.store.writes import act, enrol, open_store, tampering

EVENING = 1_800_000_000.0
"""A time that is neither the first nor the last of its hour, and of its day."""


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What time it is for the store; its only entry may be changed."""
    now = [EVENING]
    monkeypatch.setattr("likeness.store.store.time.time", lambda: now[0])
    return now


def charge(*names: str, limit: int = 2, **other: Any) -> Charge:
    return Charge(QuotaKind.PRINCIPAL, tuple((name,) for name in names), limit, **other)


def refusal(store: Store, *charges: Charge) -> QuotaReached | None:
    """What an act with these charges is refused with; it must then leave nothing."""
    before = store.audit_head().position
    try:
        store.audit(act(1), charges)
    except QuotaReached as reached:
        assert store.audit_head().position == before
        return reached
    assert store.audit_head().position == before + 1
    return None


def test_a_quota_ends_acts_until_its_window_does(store: Store, clock: list[float]) -> None:
    used = charge("a", seconds=HOUR)
    assert [refusal(store, used) is None for _ in range(4)] == [True, True, False, False]
    reached = refusal(store, used)
    assert reached is not None
    assert reached.reason == "QUOTA_OF_PRINCIPAL"
    assert reached.ends == int(EVENING) // HOUR * HOUR + HOUR
    assert reached.metadata == {"quota": "principal", "limit": "2", "ends": "2027-01-15T09:00:00Z"}
    assert reached.retry_after == reached.ends - EVENING
    clock[0] = reached.ends - 0.5
    assert refusal(store, used) is not None
    clock[0] = reached.ends
    assert refusal(store, used) is None


def test_what_is_counted_under_another_name_kind_or_window_is_another_quota(store: Store) -> None:
    used = charge("a", limit=1)
    assert refusal(store, used) is None
    assert refusal(store, used) is not None
    for other in (
        charge("b", limit=1),
        charge("a", limit=1, seconds=HOUR),
        replace(used, kind=QuotaKind.PROBE),
    ):
        assert refusal(store, other) is None


def test_a_refusal_counts_nothing_and_names_all_of_its_kind(store: Store) -> None:
    full = [replace(charge(name, limit=1), kind=QuotaKind.SUBJECT) for name in "ab"]
    assert refusal(store, *full) is None
    free = charge("c", limit=1)
    reached = refusal(store, free, *full)
    assert reached is not None
    assert reached.charges == tuple(full)
    assert reached.reason == "QUOTA_OF_SUBJECT"
    assert refusal(store, free) is None


def test_uses_beyond_a_limit_are_counted_where_that_is_asked_for(tmp_path: Path) -> None:
    used = replace(charge("a"), beyond=True)
    further = []
    for _ in range(2):
        with open_store(tmp_path) as store:
            found = [refusal(store, used) for _ in range(3)]
            further += [reached.further if reached is not None else 0 for reached in found]
    assert further == [0, 0, 1, 2, 3, 4]
    with open_store(tmp_path) as store:
        reached = refusal(store, replace(used, beyond=False))
        assert reached is not None
        assert reached.further == 0
        reached = refusal(store, used)
        assert reached is not None
        assert reached.further == 5


def test_several_names_are_used_up_where_enough_of_them_are(store: Store) -> None:
    seen = charge("a", "b", "c", limit=1, agreeing=2)
    assert refusal(store, seen) is None
    assert refusal(store, replace(seen, names=(("a",), ("x",), ("y",)))) is None
    assert refusal(store, replace(seen, names=(("a",), ("b",), ("z",)))) is not None
    assert refusal(store, replace(seen, names=(("a",),))) is not None, "all there are, where they are fewer"


def test_more_counts_than_one_statement_reads_are_each_counted(store: Store) -> None:
    used = [charge(f"name {i}") for i in range(2 * quotas.READ_TOGETHER + 1)]
    assert [refusal(store, *used) is None for _ in range(2)] == [True, True]
    for one in used:
        reached = refusal(store, one)
        assert reached is not None
        assert reached.charges == (one,)


def test_counts_outlive_the_process(tmp_path: Path) -> None:
    used = charge("a")
    for _ in range(2):
        with open_store(tmp_path) as store:
            assert refusal(store, used) is None
    with open_store(tmp_path) as store:
        assert refusal(store, used) is not None


def test_many_at_once_never_pass_the_limit(store: Store) -> None:
    used = charge("a", limit=40)
    with ThreadPoolExecutor(16) as pool:

        def one(number: int) -> bool:
            if number % 5 == 0:  # among commits of writes, too
                store.write([enrol(number)])
            try:
                store.audit(act(number), [used])
            except QuotaReached:
                return False
            return True

        assert sum(pool.map(one, range(100))) == 40


def test_ended_windows_are_pruned_and_others_stay(
    store: Store, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    day = charge("day", limit=1)
    names = [f"hour {i}" for i in range(5)]
    store.audit(act(1), [day, charge(*names, seconds=HOUR)])
    monkeypatch.setattr(quotas, "PRUNED_ROWS", 3)
    assert store.prune_quotas() == 0
    clock[0] += HOUR
    assert [store.prune_quotas() for _ in range(3)] == [3, 2, 0]
    assert refusal(store, day) is not None
    clock[0] += DAY
    assert store.prune_quotas() == 1


def test_no_name_is_stored_and_two_windows_cannot_be_linked(tmp_path: Path, clock: list[float]) -> None:
    with open_store(tmp_path) as store:
        store.audit(act(1), [charge("NCB-FR")])
        clock[0] += DAY
        store.audit(act(1), [charge("NCB-FR")])
    with tampering(tmp_path) as database:
        rows = database.execute("SELECT ends, key, used FROM quota").fetchall()
    assert [used for _, _, used in rows] == [1, 1]
    assert len({bytes(key) for _, key, _ in rows}) == 2
    assert all(len(key) == quotas.KEY_BYTES and b"NCB" not in bytes(key) for _, key, _ in rows)


def test_a_damaged_count_is_refused(tmp_path: Path) -> None:
    used = charge("a")
    with open_store(tmp_path) as store:
        store.audit(act(1), [used])
    with tampering(tmp_path) as database:
        database.execute("UPDATE quota SET used = 'few'")
    with open_store(tmp_path) as store, pytest.raises(Corrupt, match="count of a quota"):
        store.audit(act(1), [used])

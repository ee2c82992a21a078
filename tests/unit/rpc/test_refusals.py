"""So many refusals have an entry of their own; of all further ones the record has the number."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from likeness.domain.access import Grant, Principal
from likeness.domain.audit import AuditEntry
from likeness.domain.errors import Unavailable
from likeness.domain.quotas import DAY, Charge, QuotaLimits, QuotaReached
from likeness.domain.references import Caller, Purpose
from likeness.engine.audit import audit_refusal
from likeness.rpc.refusals import Refusals
from likeness.store.store import Store

ENDS = 4_000_000_000 // DAY * DAY
LIMITS = QuotaLimits(refusals=3, by_role={"examiner": {"refusals": 5}})


@pytest.fixture(autouse=True)
def one_window(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """When the window ends, which no clock brings about."""
    ends = [ENDS]
    monkeypatch.setattr(Charge, "ends", lambda *_: ends[0])
    return ends


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "data", key_file=tmp_path / "keys.json") as opened:
        yield opened


@pytest.fixture
def refusals(store: Store) -> Refusals:
    return Refusals(store, LIMITS)


def caller(name: str = "a", *roles: str) -> Caller:
    grant = Grant(principal=Principal(f"spiffe://hub/{name}"), policy="c0ffee", roles=frozenset(roles))
    return Caller("NCB-AA", Purpose.WANTED_PERSON, "case 7", "a clerk", grant)


def refuse(refusals: Refusals, who: Caller, times: int = 1) -> list[int]:
    """How many were without an entry, after each."""
    further = []
    for _ in range(times):
        try:
            refusals.record(audit_refusal("Get", "face", who, "NOT_FOUND"), who)
        except QuotaReached as reached:
            assert reached.reason == "QUOTA_OF_REFUSALS"
            further.append(reached.further)
        else:
            further.append(0)
    return further


def entries(store: Store) -> list[AuditEntry]:
    return [each.entry for each in store.audit_entries(limit=1000)]


def stated(store: Store) -> list[object]:
    """What the record has of those without an entry."""
    return [entry.details["further"] for entry in entries(store) if entry.rpc == "Refusals"]


def test_the_log_grows_by_the_limit_and_then_as_the_number_doubles(store: Store, refusals: Refusals) -> None:
    assert refuse(refusals, caller(), 103) == [0, 0, 0, *range(1, 101)]
    assert [entry.outcome for entry in entries(store)[:3]] == ["NOT_FOUND"] * 3
    assert stated(store) == [1, 2, 4, 8, 16, 32, 64]
    last = entries(store)[-1]
    assert (last.rpc, last.outcome) == ("Refusals", "QUOTA_OF_REFUSALS")
    assert (last.principal, last.policy, last.caller) == ("spiffe://hub/a", "c0ffee", Caller("NCB-AA"))
    assert last.details["window_ends"] == ENDS


def test_their_number_is_on_record_when_the_window_has_ended(
    store: Store, refusals: Refusals, one_window: list[int]
) -> None:
    refuse(refusals, caller(), 9)
    refuse(refusals, caller("b"), 4)
    assert stated(store) == [1, 2, 4, 1]
    assert not refusals.is_due
    refusals.settle(ENDS - 1)
    assert stated(store) == [1, 2, 4, 1]
    one_window[0] += DAY
    assert refuse(refusals, caller(), 5) == [0, 0, 0, 1, 2]
    refusals.settle(ENDS)
    refusals.settle(ENDS)
    assert stated(store) == [1, 2, 4, 1, 1, 2, 6]


def test_a_window_that_the_clock_has_ended_is_due_once(
    store: Store, refusals: Refusals, one_window: list[int]
) -> None:
    one_window[0] = 1
    refuse(refusals, caller(), 6)
    assert refusals.is_due
    refusals.settle()
    assert stated(store) == [1, 2, 3]
    assert not refusals.is_due


def test_their_number_is_on_record_when_the_service_stops(store: Store, refusals: Refusals) -> None:
    refuse(refusals, caller(), 8)
    refusals.close()
    refusals.close()
    assert stated(store) == [1, 2, 4, 5]


def test_a_service_that_comes_back_counts_on(store: Store, refusals: Refusals) -> None:
    refuse(refusals, caller(), 6)
    again = Refusals(store, LIMITS)
    assert refuse(again, caller(), 4) == [4, 5, 6, 7]
    again.close()
    assert stated(store) == [1, 2, 4, 7]


def test_each_principal_has_its_own_and_roles_may_have_more(store: Store, refusals: Refusals) -> None:
    assert refuse(refusals, caller("a"), 4) == [0, 0, 0, 1]
    assert refuse(refusals, caller("b"), 4) == [0, 0, 0, 1]
    assert refuse(refusals, caller("c", "examiner"), 6) == [0, 0, 0, 0, 0, 1]


def test_of_many_at_once_none_is_lost(store: Store, refusals: Refusals) -> None:
    with ThreadPoolExecutor(16) as pool:
        further = [n for one in pool.map(lambda _: refuse(refusals, caller()), range(203)) for n in one]
    assert sorted(further) == [0, 0, 0, *range(1, 201)]
    refusals.close()
    assert sorted(map(int, map(str, stated(store)))) == [1, 2, 4, 8, 16, 32, 64, 128, 200]


def test_what_could_not_be_recorded_is_the_answer_and_is_tried_again(
    store: Store, refusals: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(refusals, caller(), 6)

    def broken(*_: object) -> None:
        raise Unavailable("The disk is gone.")

    with monkeypatch.context() as patch:
        patch.setattr("likeness.rpc.refusals.audit_further", broken)
        with pytest.raises(Unavailable):
            refuse(refusals, caller())
        with pytest.raises(Unavailable):
            refusals.settle(math.inf)
    refusals.settle(math.inf)
    assert stated(store) == [1, 2, 4]

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from likeness.domain.audit import AuditMark
from likeness.domain.quotas import DAY, HOUR, Charge, QuotaKind
from likeness.engine import store_upkeep
from likeness.engine.store_upkeep import StoreUpkeep
from likeness.store.store import Store
from tests.unit.store.writes import act
from tests.waiting import eventually


def heads(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The audit heads that were logged, in order."""
    return [str(r.audit_head) for r in caplog.records if hasattr(r, "audit_head")]


def test_the_audit_head_is_logged_at_start_now_and_then_and_at_the_end_where_it_changed(
    store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "likeness")
    monkeypatch.setattr(store_upkeep, "TICK_SECONDS", 0.005)
    monkeypatch.setattr(store_upkeep, "HEAD_SECONDS", 0.0)
    upkeep = StoreUpkeep(store)
    upkeep.start()
    assert heads(caplog) == [f"0:{'0' * 64}"]
    store.audit(act(1))
    eventually(lambda: len(heads(caplog)) == 2)
    monkeypatch.setattr(store_upkeep, "HEAD_SECONDS", 3600.0)
    store.audit(act(2))
    store.audit(act(3))
    upkeep.close()
    end = store.audit_head()
    assert heads(caplog)[-1] == str(AuditMark(end.position, end.digest)) == f"3:{end.digest.hex()}"
    upkeep.log_head()  # not twice
    assert [head.partition(":")[0] for head in heads(caplog)].count("3") == 1


def test_what_is_logged_is_accepted_as_the_expected_head(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "likeness")
    with Store.open(tmp_path / "data", key_file=tmp_path / "keys.json") as store:
        store.audit(act(1))
        StoreUpkeep(store).log_head()
        store.audit(act(2))
    expected = AuditMark.parse(heads(caplog)[-1])
    Store.open(tmp_path / "data", key_file=tmp_path / "keys.json", expected=expected).close()


def test_quotas_of_ended_windows_are_deleted_until_none_is_left(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("likeness.store.quotas.PRUNED_ROWS", 2)
    names = tuple((str(n),) for n in range(5))
    store.audit(act(1), [Charge(QuotaKind.PRINCIPAL, names, 9, HOUR), Charge(QuotaKind.PROBE, names, 9, DAY)])
    now = time.time()
    monkeypatch.setattr("likeness.store.store.time.time", lambda: now + HOUR + 1)
    upkeep = StoreUpkeep(store)
    for _ in range(5):
        upkeep.tick()
    monkeypatch.setattr("likeness.store.store.time.time", lambda: now + DAY + 1)
    upkeep.tick()
    assert store.prune_quotas() == 2, "not looked for again within the hour"

"""What the composition puts on the metrics page."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

import likeness
from likeness.app.composition import Composed, compose
from likeness.app.settings import load
from likeness.domain.errors import LikenessError
from likeness.domain.operators import HostAct
from likeness.domain.storage import AuditReceipt
from likeness.inference.concurrency.memory import memory_limit
from likeness.inference.concurrency.turns import Turns
from likeness.store.act_socket import hand_over
from likeness.store.places import ACTS
from likeness.store.store import Store
from likeness.telemetry import metrics
from likeness.telemetry.build import REVISION_VARIABLE
from tests.waiting import PATIENCE


def value(name: str, **labels: str) -> float | None:
    return metrics.REGISTRY.get_sample_value(name, labels)


def test_what_runs_and_its_limits_are_known_even_where_the_store_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REVISION_VARIABLE, "0123abc")
    (tmp_path / "file").touch()
    settings = load(environment={"LIKENESS_HOME": str(tmp_path / "file"), "LIKENESS_QUEUE": "17"})
    with pytest.raises(LikenessError):
        compose(settings)
    labels = {"version": likeness.__version__, "revision": "0123abc", "python": platform.python_version()}
    assert value("likeness_build_info", **labels) == 1
    assert value("likeness_rpc_queue_limit") == 17
    assert value("likeness_memory_limit_bytes") == memory_limit()


def test_the_store_is_measured_from_its_opening(tmp_path: Path) -> None:
    with Store.open(tmp_path / "home", key_file=tmp_path / "keys.json") as store:
        composed = Composed(store, Turns(1))
        try:
            assert (value("likeness_store_bytes", kind="database") or 0) > 0
            assert (value("likeness_store_free_bytes") or 0) > 0
            assert value("likeness_audit_position") == 0
        finally:
            composed.close()


def test_operators_put_their_acts_on_record_while_it_is_composed(tmp_path: Path) -> None:
    def rotate() -> AuditReceipt | None:
        return hand_over(home, HostAct.ROTATE_KEYS, "", filters={}, details={}, seconds=PATIENCE)

    home = tmp_path / "home"
    with Store.open(home, key_file=tmp_path / "keys.json") as store:
        composed = Composed(store, Turns(1))
        try:
            assert rotate() is not None
            assert [record.entry.rpc for record in store.audit_entries()] == ["RotateKeys"]
        finally:
            composed.close()
    assert rotate() is None


def test_a_home_that_takes_no_socket_is_served(tmp_path: Path) -> None:
    (tmp_path / "home" / ACTS).mkdir(parents=True)
    with Store.open(tmp_path / "home", key_file=tmp_path / "keys.json") as store:
        Composed(store, Turns(1)).close()

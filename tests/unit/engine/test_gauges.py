"""Gauges are set from the start, go on while upkeep is busy, and one that fails leaves the others alone."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from likeness.domain.audit import AuditEntry
from likeness.domain.references import Caller, Purpose
from likeness.engine import gallery, gauges, upkeep
from likeness.engine.gauges import Gauges, report_store
from likeness.engine.opening import open_engine
from likeness.store.sqlite.files import RESERVE
from likeness.store.store import Store
from likeness.telemetry import metrics
from likeness.testing.vectors import VectorModality
from tests.support import Bench
from tests.waiting import PATIENCE, eventually


def value(name: str, **labels: str) -> float | None:
    return metrics.REGISTRY.get_sample_value(name, labels)


def test_the_chains_end_where_the_store_says(bench: Bench, store: Store) -> None:
    bench.enrol("1,0")
    bench.enrol("0,1")
    store.audit(AuditEntry("Search", Caller("NCB-FR", Purpose.MISSING_PERSON), "OK"))
    report_store(store)
    assert value("likeness_log_position") == store.head() == 2
    assert value("likeness_audit_position") == store.audit_head().position > 0


def test_the_space_is_that_of_the_file_system(store: Store) -> None:
    report_store(store)
    total, _, free = shutil.disk_usage(store.data_dir)
    assert value("likeness_store_capacity_bytes") == total
    assert value("likeness_store_free_bytes") == pytest.approx(free, rel=0.2)  # others write meanwhile


def test_files_are_counted_by_kind_and_foreign_folders_are_not(bench: Bench, store: Store) -> None:
    bench.enrol("1,0")
    home = store.data_dir
    for modality, size in (("face", 1000), ("object", 500)):
        (home / "snapshots" / modality).mkdir(parents=True)
        (home / "snapshots" / modality / "1.snapshot").write_bytes(bytes(size))
    (home / ".cache").mkdir()
    (home / ".cache" / "kernel.nbi").write_bytes(bytes(10_000_000))
    (home / RESERVE).write_bytes(bytes(700))
    sizes = store.sizes()
    assert set(sizes) == {"database", "wal", "snapshots", "reserve", "other"}
    assert sizes["reserve"] == 700
    assert sizes["database"] == (home / "likeness.db").stat().st_size > 0
    assert sizes["wal"] == (home / "likeness.db-wal").stat().st_size > 0
    assert sizes["snapshots"] == 1500
    assert 0 < sizes["other"] < 10_000_000
    report_store(store)
    assert value("likeness_store_bytes", kind="snapshots") == 1500


def test_a_home_without_snapshots_has_none(store: Store) -> None:
    assert store.sizes()["snapshots"] == 0


def test_a_gauge_that_fails_does_not_stop_the_others(
    bench: Bench, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gauges, "TICK_SECONDS", 0.01)
    ticks = threading.Semaphore(0)

    def broken() -> None:
        raise OSError("the disk is gone")

    running = Gauges(store)
    running.start()
    try:
        running.add(broken)
        running.add(ticks.release)
        assert all(ticks.acquire(timeout=PATIENCE) for _ in range(3))
        bench.enrol("1,0")
        eventually(lambda: value("likeness_log_position") == 1)
    finally:
        running.close()
        running.close()


def test_gauges_move_while_upkeep_is_busy(
    bench: Bench, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build takes an hour; gauges that stand still until then read as an index that is stuck."""
    busy, done = threading.Event(), threading.Event()

    def slow(*_: object, **__: object) -> object:
        busy.set()
        done.wait(PATIENCE)
        raise InterruptedError

    monkeypatch.setattr(upkeep, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(gauges, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(gallery, "measure_recall", slow)
    engine = open_engine(VectorModality(), store, None)
    running = Gauges(store)
    running.start()
    try:
        running.add(engine.upkeep.gauge)
        assert busy.wait(PATIENCE)
        bench.enrol("1,0")
        name = VectorModality().name
        eventually(lambda: value("likeness_index_log_position", modality=name) == store.head() == 1)
    finally:
        done.set()
        running.close()
        engine.close()


def test_the_interval_of_snapshots_is_known(store: Store, tmp_path: Path) -> None:
    name = VectorModality().name
    open_engine(VectorModality(), store, tmp_path / "snapshots", snapshot_seconds=77.0).close()
    assert value("likeness_snapshot_interval_seconds", modality=name) == 77

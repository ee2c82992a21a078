"""Commits that fail in the driver, and connections that are lost."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy.engine.default import DefaultDialect

from likeness.domain.errors import Unavailable
from likeness.domain.storage import only
from likeness.store.sqlite import backend
from likeness.store.sqlite.database import driver_of
from likeness.store.store import Store
from tests.unit.store.writes import (
    act,
    enrol,
)
from tests.waiting import PATIENCE, eventually


def test_after_a_commit_that_failed_half_way_the_next_one_is_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    commit: Callable[..., None] = DefaultDialect.do_commit
    tried: list[object] = []

    def busy_once(*words: Any) -> None:
        tried.append(words)
        if len(tried) > 1:
            commit(*words)
            return
        error = sqlite3.OperationalError("database is locked")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise error

    monkeypatch.setattr(DefaultDialect, "do_commit", busy_once)
    (refused,) = store.write([enrol(1, reference_id="a")])
    assert isinstance(refused, Unavailable)
    assert only(store.write([enrol(2, reference_id="b")])).position == 1
    assert "damaged" not in caplog.text
    assert list(store.get_many(["a", "b"])) == ["b"]


class BusyOnce:
    """A driver's connection whose first COMMIT fails, with the transaction left open."""

    def __init__(self, driver: sqlite3.Connection) -> None:
        self._driver = driver
        self.failed = False

    def execute(self, text: str) -> sqlite3.Cursor:
        if text == "COMMIT" and not self.failed:
            self.failed = True
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error
        return self._driver.execute(text)

    def executemany(self, text: str, rows: Any) -> sqlite3.Cursor:
        return self._driver.executemany(text, rows)


def test_after_an_audit_entry_that_failed_half_way_the_next_one_is_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.audit(act(1))
    driver = BusyOnce(driver_of(store._writer._connection))
    with monkeypatch.context() as patch:
        patch.setattr(backend, "driver_of", lambda _: driver)
        with pytest.raises(Unavailable, match="locked"):
            store.audit(act(2))
    assert driver.failed
    assert not driver_of(store._writer._connection).in_transaction
    assert store.audit(act(3)).position == 2
    assert only(store.write([enrol(1)])).position == 1
    assert [record.entry for record in store.audit_entries()] == [act(1), act(3)]
    assert store.verify_audit().ok


def test_a_driver_that_was_lost_is_replaced_after_one_refusal(store: Store) -> None:
    store.audit(act(1))
    driver_of(store._writer._connection).close()
    with pytest.raises(Unavailable, match="cannot be used"):
        store.audit(act(2))
    assert store.audit(act(3)).position == 2


def test_a_driver_that_was_lost_leaves_nobody_waiting(store: Store) -> None:
    store.audit(act(1))
    driver_of(store._writer._connection).close()
    with store._writer._between_commits, ThreadPoolExecutor(2) as pool:  # so that both are queued
        waiting = [pool.submit(store.audit, act(number)) for number in (2, 3)]
        eventually(lambda: store._writer._queue.unfinished_tasks == len(waiting))
        store._writer._between_commits.release()
        try:
            outcomes = [job.exception(timeout=PATIENCE) for job in waiting]
        finally:
            store._writer._between_commits.acquire()
    assert isinstance(outcomes[0] or outcomes[1], Unavailable)
    assert store.audit(act(4)).position >= 2
    assert store.verify_audit().ok

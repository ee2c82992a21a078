"""The log: tail, listeners, group commit, and damage that is noticed."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from likeness.domain.changes import ChangeKind, LogEntry
from likeness.domain.errors import Corrupt
from likeness.domain.storage import only
from likeness.store.audit import encode_entry
from likeness.store.log import read_log
from likeness.store.store import Store
from likeness.store.writer import AuditJob
from tests.unit.store.writes import (
    Damage,
    act,
    enrol,
    expunge,
    open_store,
    tampering,
    template,
    template_bytes,
    update,
)
from tests.waiting import PATIENCE, eventually


def fill(store: Store) -> None:
    """Six entries: a, b (object), c enrolled; a updated; c expunged; d enrolled."""
    first = enrol(1, reference_id="a")
    store.write([first, enrol(2, reference_id="b", modality="object"), enrol(3, reference_id="c")])
    changed = store.get("a")
    store.write([update(changed), expunge("c"), enrol(4, reference_id="d")])


def summary(entries: Sequence[LogEntry]) -> list[tuple[int, str, str, bool]]:
    return [(e.position, e.kind.value, e.reference_id, e.template is not None) for e in entries]


WHOLE = [
    (1, "enrol", "a", True),
    (2, "enrol", "b", True),
    (3, "enrol", "c", False),
    (4, "update", "a", False),
    (5, "expunge", "c", False),
    (6, "enrol", "d", True),
]


def test_the_tail_has_every_entry_and_the_templates_that_still_exist(store: Store) -> None:
    fill(store)
    entries = store.tail(0)
    assert summary(entries) == WHOLE
    assert template_bytes(entries[1].template) == template_bytes(template(2))
    assert entries[0].facets == store.get("a").facets
    assert entries[4].facets is None
    assert [e.modality for e in entries] == ["face", "object", "face", "face", "face", "face"]


def test_an_entry_of_a_newer_release_stops_whoever_reads_the_log(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        fill(store)
        seals = store._seals
        with tampering(tmp_path) as database:
            (previous,) = database.execute("SELECT digest FROM log WHERE position = 6").fetchone()
            row = (7, 0, "rename", "object", "b", None, "FR", "request-7", bytes(32))
            values = (*row, seals.chain(previous, row))
            database.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        assert summary(store.tail(0)) == WHOLE
        with store._reading() as connection:
            assert summary(read_log(connection, seals, 0, 6, None)) == WHOLE
            for modality in (None, "object", "face"):  # what it means for a modality only its writer knows
                with pytest.raises(Corrupt, match="A newer release wrote this log: entry 7") as refusal:
                    read_log(connection, seals, 0, 7, modality)
                assert refusal.value.reason == "LOG_TOO_NEW"
    with pytest.raises(Corrupt, match="Run the release that wrote it"):
        open_store(tmp_path)


def test_the_tail_is_cut_by_position_limit_and_modality(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("likeness.store.store.TAIL_CHUNK", 2)
    fill(store)
    assert summary(store.tail(0)) == WHOLE
    assert summary(store.tail(2, limit=3)) == WHOLE[2:5]
    assert summary(store.tail(0, modality="object", limit=1)) == WHOLE[1:2]
    assert summary(store.tail(2, modality="object")) == []
    assert summary(store.tail(0, modality="face", limit=4)) == [WHOLE[0], *WHOLE[2:5]]
    assert store.tail(6) == []


def test_a_listener_hears_templates_in_order_before_callers_are_answered(store: Store) -> None:
    heard: list[LogEntry] = []
    store.write([enrol(0)])
    assert store.follow(heard.extend) == 1
    write = enrol(1, reference_id="a")
    receipt = only(store.write([write]))
    assert [e.position for e in heard] == [receipt.position]
    assert template_bytes(heard[0].template) == template_bytes(template(1))
    store.write([expunge("a")])
    assert [(e.kind, e.at) for e in heard][1:] == [(ChangeKind.EXPUNGE, store.get("a").updated_at)]
    store.unfollow(heard.extend)
    store.write([enrol(2)])
    assert len(heard) == 2


def test_a_listener_that_fails_does_not_stop_the_writer(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[LogEntry] = []

    def fail(entries: Sequence[LogEntry]) -> None:
        raise RuntimeError("index trouble")

    store.follow(fail)
    store.follow(heard.extend)
    assert only(store.write([enrol(1)])).position == 1
    assert len(heard) == 1
    assert "index trouble" in caplog.text


@pytest.fixture
def held(settled: Store) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Two events: set when a commit of a write is under way, and to be set for it to go on."""
    entered, go_on = threading.Event(), threading.Event()

    def hold(entries: Sequence[LogEntry]) -> None:
        entered.set()
        go_on.wait(PATIENCE)

    settled.follow(hold)
    yield entered, go_on
    go_on.set()


@pytest.fixture
def settled(store: Store) -> Store:
    """A store whose writer has done what a start does, and waits."""
    eventually(lambda: store._writer._erase_at is None)
    return store


def test_what_waits_during_a_commit_shares_the_next_one(
    store: Store, held: tuple[threading.Event, threading.Event]
) -> None:
    entered, go_on = held
    with ThreadPoolExecutor(41) as pool:
        first = pool.submit(store.write, [enrol(0)])
        assert entered.wait(PATIENCE)
        audits = [pool.submit(store.audit, act(i)) for i in range(20)]
        writes = [pool.submit(store.write, [enrol(i)]) for i in range(20)]
        eventually(lambda: store._writer._queue.unfinished_tasks == 40)
        waiting: list[Future[Any]] = [first, *audits, *writes]
        assert not any(future.done() for future in waiting)
        go_on.set()
        assert sorted(a.result(PATIENCE).position for a in audits) == list(range(1, 21))
        receipts = [only(w.result(PATIENCE)) for w in writes]
    assert sorted(r.position for r in receipts) == list(range(2, 22))
    assert {r.at for r in receipts} == {record.at for record in store.audit_entries()}


def test_a_lone_caller_commits_in_its_own_thread(settled: Store) -> None:
    heard: list[threading.Thread] = []
    settled.follow(lambda entries: heard.append(threading.current_thread()))
    settled.write([enrol(0)])
    assert heard == [threading.current_thread()]


def test_nobody_overtakes_what_waits(store: Store) -> None:
    """The writer's thread has taken a job and waits to commit it; who comes now could commit, and must not.

    Nor can a job that waits be cancelled.
    """
    earlier, later = AuditJob(encode_entry(act(1))), AuditJob(encode_entry(act(2)))
    with store._writer._between_commits, ThreadPoolExecutor(1) as pool:
        pool.submit(store._writer.submit, earlier).result(PATIENCE)
        store._writer.submit(later)
        assert not later.future.done()
        assert not later.future.cancel()
    assert (earlier.future.result(PATIENCE).position, later.future.result(PATIENCE).position) == (1, 2)


def test_closing_waits_for_a_commit_in_a_callers_thread(
    store: Store, held: tuple[threading.Event, threading.Event]
) -> None:
    entered, go_on = held
    with ThreadPoolExecutor(2) as pool:
        write = pool.submit(store.write, [enrol(0)])
        assert entered.wait(PATIENCE)
        closing = pool.submit(store.close)
        with pytest.raises(TimeoutError):
            closing.result(0.2)
        go_on.set()
        closing.result(PATIENCE)
        assert only(write.result(PATIENCE)).position == 1


def test_many_threads_leave_no_gap_and_lose_nothing(store: Store) -> None:
    heard: list[int] = []
    store.follow(lambda entries: heard.extend(e.position for e in entries))
    got: list[int] = []

    def work(number: int) -> None:
        for i in range(10):
            got.append(only(store.write([enrol(number * 100 + i)])).position)
            store.audit(act(i))
            store.tail(0, limit=5)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == heard == list(range(1, 81))
    assert store.verify(full=True).problems == ()
    assert store.audit_head().position == 80


DAMAGES: dict[str, Damage] = {
    "an entry taken out": lambda db: db.execute("DELETE FROM log WHERE position = 4"),
    "the last entry taken out": lambda db: db.execute("DELETE FROM log WHERE position = 6"),
    "facets changed": lambda db: db.execute(
        "UPDATE log SET facets = replace(facets, 'FR', 'DE') WHERE position = 4"
    ),
    "an entry's type changed": lambda db: db.execute(
        "UPDATE log SET kind = CAST(kind AS BLOB) WHERE position = 2"
    ),
    "two entries swapped": lambda db: db.executescript(
        "UPDATE log SET position = 100 WHERE position = 1; UPDATE log SET position = 1 WHERE position = 2;"
        "UPDATE log SET position = 2 WHERE position = 100"
    ),
    "a template taken out": lambda db: db.execute("DELETE FROM template WHERE key = 2"),
    "two templates swapped": lambda db: db.execute(
        "UPDATE template SET body = (SELECT body FROM template WHERE key = 1) WHERE key = 2"
    ),
    "an expunged reference brought back": lambda db: db.execute(
        "UPDATE reference SET status = 'active' WHERE reference_id = 'c'"
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_is_noticed_when_the_log_is_read(tmp_path: Path, damage: Damage) -> None:
    with open_store(tmp_path) as store:
        fill(store)
    with tampering(tmp_path) as database:
        damage(database)
    with pytest.raises(Corrupt, match=r"[Rr]estore"), open_store(tmp_path) as store:
        store.tail(0)

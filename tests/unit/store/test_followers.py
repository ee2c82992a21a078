"""Named followers of the log: each entry is derived from once, whatever fails in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine.default import DefaultDialect

from likeness.domain.errors import Corrupt, InvalidInput, LikenessError, Stale, Unavailable
from likeness.domain.storage import Derived
from likeness.store.followers import MAX_NAME_BYTES, prepare_step
from likeness.store.prepare import prepare
from likeness.store.store import Store
from likeness.store.vault import KeyRing
from likeness.store.writer import FollowJob, Job, WriteJob
from tests.unit.store.writes import Damage, act, enrol, open_store, tampering

NAME = "probes"


def acts(store: Store) -> list[str]:
    """The cases of the acts on record, in order."""
    return [record.entry.caller.case_reference for record in store.audit_entries()]


def derive(store: Store, limit: int = 1) -> int:
    """What a follower does in one step: an act for each entry after its position."""
    after = store.followed(NAME)
    entries = store.tail(after, limit=limit)
    if entries:
        found = [act(entry.position) for entry in entries]
        store.advance(Derived(NAME, after, entries[-1].position, found))
    return len(entries)


def test_each_entry_is_derived_from_once_across_restarts(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.write([enrol(i) for i in range(3)])
        assert store.followed(NAME) == 0
        assert derive(store) == 1
    with open_store(tmp_path) as store:
        assert store.followed(NAME) == 1
        assert derive(store, limit=5) == 2
        assert derive(store) == 0
        assert acts(store) == ["case-1", "case-2", "case-3"]
        assert store.verify(full=True).problems == ()


def test_a_step_without_anything_derived_moves_the_follower(store: Store) -> None:
    store.write([enrol(1), enrol(2)])
    assert store.advance(Derived(NAME, 0, 2)) == []
    assert (store.followed(NAME), store.followed("another")) == (2, 0)
    assert store.audit_head().position == 0


@pytest.mark.parametrize("begun", [False, True])
def test_a_transaction_that_fails_moves_nothing_and_derives_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    store.write([enrol(1), enrol(2)])
    if begun:
        derive(store)
    before = (store.followed(NAME), acts(store), store.audit_head())

    commit: Callable[..., None] = DefaultDialect.do_commit

    def lost_once(*words: Any) -> None:
        monkeypatch.setattr(DefaultDialect, "do_commit", commit)
        raise Unavailable("The disk is gone.")

    monkeypatch.setattr(DefaultDialect, "do_commit", lost_once)
    with pytest.raises(Unavailable, match="gone"):
        derive(store)
    assert (store.followed(NAME), acts(store), store.audit_head()) == before
    while derive(store):
        pass
    assert (store.followed(NAME), acts(store)) == (2, ["case-1", "case-2"])


def test_the_same_step_of_two_processes_is_taken_once(store: Store) -> None:
    store.write([enrol(1), enrol(2)])
    (first,) = store.advance(Derived(NAME, 0, 1, [act(1)]))
    with pytest.raises(Stale, match="at log position 1, not at 0") as refusal:
        store.advance(Derived(NAME, 0, 2, [act(1), act(2)]))
    assert refusal.value.metadata == {"follower": NAME, "position": "1"}
    assert (store.followed(NAME), acts(store)) == (1, ["case-1"])
    assert store.audit_head() == first


def test_a_refused_step_does_not_hold_up_what_shares_its_commit(store: Store) -> None:
    store.write([enrol(1)])
    jobs: list[Job] = [
        FollowJob(prepare_step(Derived(NAME, 0, 1, [act(1)]))),
        FollowJob(prepare_step(Derived(NAME, 0, 1, [act(1)]))),
        WriteJob([prepare(enrol(2, reference_id="b"), store._seals)]),
        FollowJob(prepare_step(Derived(NAME, 1, 2, [act(2)]))),  # an entry that is not durable yet
        FollowJob(prepare_step(Derived("another", 0, 1, [act(7)]))),
    ]
    for job in jobs:
        job.future.set_running_or_notify_cancel()
    with store._writer._between_commits:
        store._writer._process(jobs)
    refused = [job.future.exception() for job in jobs]
    assert [type(error) for error in refused] == [type(None), Stale, type(None), InvalidInput, type(None)]
    assert acts(store) == ["case-1", "case-7"]
    assert (store.followed(NAME), store.followed("another"), store.head()) == (1, 1, 2)
    assert store.verify(full=True).problems == ()


@pytest.mark.parametrize(
    ("name", "after", "position"),
    [("", 0, 1), ("n" * (MAX_NAME_BYTES + 1), 0, 1), (NAME, 1, 1), (NAME, 1, 0), (NAME, -1, 1), (NAME, 0, 2)],
)
def test_a_step_that_is_none_is_refused(store: Store, name: str, after: int, position: int) -> None:
    store.write([enrol(1)])
    with pytest.raises(InvalidInput):
        store.advance(Derived(name, after, position, [act(1)]))
    assert (store.followed(name), acts(store)) == (0, [])


DAMAGES: dict[str, Damage] = {
    "moved back": lambda db: db.execute("UPDATE follower SET position = 1"),
    "renamed": lambda db: db.execute("UPDATE follower SET name = 'another'"),
    "ahead of the log": lambda db: db.execute("UPDATE follower SET position = 9"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_position_that_another_program_changed_is_refused(tmp_path: Path, damage: Damage) -> None:
    with open_store(tmp_path) as store:
        store.write([enrol(1), enrol(2)])
        derive(store, limit=2)
    with tampering(tmp_path) as database:
        damage(database)
        (name,) = database.execute("SELECT name FROM follower").fetchone()
    with open_store(tmp_path) as store:
        with pytest.raises(Corrupt, match="does not match its seal"):
            store.followed(name)
        with pytest.raises(LikenessError, match="does not match its seal"):
            store.advance(Derived(name, 1, 2, [act(3)]))
        assert len(store.verify(full=True).problems) == 1
        assert acts(store) == ["case-1", "case-2"]


def test_the_key_that_a_position_was_sealed_with_may_be_retired(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.write([enrol(1), enrol(2)])
        derive(store)
    ring = tmp_path / "key.json"
    old = KeyRing.load(ring).active
    KeyRing.rotate(ring)
    with open_store(tmp_path) as store:
        assert store.reseal().finished
        assert store.old_keys() == frozenset()
    KeyRing.remove(ring, old)
    with open_store(tmp_path) as store:
        assert store.followed(NAME) == 1
        assert derive(store) == 1
        assert store.verify(full=True).problems == ()

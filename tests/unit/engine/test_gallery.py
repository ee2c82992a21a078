from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from likeness.domain.changes import LogEntry
from likeness.domain.deadline import CallDeadline, Deadline
from likeness.domain.errors import Corrupt, DeadlineExceeded, Exhausted, LikenessError
from likeness.domain.modality import TemplateSpace
from likeness.domain.references import Facets, Status
from likeness.domain.samples import Template
from likeness.domain.scope import Scope
from likeness.engine import gallery
from likeness.engine.gallery import Gallery
from likeness.engine.opening import open_engine
from likeness.engine.register import Register
from likeness.engine.upkeep import open_gallery
from likeness.index import columns
from likeness.index.scan import Neighbours, Vectors, nothing
from likeness.index.snapshot import Snapshots, furthest
from likeness.index.vectors import VectorIndex
from likeness.store.store import Store
from likeness.testing.vectors import DIMENSION, SPACE, VectorModality
from tests.support import ALICE, Bench
from tests.waiting import PATIENCE


def ids(held: Gallery) -> list[str]:
    return held.allowed_ids(held.view(Scope(ALICE)))


def fill(bench: Bench) -> tuple[str, str, str]:
    unchanged, moved, gone = (bench.enrol(text).reference for text in ("1,0", "0,1", "0,0,1"))
    facets = Facets("NCB-AA", galleries=frozenset({"moved"}))
    bench.engine.update(ALICE, bench.key(ALICE), replace(moved, facets=facets))
    bench.engine.expunge(ALICE, bench.key(ALICE), gone.reference_id, reason="test")
    return unchanged.reference_id, moved.reference_id, gone.reference_id


def test_a_fold_of_the_whole_log_equals_the_one_that_followed_it(bench: Bench, store: Store) -> None:
    unchanged, moved, _ = fill(bench)
    again = Gallery("face", bench.gallery.space, store)
    again.start()
    assert ids(again) == ids(bench.gallery) == [unchanged, moved]
    assert again.position == bench.gallery.position == store.head()


def test_a_snapshot_and_the_tail_equal_the_whole_log(bench: Bench, store: Store) -> None:
    unchanged, moved, gone = fill(bench)
    snapshot = bench.gallery.capture()
    later = bench.enrol("0,0,0,1").reference.reference_id
    bench.engine.expunge(ALICE, bench.key(ALICE), unchanged, reason="later")
    restored = Gallery("face", bench.gallery.space, store)
    restored.restore(snapshot)
    restored.start()
    assert ids(restored) == [moved, later]
    probe = Template(SPACE, "vectors@1", np.eye(1, DIMENSION, dtype=np.float32))
    found = restored.shortlist(probe, 10, restored.view(Scope(ALICE))).ids
    assert set(found) == {moved, later}
    assert gone not in found


def test_a_snapshot_of_another_space_or_another_log_is_refused(
    bench: Bench, store: Store, tmp_path: Path
) -> None:
    fill(bench)
    snapshot = bench.gallery.capture()
    with pytest.raises(Corrupt, match="holds templates of"):
        Gallery("face", TemplateSpace("other/1", DIMENSION), store).restore(snapshot)
    with (
        Store.open(tmp_path / "other", key_file=tmp_path / "other.json") as other,
        pytest.raises(Corrupt, match="the log ends at 0: the database is an older copy"),
    ):
        Gallery("face", bench.gallery.space, other).restore(snapshot)


def test_an_engine_leaves_a_snapshot_and_starts_from_it(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "snapshots"
    first = open_engine(VectorModality(), store, folder)
    bench = Bench(VectorModality(), store)
    unchanged, moved, _ = fill(bench)
    first.close()
    assert list(folder.glob("*.snapshot"))
    second = open_engine(VectorModality(), store, folder)
    assert ids(second.gallery) == [unchanged, moved]
    second.close()


def test_no_snapshot_takes_the_space_that_is_left_for_the_audit(tmp_path: Path) -> None:
    folder = tmp_path / "snapshots"
    with Store.open(tmp_path / "data", key_file=tmp_path / "keys.json", reserve_bytes=4096) as store:
        running = open_engine(VectorModality(), store, folder, snapshot_seconds=0.0)
        fill(Bench(VectorModality(), store))
        assert store._opened.reserve.release()
        running.upkeep._snapshot_if_due()
        running.close()
        assert not list(folder.iterdir())
        assert store.hold_reserve()
        running.upkeep._snapshot_if_due()
        assert list(folder.glob("*.snapshot"))


def test_a_start_from_the_log_alone_leaves_a_snapshot_too(store: Store, tmp_path: Path) -> None:
    fill(Bench(VectorModality(), store))
    open_engine(VectorModality(), store, tmp_path / "snapshots").close()
    assert list((tmp_path / "snapshots").glob("*.snapshot"))


def test_a_damaged_snapshot_is_passed_over(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "snapshots"
    running = open_engine(VectorModality(), store, folder)
    unchanged, moved, _ = fill(Bench(VectorModality(), store))
    running.close()
    (path,) = folder.glob("*.snapshot")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    again = open_engine(VectorModality(), store, folder)
    assert ids(again.gallery) == [unchanged, moved]
    again.close()


def test_a_snapshot_ahead_of_the_log_is_refused_whatever_its_space(tmp_path: Path) -> None:
    folder, key = tmp_path / "snapshots", tmp_path / "keys.json"
    with Store.open(tmp_path / "data", key_file=key) as store:
        running = open_engine(VectorModality(), store, folder)
        fill(Bench(VectorModality(), store))
        running.close()
    with Store.open(tmp_path / "older", key_file=key) as store:
        for dimension in (DIMENSION, DIMENSION + 1):
            gallery = Gallery("face", TemplateSpace(f"{SPACE}-{dimension}", dimension), store)
            with pytest.raises(Corrupt, match="remove the folder snapshots") as refusal:
                open_gallery(gallery, Snapshots(folder, store.snapshot_seal()), store)
            assert refusal.value.reason == "SNAPSHOT_OF_ANOTHER_LOG"
    assert furthest(folder) == 5
    assert furthest(tmp_path / "none") == 0


@pytest.mark.parametrize("modality", ["face", "object"])
def test_an_entry_of_a_kind_that_is_not_known_stops_the_fold(bench: Bench, modality: str) -> None:
    unchanged = bench.enrol("1,0").reference.reference_id
    held, position = ids(bench.gallery), bench.gallery.position
    entry = LogEntry(position + 1, "rename", modality, unchanged, datetime.now(UTC), None)  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(Corrupt, match="A newer release wrote this log"):
            bench.gallery.apply([entry])
    assert (ids(bench.gallery), bench.gallery.position) == (held, position)
    assert bench.search("1,0") == [unchanged]


def test_suspended_references_count_as_held_and_are_not_searched(bench: Bench) -> None:
    bench.enrol("1,0", status=Status.SUSPENDED)
    assert bench.gallery.references == 1
    assert ids(bench.gallery) == []


@pytest.fixture
def behind(bench: Bench) -> Gallery:
    """A gallery that has applied nothing of a log with one entry, and stays so."""
    bench.enrol("1,0")
    return Gallery("face", TemplateSpace(SPACE, DIMENSION), bench.store)


def test_a_search_stops_waiting_when_its_caller_goes_away(
    behind: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "WAIT_STEP", 0.01)
    deadline = CallDeadline()
    deadline.abandoned.set()
    for _ in range(gallery.MAX_WAITING + 1):  # each gives its place back
        with pytest.raises(DeadlineExceeded, match="did not reach"):
            behind.wait_for(1, deadline)


def test_nobody_waits_for_ever(behind: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "WAIT_STEP", 0.01)
    monkeypatch.setattr(gallery, "LONGEST_WAIT", 0.05)
    with pytest.raises(DeadlineExceeded):
        behind.wait_for(1, Deadline())


def test_a_search_goes_on_once_its_position_is_applied(behind: Gallery) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(behind.wait_for, 1, Deadline.after(PATIENCE))
        behind.catch_up()
        waiting.result(PATIENCE)


def test_only_a_few_searches_may_wait_at_once(behind: Gallery) -> None:
    def wait(_: int) -> str:
        with pytest.raises(LikenessError) as caught:
            behind.wait_for(1, Deadline.after(0.5))
        return caught.value.reason

    with ThreadPoolExecutor(gallery.MAX_WAITING + 4) as pool:
        reasons = Counter(pool.map(wait, range(gallery.MAX_WAITING + 4)))
    assert reasons == {"DEADLINE_EXCEEDED": gallery.MAX_WAITING, "TOO_MANY_WAIT": 4}


def test_a_reference_of_many_vectors_does_not_crowd_out_the_others(bench: Bench) -> None:
    many = Template(SPACE, "vectors@1", np.tile(np.eye(1, DIMENSION, dtype=np.float32), (64, 1)))
    bench.gallery.index.add(many.vectors)
    bench.gallery.register.add("00000000-0000-7000-8000-000000000001", Facets("NCB-AA"), 64, 1)
    for n in range(1, 6):
        bench.gallery.index.add(np.eye(DIMENSION, dtype=np.float32)[n][None])
        bench.gallery.register.add(f"00000000-0000-7000-8000-00000000000{n + 1}", Facets("NCB-AA"), 1, n + 1)
    probe = Template(SPACE, "vectors@1", np.eye(1, DIMENSION, dtype=np.float32))
    view = bench.gallery.view(Scope(ALICE))
    assert len(bench.gallery.shortlist(probe, 4, view).ids) == 4


def test_vectors_of_a_probe_stand_in_one_list_by_how_far_they_are_above_their_levels(store: Store) -> None:
    axes = np.eye(DIMENSION, dtype=np.float32)
    probe = Template(SPACE, "vectors@1", axes[:2])
    names = [f"00000000-0000-7000-8000-00000000000{n}" for n in (1, 2)]
    for levels, order in (((0.0, 0.0), names), ((0.5, 0.0), names[::-1])):
        gallery = Gallery(
            "face",
            TemplateSpace(SPACE, DIMENSION),
            store,
            levels=lambda _, levels=levels: np.array(levels, np.float32),  # type: ignore[misc]
        )
        gallery.index.add(np.stack([axes[0], 0.8 * axes[1]]))
        for position, name in enumerate(names, 1):
            gallery.register.add(name, Facets("NCB-AA"), 1, position)
        assert gallery.shortlist(probe, 2, gallery.view(Scope(ALICE))).ids == order


class TestRegister:
    def test_a_reference_of_several_vectors_counts_once(self) -> None:
        register = Register()
        one, two = "00000000-0000-7000-8000-000000000001", "00000000-0000-7000-8000-000000000002"
        register.add(one, Facets("A"), 3, 5)
        register.add(two, Facets("A"), 1, 9)
        assert register.rows(one) == range(3)
        mask = np.array([True, True, True, True])
        assert register.count(mask) == 2
        assert register.references_in(mask) == [one, two]
        assert register.references_at(np.array([2])) == [one]
        assert register.enrolled(mask, 0).tolist() == [5, 9]
        assert register.enrolled(mask, 5).tolist() == [9]

    def test_it_comes_back_as_it_was_captured(self) -> None:
        register = Register()
        names = [f"00000000-0000-7000-8000-{n:012d}" for n in range(2000)]
        for n, name in enumerate(names):
            register.add(name, Facets("A" if n % 2 else "B"), 1 + n % 2, 3 * n + 1)
        register.remove(names[7])
        restored = Register.restore(*register.capture())
        assert restored.references == 1999
        assert names[7] not in restored
        assert list(restored.rows(names[9])) == list(register.rows(names[9]))
        mask = restored.columns.mask(lambda facets: facets.owner == "A", 0)
        assert restored.count(mask) == 999
        assert restored.enrolled(mask, 3 * 1000 + 1).tolist() == list(range(3 * 1001 + 1, 6001, 6))


class Blind(VectorIndex):
    """An index whose search has lost its rows."""

    def search(self, queries: Vectors, k: int, *_: object, **__: object) -> Neighbours:
        return nothing(len(queries), k)


def test_a_start_is_refused_if_a_stored_vector_does_not_find_itself(bench: Bench) -> None:
    fill(bench)
    bench.gallery.self_test()
    bench.gallery.index.__class__ = Blind
    with pytest.raises(Corrupt, match="does not find itself"):
        bench.gallery.self_test()


@pytest.mark.parametrize("space", [SPACE, "another/1"])
def test_facets_that_are_refused_leave_nothing_and_are_folded_once_there_is_room(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, space: str
) -> None:
    first, second = (bench.enrol("1,0", galleries=frozenset({name})).reference for name in "ab")
    entries = bench.store.tail(0)
    assert entries[0].template is not None
    entries = [replace(e, template=replace(entries[0].template, space=space)) for e in entries]
    behind = Gallery("face", bench.gallery.space, bench.store)
    monkeypatch.setattr(columns, "_MAX_CODES", 2)  # the code of rows that are gone, and one more
    for _ in range(2):
        with pytest.raises(Exhausted):
            behind.apply(entries)
        assert (behind.position, behind.references) == (1, 1)
        assert len(behind.index) == len(behind.register)
    monkeypatch.undo()
    behind.apply(entries)
    assert (behind.position, behind.references) == (2, 2)
    assert len(behind.index) == len(behind.register)
    assert behind.facets(first.reference_id) == first.facets
    assert behind.facets(second.reference_id) == second.facets

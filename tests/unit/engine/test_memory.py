from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from likeness.domain.references import Facets, Reference, Status
from likeness.engine import memory as remembering
from likeness.engine.memory import Memory
from likeness.store.store import Store
from tests.support import ALICE, Bench


def test_an_answer_shows_an_update_that_was_acknowledged(bench: Bench) -> None:
    reference = bench.enrol("1,0").reference
    for number in range(3):
        bench.search("1,0")
        facets = Facets("NCB-AA", galleries=frozenset({f"g{number}"}))
        bench.engine.update(ALICE, bench.key(ALICE), replace(reference, facets=facets))
        (cached,) = bench.memory.references([reference.reference_id]).values()
        assert cached.facets.galleries == frozenset({f"g{number}"})
        assert cached == bench.store.get(reference.reference_id)


def test_nothing_is_cached_of_an_expunged_reference(bench: Bench) -> None:
    reference = bench.enrol("1,0").reference
    bench.search("1,0")
    bench.engine.expunge(ALICE, bench.key(ALICE), reference.reference_id, reason="x")
    memory = bench.memory
    assert memory.templates([reference.reference_id]) == {}
    assert (
        memory.references([reference.reference_id])[reference.reference_id].facets.status is Status.EXPUNGED
    )


def test_a_second_read_does_not_touch_the_store(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [bench.enrol("1,0").reference.reference_id for _ in range(3)]
    memory = Memory(bench.store)
    first = memory.templates(reversed(ids))
    assert list(first) == ids[::-1]

    def unreadable(_: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(bench.store, "templates", unreadable)
    assert memory.templates(ids)[ids[0]] is first[ids[0]]


def test_a_read_that_began_before_a_change_is_not_cached(bench: Bench) -> None:
    reference = bench.enrol("1,0").reference

    class Slow:
        """A store in which the reference changes while it is being read."""

        head, follow, tail = bench.store.head, bench.store.follow, bench.store.tail

        def get_many(self, ids: Iterable[str]) -> dict[str, Reference]:
            before = bench.store.get_many(ids)
            bench.engine.expunge(ALICE, bench.key(ALICE), reference.reference_id, reason="x")
            return before

    memory = Memory(Slow())  # type: ignore[arg-type]
    memory.references([reference.reference_id])
    memory._store = bench.store
    found = memory.references([reference.reference_id])[reference.reference_id]
    assert found.facets.status is Status.EXPUNGED


def test_the_least_used_entry_makes_room(bench: Bench, store: Store) -> None:
    ids = [bench.enrol("1,0").reference.reference_id for _ in range(3)]
    memory = Memory(store, capacity=2)
    first = memory.templates(ids[:1])[ids[0]]
    memory.templates(ids[1:2])
    memory.templates(ids[:1])
    memory.templates(ids[2:])
    assert memory.templates(ids[:1])[ids[0]] is first


def test_large_templates_are_few(bench: Bench, store: Store) -> None:
    ids = [bench.enrol("1,0").reference.reference_id for _ in range(5)]
    one = store.templates(ids[:1])[ids[0]]
    memory = Memory(store, budget=3 * (one.vectors.nbytes + len(one.detail)))
    first, *_, last = memory.templates(ids).values()
    assert memory.templates(ids[-1:])[ids[-1]] is last
    assert memory.templates(ids[:1])[ids[0]] is not first
    bench.engine.expunge(ALICE, bench.key(ALICE), ids[-1], reason="x")
    assert memory.templates(ids[-1:]) == {}


class Elsewhere:
    """A store whose log grows by the changes of other processes: nothing calls a listener for them."""

    def __init__(self, store: Store) -> None:
        self.head, self.tail = store.head, store.tail
        self.get_many, self.templates = store.get_many, store.templates

    def follow(self, _: object) -> int:
        return self.head()


@pytest.mark.parametrize("changes", [1, 8192])
def test_what_another_process_changed_is_not_answered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, changes: int
) -> None:
    """Whether the changes are read one by one, or are too many and everything is dropped."""
    monkeypatch.setattr(remembering, "_CHANGES", changes)
    changed, gone = (bench.enrol("1,0").reference for _ in range(2))
    memory = Memory(Elsewhere(bench.store))  # type: ignore[arg-type]
    ids = [changed.reference_id, gone.reference_id]
    assert len(memory.references(ids)) == len(memory.templates(ids)) == 2
    facets = Facets("NCB-AA", galleries=frozenset({"moved"}))
    bench.engine.update(ALICE, bench.key(ALICE), replace(changed, facets=facets))
    bench.engine.expunge(ALICE, bench.key(ALICE), gone.reference_id, reason="x")
    assert memory.references(ids)[ids[0]].facets.galleries == frozenset({"moved"})
    assert list(memory.templates(ids)) == ids[:1]

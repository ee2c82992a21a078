"""The deadline of a call is that of every wait within it, also where no server holds it for the thread."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from likeness.domain.answers import Score, SearchOptions
from likeness.domain.deadline import NO_DEADLINE, CallDeadline, Deadline, current
from likeness.domain.modality import Clutter
from likeness.domain.samples import Sample, Template
from likeness.engine.engine import SearchQuery
from likeness.store.store import Store
from likeness.testing.vectors import VectorModality
from tests.support import ALICE, Bench


class Waiting(VectorModality):
    """Remembers the deadline that a wait for a turn would have while it compares."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[Deadline] = []

    def compare(
        self,
        probe: Template,
        candidates: Sequence[Template],
        *,
        clutter: Clutter | None = None,
        exact: bool = False,
    ) -> list[Score]:
        self.held.append(current())
        return super().compare(probe, candidates, clutter=clutter, exact=exact)


@pytest.fixture
def modality() -> Waiting:
    return Waiting()


@pytest.fixture
def bench(modality: Waiting, store: Store) -> Bench:
    made = Bench(modality, store)
    made.enrol("1,0")
    return made


@pytest.mark.parametrize("exhaustive", [False, True])
def test_a_search_of_a_batch_waits_no_longer_than_the_batch(
    bench: Bench, modality: Waiting, exhaustive: bool
) -> None:
    deadline = CallDeadline()
    query = SearchQuery(ALICE, Sample(b"1,0"), SearchOptions(exhaustive=exhaustive))
    for _ in bench.engine.search_many([query], deadline=deadline):
        assert current() is NO_DEADLINE
    (held,) = modality.held
    assert held is deadline


def test_a_comparison_waits_no_longer_than_it_may_take(bench: Bench, modality: Waiting) -> None:
    deadline = CallDeadline()
    bench.engine.compare(ALICE, Sample(b"1,0"), Sample(b"0,1"), deadline=deadline)
    (held,) = modality.held
    assert held is deadline
    assert current() is NO_DEADLINE

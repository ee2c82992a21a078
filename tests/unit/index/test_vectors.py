from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from likeness.domain.errors import Corrupt, InvalidInput
from likeness.index import kinds
from likeness.index.segments import Segment
from likeness.index.snapshot import IndexState
from likeness.index.vectors import VectorIndex
from tests.oracle.index.naive import clustered

DIMENSION = 24
VECTORS = clustered(400, DIMENSION, seed=1)
FLAT, FOURBIT = 10**9, 1


def filled(flat_components: int = FLAT, *, built: bool = False) -> VectorIndex:
    index = VectorIndex(DIMENSION, space="test/1", flat_components=flat_components)
    index.add(VECTORS[:300])
    if built:
        index.build(7)
    index.add(VECTORS[300:])
    return index


def nearest(index: VectorIndex, row: int) -> int:
    return int(index.search(VECTORS[row : row + 1], 1)[1][0, 0])


def held(index: VectorIndex, row: int) -> np.ndarray:
    """The vector of a row as it lies in memory, wherever that is."""
    view = index._view
    for segment in (*view.segments, view.tail):
        position = segment.rows.position(row)
        if position is not None:
            vector: np.ndarray = segment.take(np.array([position]))[0]
            return vector
    raise AssertionError(f"row {row} is not held")


def test_rows_are_numbered_as_they_come_and_never_again() -> None:
    index = VectorIndex(DIMENSION, space="test/1")
    assert index.add(VECTORS[:2]) == 0
    index.remove([0, 1])
    assert index.add(VECTORS[2:3]) == 2
    index.build(1)
    assert index.add(VECTORS[3:4]) == 3
    assert (len(index), index.live) == (4, 2)


def test_rows_beyond_the_first_allocation_and_the_first_chunk_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("likeness.index.segments.CHUNK_BYTES", 4 * DIMENSION * 100)
    index = VectorIndex(DIMENSION, space="test/1")
    index.add(VECTORS[:50])
    index.add(VECTORS[50:])
    assert [nearest(index, row) for row in (0, 49, 50, 99, 100, 399)] == [0, 49, 50, 99, 100, 399]


@pytest.mark.parametrize("flat", [FLAT, FOURBIT])
def test_a_build_changes_no_answer_and_is_named(flat: int) -> None:
    index = filled(flat)
    before = index.search(VECTORS[:20], 5)
    built = index.build(7)
    assert built == index.generation
    assert (built.kind, built.position, built.rows, built.space) == (
        "flat" if flat == FLAT else "fourbit",
        7,
        400,
        "test/1",
    )
    after = index.search(VECTORS[:20], 5)
    assert np.array_equal(before[1], after[1])
    np.testing.assert_allclose(before[0], after[0], atol=1e-4)
    index.remove([3])
    assert index.build(7).name != built.name


def test_a_built_index_of_nothing_answers_and_grows() -> None:
    index = VectorIndex(DIMENSION, space="test/1", flat_components=FOURBIT)
    index.build(0)
    assert (index.search(VECTORS[:1], 3)[1] == -1).all()
    index.add(VECTORS[:2])
    index.remove([0, 1])
    index.build(1)
    assert (index.search(VECTORS[:1], 3)[1] == -1).all()
    assert not index.due
    index.add(VECTORS[2:3])
    assert nearest(index, 2) == 2


@pytest.mark.parametrize("flat", [FLAT, FOURBIT])
def test_a_removed_row_is_not_found_and_not_in_memory(flat: int) -> None:
    index = filled(flat, built=True)
    index.remove([5, 350, 5])
    for row in (5, 350):
        assert nearest(index, row) != row
        assert not held(index, row).any()
        assert held(index, row + 1).any()
    assert index.live == 398
    assert row not in index.search(VECTORS[:1], 400)[1]
    index.build(8)
    with pytest.raises(AssertionError, match="not held"):
        held(index, 5)
    assert nearest(index, 6) == 6


def test_removing_a_row_that_was_never_given_out_removes_nothing() -> None:
    index = filled()
    for rows in ([3, 400], [-1, 3]):
        with pytest.raises(InvalidInput, match="not all among the 400 rows"):
            index.remove(rows)
    assert index.live == 400
    index.remove([])


@pytest.mark.parametrize("flat", [FLAT, FOURBIT])
def test_changes_during_a_build_are_in_the_generation_after_it(
    flat: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = filled(flat, built=True)
    first, last = VECTORS[:1], VECTORS[399:]
    seal = kinds.seal

    def interrupted(segments: Sequence[Segment], alive: np.ndarray, *rest: int) -> Segment:
        index.remove([0])
        sealed = seal(segments, alive, *rest)
        index.remove([10, 350])
        assert index.add(last) == 400
        index.remove([20])
        assert set(index.search(last, 2)[1][0].tolist()) == {399, 400}
        assert index.search(first, 1)[1][0, 0] != 0
        return sealed

    monkeypatch.setattr("likeness.index.vectors.seal", interrupted)
    built = index.build(9)
    assert built.rows == 400
    assert (len(index), index.live, index.tail) == (401, 397, 1)
    for row in (0, 10, 20, 350):
        assert nearest(index, row) != row
        assert not held(index, row).any()
    assert set(index.search(last, 2)[1][0].tolist()) == {399, 400}
    monkeypatch.setattr("likeness.index.vectors.seal", seal)
    assert index.build(10).rows == 397
    assert set(index.search(last, 2)[1][0].tolist()) == {399, 400}


def test_a_build_that_fails_leaves_the_index_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    index = filled(built=True)
    before = index.generation

    def failing(*_: object) -> Segment:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr("likeness.index.vectors.seal", failing)
        with pytest.raises(MemoryError):
            index.build(9)
    assert index.generation == before
    index.add(VECTORS[:1])
    assert [nearest(index, row) for row in (1, 299, 300, 399)] == [1, 299, 300, 399]
    assert index.tail == 101
    index.remove([300])
    assert not held(index, 300).any()
    restored = VectorIndex.restore(index.capture())
    assert nearest(restored, 399) == 399
    assert index.build(10).rows == 400


def test_a_row_removed_while_it_is_scored_is_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    index = filled()
    search = index._search

    def late(*arguments: object) -> object:
        found = search(*arguments)  # type: ignore[arg-type]
        index.remove([7])
        return found

    monkeypatch.setattr(index, "_search", late)
    scores, rows = index.search(VECTORS[7:8], 3)
    assert 7 not in rows
    assert (rows >= 0).all()
    assert scores[0, 0] < 0.999


def test_only_allowed_rows_are_found_and_rows_beyond_the_mask_are_not_allowed() -> None:
    for index in (filled(built=True), filled(FOURBIT, built=True)):
        allowed = np.zeros(320, np.bool_)
        allowed[[4, 310]] = True
        scores, rows = index.search(VECTORS[4:5], 5, allowed)
        assert rows[0].tolist() == [4, 310, -1, -1, -1]
        assert np.isneginf(scores[0, 2:]).all()
        assert (index.search(VECTORS[4:5], 5, np.zeros(0, np.bool_))[1] == -1).all()


def test_a_mask_cannot_bring_a_removed_row_back() -> None:
    for index in (filled(built=True), filled(FOURBIT, built=True)):
        index.remove([4, 310])
        _, rows = index.search(VECTORS[[4, 310]], 400, np.ones(400, np.bool_))
        assert (rows >= 0).sum() == 2 * 398
        assert not np.isin([4, 310], rows).any()


def test_an_index_is_due_when_much_waits_or_much_was_removed() -> None:
    index = VectorIndex(DIMENSION, space="test/1", flat_components=DIMENSION * 100)
    index.add(VECTORS[:100])
    assert not index.due
    index.add(VECTORS[:1])
    assert index.due
    index.build(1)
    assert not index.due
    many = clustered(3_000, DIMENSION, seed=2)
    index.add(many)
    index.build(2)
    index.add(many[:310])
    assert not index.due
    index.add(many[:1])
    assert index.due
    index.build(3)
    index.remove(range(1_024))
    assert not index.due
    index.remove([1_024])
    assert index.due
    index.build(4)
    assert not index.due


def test_a_sample_is_of_live_rows_and_their_vectors() -> None:
    index = filled(FOURBIT, built=True)
    index.remove(range(0, 400, 2))
    rows, vectors = index.sample(50, seed=3)
    assert len(set(rows.tolist())) == 50
    assert (rows % 2 == 1).all()
    np.testing.assert_allclose(vectors, VECTORS[rows], atol=1e-4)
    assert len(index.sample(1_000)[0]) == 200


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros(DIMENSION, np.float32),
        np.zeros((2, DIMENSION + 1), np.float32),
        np.full((1, DIMENSION), np.nan, np.float32),
        np.full((1, DIMENSION), np.inf, np.float32),
    ],
)
def test_vectors_that_do_not_fit_or_are_not_numbers_are_refused(wrong: np.ndarray) -> None:
    index = filled()
    with pytest.raises(InvalidInput):
        index.add(wrong)
    with pytest.raises(InvalidInput):
        index.search(wrong, 1)
    assert len(index) == 400


def test_a_search_for_nothing_and_an_index_without_dimension_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at least 1") as refused:
        filled().search(VECTORS[:1], 0)
    assert refused.value.field == "k"
    with pytest.raises(InvalidInput, match="dimension"):
        VectorIndex(0, space="test/1")


@pytest.mark.parametrize("flat", [FLAT, FOURBIT])
def test_an_index_comes_back_as_it_was_captured(flat: int) -> None:
    index = filled(flat, built=True)
    index.remove([1, 310])
    state = index.capture()
    index.add(VECTORS[:5])
    index.remove([2])
    again = VectorIndex.restore(state)
    assert (len(again), again.live, again.tail) == (400, 398, 100)
    assert again.generation == state.generation
    for row in (1, 310):
        assert nearest(again, row) != row
    assert [nearest(again, row) for row in (0, 3, 299, 300, 399)] == [0, 3, 299, 300, 399]
    assert again.add(VECTORS[:1]) == 400
    assert again.build(9).rows == 399


def broken(state: IndexState, **changes: object) -> IndexState:
    arrays = {k: v for k, v in {**state.arrays, **changes}.items() if v is not None}
    about = {k: changes.get(f"about_{k}", v) for k, v in state.about.items()}
    return IndexState(state.generation, about, arrays)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"alive": None},
        {"alive": np.zeros(3, np.float32)},
        {"0/rows": np.arange(299)},
        {"0/rows": np.arange(300)[::-1]},
        {"0/rows": np.arange(200, 500)},
        {"1/vectors": np.zeros((100, DIMENSION), np.float64)},
        {"1/vectors": np.zeros((99, DIMENSION), np.float32)},
        {"about_rows": 401},
        {"about_dimension": 25},
        {"about_segments": [{"kind": "tail", "first": 0}]},
        {"about_segments": [{"kind": "unknown"}, {"kind": "tail", "first": 300}]},
        {"about_segments": None},
        {"about_segments": []},
    ],
)
@pytest.mark.parametrize("flat", [FLAT, FOURBIT])
def test_a_state_that_describes_no_index_is_corrupt(flat: int, changes: dict[str, object]) -> None:
    state = filled(flat, built=True).capture()
    VectorIndex.restore(state)
    with pytest.raises(Corrupt, match="rebuild the index"):
        VectorIndex.restore(broken(state, **changes))

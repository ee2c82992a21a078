from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from likeness.domain.errors import Corrupt, InvalidInput
from likeness.domain.references import Category, Facets, Purpose, Restrictions, Status
from likeness.index.columns import Columns, ColumnsState

AA = Facets("NCB-AA", frozenset({"wanted"}), Category.SUSPECT)
BB = Facets(
    "NCB-BB",
    frozenset({"missing", "wanted"}),
    Category.VICTIM,
    Status.SUSPENDED,
    Restrictions(frozenset({"NCB-CC"}), frozenset({"NCB-DD"}), frozenset({Purpose.BORDER_CONTROL})),
)


def everything(_: Facets) -> bool:
    return True


def nothing(_: Facets) -> bool:
    return False


def columns(*facets: Facets) -> Columns:
    made = Columns()
    for each in facets:
        made.append(each)
    return made


def test_a_mask_marks_the_rows_that_the_predicate_allows() -> None:
    made = columns(AA, BB, AA)
    assert made.mask(lambda f: f.owner == "NCB-AA", 0).tolist() == [True, False, True]
    assert made.mask(lambda f: "missing" in f.galleries, 0).tolist() == [False, True, False]


def test_a_mask_of_no_rows_is_empty() -> None:
    assert Columns().mask(everything, 0).shape == (0,)


def test_a_reference_with_several_vectors_has_a_row_for_each() -> None:
    made = Columns()
    assert made.append(AA, 3) == 0
    assert made.append(BB) == 3
    assert made.mask(lambda f: f == AA, 0).tolist() == [True, True, True, False]


def test_rows_beyond_the_first_allocation_are_there() -> None:
    made = Columns()
    made.append(AA, 700)
    made.append(BB, 5_000)
    made.append(AA)
    assert len(made) == 5_701
    assert np.flatnonzero(made.mask(lambda f: f == AA, 0)).tolist() == [*range(700), 5_700]


@pytest.mark.parametrize(("now", "visible"), [(99, True), (100, False), (101, False)])
def test_a_row_is_gone_from_the_second_it_expires(now: int, visible: bool) -> None:
    made = columns(replace(AA, expires_at=100), AA)
    assert made.mask(everything, now).tolist() == [visible, True]


@pytest.mark.parametrize("expires_at", [None, 0, 1, 2**39, 2**62])
def test_expiry_comes_back_as_far_as_the_cell_reaches(expires_at: int | None) -> None:
    got = columns(replace(AA, expires_at=expires_at)).get(0)
    assert got is not None
    assert got.expires_at == (min(expires_at, 2**40 - 2) if expires_at is not None else None)


def test_an_update_replaces_facets_and_expiry() -> None:
    made = columns(replace(AA, expires_at=10), AA)
    made.set(0, BB)
    assert made.get(0) == BB
    assert made.mask(lambda f: f == BB, 1_000).tolist() == [True, False]


def test_a_cleared_row_is_never_allowed_nor_set_again() -> None:
    made = columns(AA, AA)
    made.clear(0)
    assert made.mask(everything, 0).tolist() == [False, True]
    assert made.get(0) is None
    with pytest.raises(InvalidInput, match="cleared"):
        made.set(0, AA)


@pytest.mark.parametrize("row", [-1, 1])
def test_a_row_that_is_not_there_is_refused(row: int) -> None:
    with pytest.raises(InvalidInput, match="not one of the 1 rows"):
        columns(AA).set(row, BB)


def test_a_predicate_is_asked_once_for_each_combination_of_facets() -> None:
    asked: list[Facets] = []

    def allows(facets: Facets) -> bool:
        asked.append(facets)
        return facets.owner == "NCB-AA"

    made = columns(*[replace(AA, expires_at=n) for n in range(50)], BB, BB)
    assert made.distinct == 2
    made.mask(allows, 0, key="k")
    made.mask(allows, 0, key="k")
    assert asked == [AA, BB]


def test_a_remembered_predicate_is_asked_about_new_facets_only() -> None:
    asked: list[str] = []

    def allows(facets: Facets) -> bool:
        asked.append(facets.owner)
        return True

    made = columns(AA)
    made.mask(allows, 0, key="k")
    made.append(BB)
    assert made.mask(allows, 0, key="k").tolist() == [True, True]
    assert asked == ["NCB-AA", "NCB-BB"]


def test_keys_keep_predicates_apart_and_the_cache_is_bounded() -> None:
    made = columns(AA)
    for key in range(600):
        even = key % 2 == 0
        assert made.mask(everything if even else nothing, 0, key=key).tolist() == [even]
    assert len(made._tables) == 256
    assert made.mask(everything, 0).tolist() == [True]
    assert made.mask(nothing, 0).tolist() == [False]


def test_a_reader_never_sees_half_of_an_update() -> None:
    """Allowed facets that have expired, and denied facets that have not: a mixture of the two would be allowed."""
    expired, denied = replace(AA, expires_at=1), BB
    made = columns(*[expired] * 2_000)
    done = threading.Event()

    def write() -> None:
        for step in range(20):
            for row in range(0, 2_000, 7):
                made.set(row, expired if step % 2 else denied)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = 0
    while not done.is_set():
        seen += int(made.mask(lambda f: f == AA, 50).sum())
    writer.join()
    assert seen == 0


def test_columns_come_back_as_they_were_captured() -> None:
    made = columns(replace(AA, expires_at=100), BB, AA)
    made.clear(2)
    state = made.capture()
    made.set(0, BB)
    again = Columns.restore(state)
    assert [again.get(row) for row in range(3)] == [replace(AA, expires_at=100), BB, None]
    assert again.mask(everything, 100).tolist() == [False, True, False]
    assert again.append(BB) == 3
    assert again.distinct == 2


@pytest.mark.parametrize(
    "facets",
    [b"{", b"[null]", b'[null, {"owner": "NCB-AA"}]', b"[null, 7]", b"\xff", b"{}", b"[]"],
)
def test_facets_that_cannot_be_read_are_corrupt(facets: bytes) -> None:
    cells = columns(AA).capture().cells
    with pytest.raises(Corrupt):
        Columns.restore(ColumnsState(cells, np.frombuffer(facets, np.uint8)))


def test_a_cell_that_names_no_facets_is_corrupt() -> None:
    state = columns(AA).capture()
    with pytest.raises(Corrupt, match="names facets"):
        Columns.restore(ColumnsState(np.array([-1]), state.facets))

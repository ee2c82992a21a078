from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.domain.errors import Corrupt, InvalidInput
from likeness.domain.references import Category, Facets, Purpose, Restrictions, Status
from likeness.index.columns import Columns, ColumnsState
from likeness.index.sights import Sight

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
    assert len(made._tables) == 512
    assert made.mask(everything, 0).tolist() == [True]
    assert made.mask(nothing, 0).tolist() == [False]


def test_filters_are_asked_about_nothing_outside_the_sight() -> None:
    seen: list[str] = []
    filtered: list[str] = []

    def may_see(facets: Facets) -> bool:
        seen.append(facets.owner)
        return facets.owner != "hidden"

    def matches(facets: Facets) -> bool:
        filtered.append(facets.owner)
        return "wanted" in facets.galleries

    def hide(count: int) -> None:
        for number in range(count):
            made.append(replace(AA, owner="hidden", galleries=frozenset({"wanted", f"case-{number}"})))

    within = Sight(may_see, "caller")
    made = columns(AA, replace(BB, galleries=frozenset()))
    hide(50)
    assert np.flatnonzero(made.mask(matches, 0, key=0, within=within)).tolist() == [0]
    assert (len(seen), filtered) == (52, ["NCB-AA", "NCB-BB"])
    for key in range(1, 4):  # what is asked anew is asked of what the caller sees
        filtered.clear()
        assert np.count_nonzero(made.mask(matches, 0, key=key, within=within)) == 1
        assert filtered == ["NCB-AA", "NCB-BB"]
        assert made.has_any(matches, key=("any", key), within=within)
        assert filtered == ["NCB-AA", "NCB-BB"] * 2
        names = frozenset({"wanted", "case-1", f"other-{key}"})
        assert made.known_galleries(names, within) == {"wanted"}
    assert len(seen) == 52
    made.append(BB)
    filtered.clear()
    assert np.flatnonzero(made.mask(matches, 0, key=1, within=within)).tolist() == [0, 52]
    assert (seen[52:], filtered) == (["NCB-BB"], ["NCB-BB"])


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["append", "clear", "ask"]),
            st.sampled_from(["NCB-AA", "NCB-BB", "NCB-CC"]),
            st.frozensets(st.sampled_from("abc")),
            st.sampled_from([Category.SUSPECT, Category.VICTIM]),
        ),
        max_size=30,
    )
)
def test_a_mask_within_a_sight_is_that_of_both_predicates(
    steps: list[tuple[str, str, frozenset[str], Category]],
) -> None:
    made, rows = Columns(), list[Facets | None]()
    for step, owner, galleries, category in steps:
        if step == "append":
            rows.append(Facets(owner, galleries, category))
            made.append(Facets(owner, galleries, category))
        elif step == "clear" and rows:
            row = len(galleries) % len(rows)
            rows[row] = None
            made.clear(row)
        within = Sight(lambda f, owner=owner: f.owner != owner, owner)  # type: ignore[misc]

        def matches(f: Facets, wanted: frozenset[str] = galleries, category: Category = category) -> bool:
            return bool(f.galleries & wanted) and f.category is category

        allowed = [f is not None and f.owner != owner and matches(f) for f in rows]
        key = owner, galleries, category
        assert made.mask(matches, 0, key=key, within=within).tolist() == allowed
        assert made.has_any(matches, key=key, within=within) == any(allowed)
        known = {name for f in rows if f is not None and f.owner != owner for name in f.galleries}
        assert made.known_galleries(galleries, within) == galleries & known


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

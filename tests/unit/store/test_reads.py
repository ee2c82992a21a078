"""Lists, counts and single reads; damage is noticed before anything is served."""

from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.domain.deadline import Deadline
from likeness.domain.errors import Corrupt, DeadlineExceeded, InvalidInput
from likeness.domain.references import Category, Status
from likeness.domain.storage import ListFilter, parse_token
from likeness.store.reads import MAX_PAGE
from likeness.store.store import Store
from tests.unit.store.writes import enrol, expunge, open_store, tampering, update

WANTED = frozenset({"wanted"})
MISSING = frozenset({"missing"})


@pytest.fixture
def filled(store: Store) -> Store:
    """r0..r9: even ones FR in wanted, odd ones DE in missing; r9 in both, an object; r4 expunged."""
    writes = [
        enrol(
            i,
            reference_id=f"r{i}",
            owner="DE" if i % 2 else "FR",
            galleries=MISSING if i % 2 else WANTED,
            category=Category.VICTIM if i in (1, 2) else Category.SUSPECT,
        )
        for i in range(9)
    ]
    writes.append(enrol(9, reference_id="r9", owner="DE", galleries=WANTED | MISSING, modality="object"))
    store.write([*writes, expunge("r4")])
    return store


def names(store: Store, wanted: ListFilter, limit: int = 100) -> list[str]:
    return [r.reference_id for r in store.list(wanted, limit=limit).references]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (ListFilter(), "012356789"),
        (ListFilter(owners=frozenset({"FR"})), "0268"),
        (ListFilter(owners=frozenset({"FR", "DE", "XX"})), "012356789"),
        (ListFilter(galleries=MISSING), "13579"),
        (ListFilter(galleries=WANTED | MISSING), "012356789"),
        (ListFilter(galleries=frozenset({"none"})), ""),
        (ListFilter(categories=frozenset({Category.VICTIM})), "12"),
        (ListFilter(statuses=frozenset({Status.EXPUNGED})), "4"),
        (ListFilter(statuses=frozenset(Status)), "0123456789"),
        (ListFilter(modality="object"), "9"),
        (ListFilter("face", frozenset({"DE"}), MISSING, frozenset({Category.SUSPECT})), "357"),
    ],
)
def test_a_list_shows_what_its_filter_asks_for(filled: Store, wanted: ListFilter, expected: str) -> None:
    assert names(filled, wanted) == [f"r{digit}" for digit in expected]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 9])
def test_pages_join_without_gap_or_repeat_even_where_something_changed_meanwhile(
    filled: Store, limit: int
) -> None:
    seen: list[str] = []
    token = ""
    for _ in range(10):
        positions = [p for p in range(1, 11) if p > parse_token(token)]  # r0 is enrolled at 1
        page = filled.page(positions, limit, admits=lambda f: f.owner == "DE", deadline=Deadline())
        assert len(page.references) <= limit
        seen += [r.reference_id for r in page.references]
        token = page.next_token
        if not token:
            break
    assert seen == ["r1", "r3", "r5", "r7", "r9"]


def test_a_page_ends_with_its_deadline(filled: Store) -> None:
    with pytest.raises(DeadlineExceeded, match="references were listed"):
        filled.page([1, 2], 5, admits=lambda _: True, deadline=Deadline(0.0))


def test_two_lists_make_one_page(filled: Store) -> None:
    deadline = Deadline()
    odd = filled.page([2, 4, 6, 8], 3, admits=lambda _: True, deadline=deadline)
    even = filled.page([1, 4], 3, admits=lambda _: True, deadline=deadline)
    both = odd.merged(even, 3)
    assert [r.enrolled_position for r in both.references] == [1, 2, 4]
    assert parse_token(both.next_token) == 4
    last = even.merged(filled.page([6], 3, admits=lambda _: True, deadline=deadline), 3)
    assert ([r.enrolled_position for r in last.references], last.next_token) == ([1, 4, 6], "")


def test_the_last_page_says_so_when_it_is_full(filled: Store) -> None:
    assert filled.list(ListFilter(), limit=9).next_token == ""
    assert filled.list(ListFilter(), limit=8).next_token != ""


def test_a_page_holds_after_changes_in_between(filled: Store) -> None:
    page = filled.list(ListFilter(), limit=3)
    filled.write([update(filled.get("r0")), expunge("r5"), enrol(10, reference_id="r10")])
    rest = filled.list(ListFilter(), page.next_token)
    assert [r.reference_id for r in rest.references] == ["r3", "r6", "r7", "r8", "r9", "r10"]


@pytest.mark.parametrize("token", ["x", "-1", "1 ", "٣", "9" * 19, "1e3"])
def test_a_token_that_list_never_gave_is_refused(filled: Store, token: str) -> None:
    with pytest.raises(InvalidInput, match="page token") as refusal:
        filled.list(ListFilter(), token)
    assert refusal.value.field == "page_token"


@pytest.mark.parametrize("limit", [0, -1, MAX_PAGE + 1])
def test_a_page_size_out_of_bounds_is_refused(filled: Store, limit: int) -> None:
    with pytest.raises(InvalidInput, match="1 to 1000"):
        filled.list(ListFilter(), limit=limit)


def test_an_update_moves_a_reference_between_lists(filled: Store) -> None:
    changed = enrol(0, reference_id="r0", owner="IT", galleries=MISSING).change
    assert not isinstance(changed, type(None))
    filled.write([update(changed.reference)])  # type: ignore[union-attr]
    assert names(filled, ListFilter(galleries=WANTED)) == ["r2", "r6", "r8", "r9"]
    assert names(filled, ListFilter(owners=frozenset({"IT"}))) == ["r0"]
    assert "r0" in names(filled, ListFilter(galleries=MISSING))


def test_counts(filled: Store) -> None:
    assert filled.count() == 9
    assert filled.count("face") == 8
    assert filled.count("face", Status.EXPUNGED) == 1
    assert filled.count("fingerprint") == 0


def test_a_name_that_is_not_text_is_refused(filled: Store) -> None:
    with pytest.raises(InvalidInput, match="not Unicode"):
        filled.get("\ud800")
    with pytest.raises(InvalidInput, match="not Unicode"):
        filled.list(ListFilter(owners=frozenset({"\ud800"})))


def test_many_are_read_at_once(store: Store) -> None:
    store.write([enrol(i, reference_id=f"r{i}") for i in range(1200)])
    wanted = [f"r{i}" for i in range(1200)]
    assert set(store.get_many([*wanted, "nobody", "r1"])) == set(wanted)
    assert set(store.templates(wanted)) == set(wanted)


READS: dict[str, Callable[[Store], object]] = {
    "get": lambda store: store.get("a"),
    "list": lambda store: store.list(ListFilter()),
    "templates": lambda store: store.templates(["a"]),
    "source": lambda store: store.source("a"),
}
ROW_DAMAGES = {
    column: f"UPDATE reference SET {column} = {value} WHERE reference_id = 'a'"  # noqa: S608 - constants
    for column, value in {
        "owner": "'DE'",
        "status": "'suspended'",
        "facets": "replace(facets, 'suspect', 'victim')",
        "review_at": "5",
        "created_at": "created_at + 1",
        "position": "2",
        "template_space": "'other'",
        "quality": "(SELECT quality FROM reference WHERE reference_id = 'b')",
        "template_tag": "NULL",
        "subject_tag": "NULL",
        "source_tag": "NULL",
        "seal": "(SELECT seal FROM reference WHERE reference_id = 'b')",
        "modality": "1.5",
        "model": "x'ff'",
        "key": "77",
    }.items()
}


def damaged(folder: Path, sql: str) -> None:
    with open_store(folder) as store:
        store.write(
            [enrol(1, reference_id="a", source=b"image"), enrol(2, reference_id="b", source=b"other")]
        )
    with tampering(folder) as database:
        database.create_function("flip", 1, lambda body: body[:30] + bytes([body[30] ^ 1]) + body[31:])
        assert database.execute(sql).rowcount == 1


@pytest.mark.parametrize("sql", ROW_DAMAGES.values(), ids=ROW_DAMAGES.keys())
def test_a_changed_row_is_refused_by_every_read(tmp_path: Path, sql: str) -> None:
    damaged(tmp_path, sql)
    with open_store(tmp_path) as store:
        for read in READS.values():
            with pytest.raises(Corrupt, match="seal"):
                read(store)
        assert store.get("b").subject_id == "subject-2"


@pytest.mark.parametrize(
    ("table", "read"),
    [("template", "templates"), ("subject", "get"), ("subject", "list"), ("source", "source")],
)
@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM {} WHERE key = 1",
        "UPDATE {0} SET body = (SELECT body FROM {0} WHERE key = 2) WHERE key = 1",
        "UPDATE {} SET body = flip(body) WHERE key = 1",
        "UPDATE {} SET body = 5 WHERE key = 1",
        "UPDATE {} SET body = CAST(substr(body, 1, 30) AS TEXT) WHERE key = 1",
    ],
    ids=["gone", "swapped", "changed", "a number", "text"],
)
def test_a_changed_part_is_refused(tmp_path: Path, table: str, read: str, change: str) -> None:
    damaged(tmp_path, change.format(table))
    with open_store(tmp_path) as store:
        with pytest.raises(Corrupt, match=f"{table}|not text"):
            READS[read](store)
        assert not store.verify(full=True).ok


def test_an_older_version_of_a_subject_is_refused(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.write([enrol(1, reference_id="a")])
    with tampering(tmp_path) as database:
        (old,) = database.execute("SELECT body FROM subject").fetchone()
    with open_store(tmp_path) as store:
        store.write([update(store.get("a"))])
    with tampering(tmp_path) as database:
        database.execute("UPDATE subject SET body = ?", (old,))
    with open_store(tmp_path) as store, pytest.raises(Corrupt, match="subject"):
        store.get("a")

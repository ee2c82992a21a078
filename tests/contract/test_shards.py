"""One contract for every shard: in this process, two merged, one from which all is pickled; and one that is gone.

Answers over one, two and four shards are those over one, wherever a modality compares exactly.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.domain.access import Grant, Level
from likeness.domain.answers import SearchAnswer, SearchOptions
from likeness.domain.deadline import NO_DEADLINE, Deadline
from likeness.domain.errors import DeadlineExceeded, Precondition, Unavailable
from likeness.domain.modality import Clutter, Modality
from likeness.domain.references import Facets
from likeness.domain.samples import Mode, Sample, Template
from likeness.domain.scope import Scope
from likeness.engine.engine import Engine
from likeness.engine.local_shard import LocalShard
from likeness.engine.memory import Memory
from likeness.engine.merge import Shards
from likeness.engine.shard import (
    Progress,
    Shard,
    ShardAnswer,
    ShardQuery,
    ShardStatus,
    no_progress,
    part_of,
    place,
)
from likeness.store.store import Store
from likeness.testing.vectors import VectorModality
from tests.support import ALICE, BOB, Bench, ByOwner
from tests.unit.engine.test_companion import Accompanied

T = TypeVar("T")

TEXTS = [f"{a},{b},{c}" for a in (-1, 0, 1) for b in (-1, 0.5) for c in (0.25, 1)]
NOW = 1_700_000_000


class Pickled:
    """A shard as another process would have it: what crosses is bytes, a deadline the time that is left."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    def search(self, query: ShardQuery, deadline: Deadline, progress: Progress = no_progress) -> ShardAnswer:
        return self._call(lambda asked, left: self._shard.search(asked, left, progress), query, deadline)

    def clutter(self, query: ShardQuery, deadline: Deadline) -> tuple[Clutter | None, ...]:
        return self._call(self._shard.clutter, query, deadline)

    def wait_for(self, position: int, deadline: Deadline) -> None:
        self._call(self._shard.wait_for, position, deadline)

    def facets(self, reference_id: str) -> Facets | None:
        return self._call(self._shard.facets, reference_id)

    def enrolled(self, scope: Scope, after: int) -> NDArray[np.int64]:
        return self._call(self._shard.enrolled, scope, after)

    def status(self) -> ShardStatus:
        return self._call(self._shard.status)

    def _call(self, method: Callable[..., T], *given: object) -> T:
        sent = [Deadline.after(one.remaining) if isinstance(one, Deadline) else _copied(one) for one in given]
        try:
            return _copied(method(*sent))
        except Exception as error:
            raise _copied(error) from None


class Gone:
    """A shard that cannot be reached."""

    def _refuse(self, *_: object, **__: object) -> Any:
        raise Unavailable("The shard does not answer.")

    search = clutter = wait_for = facets = enrolled = status = _refuse


def _copied(value: T) -> T:
    copied: T = pickle.loads(pickle.dumps(value))  # noqa: S301
    return copied


def parts(modality: Modality, store: Store, count: int) -> list[Shard]:
    """So many shards of one log."""
    return [LocalShard.folded(modality, store, holds=part_of(number, count)) for number in range(count)]


FORMS: dict[str, Callable[[Modality, Store], Shard]] = {
    "local": lambda modality, store: parts(modality, store, 1)[0],
    "two merged": lambda modality, store: Shards(parts(modality, store, 2)),
    "pickled": lambda modality, store: Pickled(parts(modality, store, 1)[0]),
    "two pickled, merged": lambda modality, store: Shards([*map(Pickled, parts(modality, store, 2))]),
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "data", key_file=tmp_path / "keys.json") as opened:
        yield opened


@pytest.fixture(params=[VectorModality, Accompanied])
def modality(request: pytest.FixtureRequest) -> VectorModality:
    made: VectorModality = request.param()
    return made


@pytest.fixture
def bench(modality: VectorModality, store: Store) -> Bench:
    """The references, enrolled through an engine over one shard."""
    made = Bench(modality, store)
    for number, text in enumerate(TEXTS):
        made.enrol(text, ALICE if number % 3 else BOB, galleries=frozenset({f"g{number % 2}"}))
    return made


@pytest.fixture(params=FORMS)
def shard(request: pytest.FixtureRequest, bench: Bench, modality: VectorModality, store: Store) -> Shard:
    return FORMS[request.param](modality, store)


def probe(text: str) -> Template:
    template = VectorModality().extract([Sample(text.encode())], Mode.PROBE)[0].findings[0].template
    assert template is not None
    return template


EVERYTHING = Scope(ALICE)


def query(*texts: str, scope: Scope = EVERYTHING, count: int = 5, **asked: Any) -> ShardQuery:
    return ShardQuery(scope, NOW, tuple(map(probe, texts)), count, **asked)


def ids(answer: ShardAnswer, number: int = 0) -> list[str]:
    return [reference_id for reference_id, _ in answer.scored[number]]


# -- the contract -----------------------------------------------------------------------------------------------


def test_it_answers_every_probe_best_first(shard: Shard) -> None:
    answer = shard.search(query("1,0.5,1", "-1,-1,0.25", exhaustive=True), NO_DEADLINE)
    assert len(answer.scored) == 2
    for scored in answer.scored:
        assert len(scored) == 5
        keys = [(-score.value, reference_id) for reference_id, score in scored]
        assert keys == sorted(keys)
    assert answer.searched == len(TEXTS)
    assert answer.elsewhere == 0
    assert answer.answered == 1.0


@pytest.mark.parametrize("exhaustive", [False, True])
def test_nothing_out_of_scope_takes_part(shard: Shard, bench: Bench, exhaustive: bool) -> None:
    scope = Scope(ALICE, galleries=frozenset({"g1", "nowhere"}), owners=frozenset({"NCB-AA"}))
    answer = shard.search(query("1,1,1", scope=scope, count=50, exhaustive=exhaustive), NO_DEADLINE)
    found = bench.store.get_many(ids(answer))
    assert answer.searched == len(found) == len(ids(answer)) > 1
    assert all(scope.admits(reference.facets, now=NOW) for reference in found.values())
    assert answer.unknown_galleries == ("nowhere",)


def test_what_no_more_than_a_hit_may_be_shown_of_takes_part_by_itself(shard: Shard, bench: Bench) -> None:
    """By a disclosure that is not the default; candidates and their count are those of the others alone."""
    caller = replace(ALICE, grant=Grant(disclosure=ByOwner({"NCB-BB": Level.HIT})))
    scope = Scope(caller)
    asked = query("1,1,1", scope=scope, count=50, exhaustive=True)
    answer, hits = (shard.search(replace(asked, scope=one), NO_DEADLINE) for one in (scope, scope.hit_only))
    owners = [
        {reference.facets.owner for reference in bench.store.get_many(ids(one)).values()}
        for one in (answer, hits)
    ]
    assert owners == [{"NCB-AA"}, {"NCB-BB"}]
    assert answer.searched == len(ids(answer))
    assert answer.searched + hits.searched == len(TEXTS)
    assert answer.hit_only
    assert len(shard.enrolled(scope, 0)) == answer.searched
    hidden = Scope(replace(ALICE, grant=Grant(disclosure=ByOwner({"NCB-BB": Level.HIDDEN}))))
    without = shard.search(replace(asked, scope=hidden), NO_DEADLINE)
    assert ids(without) == ids(answer)
    assert not without.hit_only
    assert not shard.search(query("1,1,1"), NO_DEADLINE).hit_only


def test_it_follows_the_log(shard: Shard, bench: Bench) -> None:
    made = bench.enrol("1,1,1")
    position = made.receipt.position
    shard.wait_for(position, NO_DEADLINE)
    asked = query("1,1,1", count=3, exhaustive=True, min_position=position)
    answer = shard.search(asked, NO_DEADLINE)
    assert made.reference.reference_id in ids(answer)
    assert answer.position >= position
    assert shard.status().position >= position
    assert shard.status().references == len(TEXTS) + 1
    gone = bench.engine.expunge(ALICE, bench.key(ALICE), made.reference.reference_id, reason="test")
    shard.wait_for(gone.position, NO_DEADLINE)
    assert made.reference.reference_id not in ids(shard.search(asked, NO_DEADLINE))
    assert shard.facets(made.reference.reference_id) is None


def test_it_lists_what_a_caller_may_know_in_the_order_of_enrolment(shard: Shard, bench: Bench) -> None:
    whole = bench.shard.enrolled(Scope(BOB), 0)
    assert shard.enrolled(Scope(BOB), 0).tolist() == whole.tolist() == sorted(whole.tolist())
    assert shard.enrolled(Scope(BOB), int(whole[3])).tolist() == whole[4:].tolist()


def test_it_tells_the_facets_of_what_it_holds(shard: Shard, bench: Bench) -> None:
    reference = bench.enrol("0,1", galleries=frozenset({"x"})).reference
    assert shard.facets(reference.reference_id) == reference.facets
    assert shard.facets("01a22144-ee73-7d76-9b03-cc79a7f67496") is None


def test_it_ends_with_the_deadline(shard: Shard) -> None:
    with pytest.raises(DeadlineExceeded):
        shard.search(query("1,1", exhaustive=True), Deadline.after(0))


def test_an_error_carries_the_stages_that_were_timed_before_it(shard: Shard) -> None:
    def stop(compared: int, total: int) -> None:
        raise DeadlineExceeded(f"After {compared} of {total}.")

    with pytest.raises(DeadlineExceeded) as caught:
        shard.search(query("1,1", exhaustive=True), NO_DEADLINE, stop)
    assert set(caught.value.timings) == {"search", "compare"}


def test_it_does_not_wait_for_a_position_that_the_log_does_not_have(shard: Shard) -> None:
    with pytest.raises(Precondition) as refused:
        shard.wait_for(10_000, NO_DEADLINE)
    assert refused.value.reason == "LOG_POSITION_UNKNOWN"


def test_it_reports_progress_up_to_the_end(shard: Shard) -> None:
    heard: list[tuple[int, int]] = []
    shard.search(query("1,1", "0,1", exhaustive=True), NO_DEADLINE, lambda *now: heard.append(now))
    assert heard[-1] == (2 * len(TEXTS), 2 * len(TEXTS))
    assert [compared for compared, _ in heard] == sorted(compared for compared, _ in heard)


def test_clutter_is_that_of_the_whole(shard: Shard, bench: Bench) -> None:
    asked = query("1,0.5,1", "0,1,0")
    for one, other in zip(
        shard.clutter(asked, NO_DEADLINE), bench.shard.clutter(asked, NO_DEADLINE), strict=True
    ):
        if other is None:
            assert one is None
        else:
            assert one is not None
            assert one.references == other.references
            assert one.counts.tolist() == other.counts.tolist()


# -- one, two and four ------------------------------------------------------------------------------------------


def _answer(engine: Engine, text: str, **options: Any) -> list[tuple[str, float, float]]:
    answer: SearchAnswer = engine.search(
        ALICE, Sample(text.encode()), SearchOptions(group_by_subject=False, **options)
    )
    assert answer.header.coverage == 1.0
    (found,) = answer.probes
    return [(c.reference.reference_id, c.score.value, c.expected_false) for c in found.candidates]


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("exhaustive", [False, True])
def test_answers_over_several_are_those_over_one(
    bench: Bench, modality: VectorModality, store: Store, count: int, exhaustive: bool
) -> None:
    several = Engine(modality, store, Shards(parts(modality, store, count)), Memory(store))
    for text in TEXTS:
        options: dict[str, Any] = {"k": 4, "exhaustive": exhaustive}
        whole = _answer(bench.engine, text, **options)
        if exhaustive or not isinstance(modality, Accompanied):
            assert _answer(several, text, **options) == whole
        else:  # each shard proposes as many by its second way, so that more are compared and none less
            assert _answer(several, text, **options)[0][1] >= whole[0][1]


# -- one that is gone -------------------------------------------------------------------------------------------


def test_an_answer_without_a_shard_says_so(bench: Bench, modality: VectorModality, store: Store) -> None:
    present, _ = parts(modality, store, 2)
    engine = Engine(modality, store, Shards([present, Gone()]), Memory(store))
    answer = engine.search(
        ALICE, Sample(b"1,1"), SearchOptions(k=50, exhaustive=True, group_by_subject=False)
    )
    assert answer.header.coverage == 0.5
    assert answer.header.searched == present.status().references < len(TEXTS)
    held = {reference_id for reference_id in _all(bench) if present.facets(reference_id)}
    assert {c.reference.reference_id for c in answer.probes[0].candidates} == held
    assert answer.header.audit_position > 0


def test_a_gallery_is_not_called_unknown_while_a_shard_is_gone(
    bench: Bench, modality: VectorModality, store: Store
) -> None:
    shards = Shards([parts(modality, store, 2)[0], Gone()])
    scope = Scope(ALICE, galleries=frozenset({"nowhere"}))
    assert shards.search(query("1,1", scope=scope), NO_DEADLINE).unknown_galleries == ()


def test_nothing_is_answered_where_none_answers(bench: Bench, modality: VectorModality, store: Store) -> None:
    engine = Engine(modality, store, Shards([Gone(), Gone()]), Memory(store))
    before = store.audit_head()
    with pytest.raises(Unavailable):
        engine.search(ALICE, Sample(b"1,1"), SearchOptions())
    assert store.audit_head() == before


def test_what_cannot_be_partial_is_refused(bench: Bench, modality: VectorModality, store: Store) -> None:
    present, _ = parts(modality, store, 2)
    shards = Shards([present, Gone()])
    with pytest.raises(Unavailable):
        shards.enrolled(Scope(ALICE), 0)
    with pytest.raises(Unavailable):
        shards.status()
    here, gone = (next(one for one in map(_id, range(99)) if place(one, 2) == part) for part in (0, 1))
    assert shards.facets(here) is None
    with pytest.raises(Unavailable):
        shards.facets(gone)
    assert shards.facets("a case number") is None
    assert any(present.facets(one) == shards.facets(one) for one in _all(bench) if present.facets(one))


def _id(number: int) -> str:
    return f"01a22144-ee73-7d76-9b03-{number:012d}"


def _all(bench: Bench) -> Sequence[str]:
    answer = bench.shard.search(query("1,1", count=1000, exhaustive=True), NO_DEADLINE)
    return ids(answer)


def test_places_are_spread_and_never_move(bench: Bench) -> None:
    assert {place(one, 2) for one in _all(bench)} == {0, 1}
    assert place("01a22144-ee73-7d76-9b03-cc79a7f67496", 64) == place(
        "01A22144-EE73-7D76-9B03-CC79A7F67496", 64
    )


def test_every_shard_compares_by_the_clutter_of_all(bench: Bench, store: Store) -> None:
    """A shard that learnt it of its own references alone would score the same pair differently."""
    modality = Accompanied()
    asked = query("1,0.5,1", count=100, exhaustive=True)
    handed: list[ShardQuery] = []

    class Noting(Pickled):
        def search(self, query: ShardQuery, *further: Any) -> ShardAnswer:
            handed.append(query)
            return super().search(query, *further)

    merged = Shards([*map(Noting, parts(modality, store, 2))]).search(asked, NO_DEADLINE)
    (whole,) = parts(modality, store, 1)
    (clutter,) = whole.clutter(asked, NO_DEADLINE)
    assert clutter is not None
    for one in handed:
        (given,) = one.clutter
        assert given is not None
        assert given.references == clutter.references == len(TEXTS)
        assert given.counts.tolist() == clutter.counts.tolist()
    found = whole.search(asked, NO_DEADLINE)
    assert [(i, score.value) for i, score in merged.scored[0]] == [
        (i, score.value) for i, score in found.scored[0]
    ]

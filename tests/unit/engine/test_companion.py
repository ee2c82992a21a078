"""A second way to candidates in addition to the vectors, and answers grouped by subject."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.domain.answers import Score, SearchOptions
from likeness.domain.errors import Corrupt
from likeness.domain.modality import Clutter, Companion, Proposal
from likeness.domain.samples import Mode, Sample, Template
from likeness.domain.scope import Scope
from likeness.engine import local_shard
from likeness.engine.gallery import Gallery
from likeness.store.store import Store
from likeness.testing.vectors import VectorModality
from tests.support import ALICE, BOB, Bench


def template(text: str) -> Template:
    (extraction,) = VectorModality().extract([Sample(text.encode())], Mode.PROBE)
    made = extraction.findings[0].template
    assert made is not None
    return made


class Opposites:
    """Finds the rows whose vectors are least similar, which the vectors alone would find last."""

    def __init__(self) -> None:
        self.held: dict[int, NDArray[np.float32]] = {}

    def add(self, row: int, template: Template) -> None:
        self.held[row] = template.vectors[0]

    def remove(self, row: int) -> None:
        del self.held[row]

    def search(self, probe: Template, count: int, mask: NDArray[np.bool_]) -> Proposal:
        allowed = [row for row in self.held if row < len(mask) and mask[row]]
        rows = sorted(allowed, key=lambda row: float(self.held[row] @ probe.vectors[0]))[:count]
        return Proposal(rows, self.clutter(probe, mask))

    def clutter(self, probe: Template, mask: NDArray[np.bool_]) -> Clutter:
        """How many rows have each element of the probe's vector."""
        allowed = [held for row, held in self.held.items() if row < len(mask) and mask[row]]
        counts = np.sum([(held != 0) & (probe.vectors[0] != 0) for held in allowed], axis=0)
        return Clutter(np.asarray(counts, np.int64), len(allowed))


class Accompanied(VectorModality):
    groups_subjects = True

    def __init__(self) -> None:
        super().__init__()
        self.made: list[Opposites] = []

    def shortlist(self, k: int) -> int:
        return k

    def companion(self) -> Companion:
        self.made.append(Opposites())
        return self.made[-1]

    def compare(
        self,
        probe: Template,
        candidates: Sequence[Template],
        *,
        clutter: Clutter | None = None,
        exact: bool = False,
    ) -> list[Score]:
        """What is common in the gallery is taken off the score."""
        common = 0.0 if clutter is None else float(clutter.counts.sum()) / clutter.references
        scores = super().compare(probe, candidates, exact=exact)
        return [replace(score, value=score.value - common) for score in scores]


@pytest.fixture
def modality() -> Accompanied:
    return Accompanied()


@pytest.fixture
def bench(modality: Accompanied, store: Store) -> Bench:
    return Bench(modality, store)


def test_candidates_of_both_ways_are_compared(bench: Bench) -> None:
    near, far = (bench.enrol(text).reference.reference_id for text in ("1,0", "-1,0"))
    for n in range(5):
        bench.enrol(f"0.5,{n}")
    view = bench.gallery.view(Scope(ALICE))
    assert bench.gallery.shortlist(template("1,0"), 1, view).ids == [near, far]


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("exhaustive", [False, True])
def test_every_profile_compares_by_the_clutter_of_all_that_may_be_searched(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, k: int, exhaustive: bool
) -> None:
    """Of four references three hold one of the probe's two elements and two the other: 5 / 4 is taken off."""
    monkeypatch.setattr(local_shard, "EXHAUSTIVE_BATCH", 2)
    for text in ("1,0", "1,1", "0,1", "1,0,1"):
        bench.enrol(text, galleries=frozenset({"mine"}))
    bench.enrol("1,1", galleries=frozenset({"other"}))
    options = SearchOptions(k=k, galleries=frozenset({"mine"}), exhaustive=exhaustive)
    (answer,) = bench.engine.search(ALICE, Sample(b"1,1"), options).probes
    assert answer.candidates[0].score.value == pytest.approx(1 - 5 / 4)


def test_clutter_is_a_value_that_adds_up_over_the_parts_of_a_scope(bench: Bench) -> None:
    for text in ("1,0", "1,1"):
        bench.enrol(text, galleries=frozenset({"a"}))
    bench.enrol("0,1", galleries=frozenset({"b"}))
    probe = template("1,1")
    views = [bench.gallery.view(Scope(ALICE, frozenset(of))) for of in ({"a"}, {"b"}, {"a", "b"})]
    found = [bench.gallery.clutter(probe, view) for view in views]
    one, other, both = (pickle.loads(pickle.dumps(clutter)) for clutter in found)  # noqa: S301
    assert (one + other).counts.tolist() == both.counts.tolist()
    assert (one + other).references == both.references == 3
    listed = bench.gallery.shortlist(probe, 1, views[2]).clutter
    assert listed is not None
    assert listed.counts.tolist() == both.counts.tolist()


def test_the_companion_sees_only_what_the_caller_may_search(bench: Bench) -> None:
    bench.enrol("-1,0", galleries=frozenset({"other"}))
    mine = bench.enrol("0.1,1", galleries=frozenset({"mine"})).reference.reference_id
    bench.enrol("1,0", galleries=frozenset({"mine"}))
    view = bench.gallery.view(Scope(ALICE, frozenset({"mine"})))
    assert bench.gallery.shortlist(template("1,0"), 1, view).ids[1:] == [mine]


def test_what_is_expunged_leaves_the_companion(bench: Bench, modality: Accompanied) -> None:
    gone = bench.enrol("1,0").reference.reference_id
    bench.enrol("0,1")
    bench.engine.expunge(ALICE, bench.key(ALICE), gone, reason="over")
    assert list(modality.made[-1].held) == [1]


def test_a_restored_gallery_folds_its_companion_from_the_stored_templates(
    bench: Bench, modality: Accompanied, store: Store
) -> None:
    for text in ("1,0", "0,1", "1,1"):
        bench.enrol(text)
    snapshot = bench.gallery.capture()
    again = Gallery("face", modality.space, store, companion=modality.companion)
    again.restore(snapshot)
    again.start()
    assert sorted(modality.made[-1].held) == [0, 1, 2]


def test_a_subject_is_answered_once_with_its_further_references(bench: Bench) -> None:
    first = bench.enrol("1,0", subject="watch-7").reference.reference_id
    other = bench.enrol("1,0.5", subject="watch-8").reference.reference_id
    second = bench.enrol("1,0.1", subject="watch-7").reference.reference_id
    alone = [bench.enrol("1,1", subject="").reference.reference_id for _ in range(2)]
    (answer,) = bench.engine.search(BOB, Sample(b"1,0"), SearchOptions()).probes
    assert [c.reference.reference_id for c in answer.candidates] == [first, other, *alone]
    assert [c.further for c in answer.candidates] == [(second,), (), (), ()]
    assert [c.rank for c in answer.candidates] == [1, 2, 3, 4]
    (apart,) = bench.engine.search(BOB, Sample(b"1,0"), SearchOptions(group_by_subject=False)).probes
    assert [c.reference.reference_id for c in apart.candidates][:3] == [first, second, other]


def test_subjects_of_two_owners_are_two(bench: Bench) -> None:
    for caller in (ALICE, BOB):
        bench.enrol("1,0", caller=caller, subject="1")
    (answer,) = bench.engine.search(ALICE, Sample(b"1,0"), SearchOptions()).probes
    assert len(answer.candidates) == 2


class Refusing(Opposites):
    """Refuses one template, once."""

    refused = False

    def add(self, row: int, template: Template) -> None:
        if row == 1 and not Refusing.refused:
            Refusing.refused = True
            raise Corrupt("This one not.")
        super().add(row, template)


def test_a_template_that_the_companion_refuses_leaves_nothing_behind(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Refusing, "refused", False)
    modality = Accompanied()
    monkeypatch.setattr(modality, "companion", Refusing)
    bench = Bench(modality, store)
    names = [bench.enrol(text).reference.reference_id for text in ("1,0", "0,1", "0,0,1", "0,0,0,1")]
    bench.gallery.catch_up()
    assert len(bench.gallery.index) == len(bench.gallery.register) == 4
    assert bench.search("0,0,1", k=1) == [names[2]]


def test_the_depth_of_a_shortlist_does_not_depend_on_what_is_not_seen(bench: Bench) -> None:
    mine = [
        bench.enrol(f"1,0.{n}", galleries=frozenset({"mine"})).reference.reference_id for n in range(1, 8)
    ]
    view = bench.gallery.view(Scope(ALICE, frozenset({"mine"})))
    before = bench.gallery.shortlist(template("1,0"), 4, view).ids
    for n in range(50):
        bench.enrol(f"1,0.0{n}", galleries=frozenset({"other"}))
    view = bench.gallery.view(Scope(ALICE, frozenset({"mine"})))
    assert bench.gallery.shortlist(template("1,0"), 4, view).ids == before
    assert set(before) <= set(mine)

"""A second way to candidates beside the vectors, and answers grouped by subject."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from likeness.domain.answers import SearchOptions
from likeness.domain.errors import Corrupt
from likeness.domain.modality import Companion
from likeness.domain.samples import Mode, Sample, Template
from likeness.engine.gallery import Gallery
from likeness.engine.policy import Scope
from likeness.store.store import Store
from tests.support import ALICE, BOB, Bench, VectorModality


def template(text: str) -> Template:
    (extraction,) = VectorModality().extract([Sample(text.encode())], Mode.PROBE)
    made = extraction.findings[0].template
    assert made is not None
    return made


class Opposites:
    """Finds the rows whose vectors are least alike, which the vectors alone would find last."""

    def __init__(self) -> None:
        self.held: dict[int, NDArray[np.float32]] = {}

    def add(self, row: int, template: Template) -> None:
        self.held[row] = template.vectors[0]

    def remove(self, row: int) -> None:
        del self.held[row]

    def search(self, probe: Template, count: int, mask: NDArray[np.bool_]) -> list[int]:
        allowed = [row for row in self.held if row < len(mask) and mask[row]]
        return sorted(allowed, key=lambda row: float(self.held[row] @ probe.vectors[0]))[:count]


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
    assert bench.gallery.shortlist(template("1,0"), 1, view) == [near, far]


def test_the_companion_sees_only_what_the_caller_may_search(bench: Bench) -> None:
    bench.enrol("-1,0", galleries=frozenset({"other"}))
    mine = bench.enrol("0.1,1", galleries=frozenset({"mine"})).reference.reference_id
    bench.enrol("1,0", galleries=frozenset({"mine"}))
    view = bench.gallery.view(Scope(ALICE, frozenset({"mine"})))
    assert bench.gallery.shortlist(template("1,0"), 1, view)[1:] == [mine]


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
    before = bench.gallery.shortlist(template("1,0"), 4, view)
    for n in range(50):
        bench.enrol(f"1,0.0{n}", galleries=frozenset({"other"}))
    view = bench.gallery.view(Scope(ALICE, frozenset({"mine"})))
    assert bench.gallery.shortlist(template("1,0"), 4, view) == before
    assert set(before) <= set(mine)

"""What is made of a value is made once, and does not outlive it."""

from __future__ import annotations

import gc
import weakref

from likeness.domain.references import Facets, Reference
from likeness.rpc.convert.kept import Kept


def reference(subject: str) -> Reference:
    return Reference("00000000-0000-4000-8000-000000000001", "face", Facets("NCB-AA"), subject_id=subject)


def test_it_is_made_once_for_each_object_and_not_for_equal_ones() -> None:
    made: list[Reference] = []

    def make(value: Reference) -> list[str]:
        made.append(value)
        return [value.subject_id]

    kept = Kept(make)
    one, same = reference("someone"), reference("someone")
    assert kept.of(one) is kept.of(one)
    assert kept.of(same) is not kept.of(one)
    assert len(made) == 2


def test_it_goes_with_its_value() -> None:
    kept: Kept[Reference, list[str]] = Kept(lambda value: [value.subject_id])
    one, other = reference("someone"), reference("another")
    assert (kept.of(one), kept.of(other)) == (["someone"], ["another"])
    del one
    gc.collect()
    assert len(kept) == 1
    assert kept.of(other) == ["another"]


def test_a_value_in_the_place_of_one_that_is_gone_is_not_taken_for_it() -> None:
    kept: Kept[Reference, str] = Kept(lambda value: value.subject_id)
    gone, one = reference("gone"), reference("someone")
    kept._made[id(one)] = (weakref.ref(gone), "made of another")
    del gone
    assert kept.of(one) == "someone"

"""What is made of a value is made once, and does not outlive it."""

from __future__ import annotations

import gc
import weakref

from likeness.domain.references import Facets, Reference
from likeness.rpc.convert.message_cache import MessageCache


def reference(subject: str) -> Reference:
    return Reference("00000000-0000-4000-8000-000000000001", "face", Facets("NCB-AA"), subject_id=subject)


def test_it_is_made_once_for_each_object_and_not_for_equal_ones() -> None:
    made: list[Reference] = []

    def make(value: Reference) -> list[str]:
        made.append(value)
        return [value.subject_id]

    cache = MessageCache(make)
    one, same = reference("someone"), reference("someone")
    assert cache.of(one) is cache.of(one)
    assert cache.of(same) is not cache.of(one)
    assert len(made) == 2


def test_it_goes_with_its_value() -> None:
    cache: MessageCache[Reference, list[str]] = MessageCache(lambda value: [value.subject_id])
    one, other = reference("someone"), reference("another")
    assert (cache.of(one), cache.of(other)) == (["someone"], ["another"])
    del one
    gc.collect()
    assert len(cache) == 1
    assert cache.of(other) == ["another"]


def test_a_value_in_the_place_of_one_that_is_gone_is_not_taken_for_it() -> None:
    cache: MessageCache[Reference, str] = MessageCache(lambda value: value.subject_id)
    gone, one = reference("gone"), reference("someone")
    cache._made[id(one)] = (weakref.ref(gone), "made of another")
    del gone
    assert cache.of(one) == "someone"

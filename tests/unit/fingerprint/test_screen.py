from dataclasses import replace

import numpy as np

from likeness.fingerprint import parameters as p
from likeness.fingerprint.kernel import Arrays
from likeness.fingerprint.prepared import prepare
from likeness.fingerprint.screen import core
from likeness.fingerprint.synthesis import draw


def dense() -> Arrays:
    """A drawn finger of many minutiae, of random qualities."""
    one = max(draw(60, 3), key=len)
    assert len(one) > p.CORE + 15
    quality = np.random.default_rng(0).integers(1, 101, len(one)).astype(np.uint8)
    return prepare(replace(one, quality=quality)).arrays


def taken(of: Arrays, core_arrays: Arrays) -> list[int]:
    """Where in `of` each minutia of `core_arrays` is."""
    minutiae = zip(core_arrays.xy, core_arrays.turn, strict=True)
    places = [np.flatnonzero((of.xy == xy).all(1) & (of.turn == turn)) for xy, turn in minutiae]
    assert all(len(place) == 1 for place in places)
    return [int(place[0]) for place in places]


def test_a_small_template_is_its_own_core() -> None:
    few = min(draw(60, 3), key=len)
    assert 0 < len(few) <= p.CORE
    whole = prepare(few).arrays
    core_arrays = core(whole)
    for name in ("xy", "turn", "hull", "valid", "kind", "trust"):
        np.testing.assert_array_equal(getattr(core_arrays, name), getattr(whole, name))
    for held, wide in ((whole.bits, core_arrays.bits), (whole.masks, core_arrays.masks)):
        np.testing.assert_array_equal(wide[:, : len(few)], held)
        assert wide.shape[1] == p.CORE
        assert not wide[:, len(few) :].any()


def test_a_core_is_minutiae_as_they_were_in_order_of_their_turn() -> None:
    whole = dense()
    core_arrays = core(whole)
    places = taken(whole, core_arrays)
    assert len(places) == p.CORE
    assert places == sorted(set(places))
    for name in ("turn", "valid", "kind", "trust"):
        np.testing.assert_array_equal(getattr(core_arrays, name), getattr(whole, name)[places])
    np.testing.assert_array_equal(core_arrays.bits, whole.bits[:, places])
    np.testing.assert_array_equal(core_arrays.masks, whole.masks[:, places])
    np.testing.assert_array_equal(core_arrays.hull, whole.hull)


def test_the_core_has_what_can_be_compared_then_what_is_trusted_and_near_the_middle() -> None:
    whole = dense()
    n = len(whole.turn)
    # The most trusted cannot be compared: all that can are taken first, though there are fewer of them.
    valid = np.ones(n, np.uint8)
    valid[np.argsort(-whole.trust)[: n - p.CORE + 10]] = 0
    assert core(whole._replace(valid=valid)).valid.sum() == valid.sum() == p.CORE - 10
    equal = whole._replace(valid=np.ones(n, np.uint8), trust=np.full(n, 0.5, np.float32))
    inside = taken(whole, core(equal))
    far = np.hypot(*whole.xy.T)
    assert far[inside].max() <= np.sort(far)[p.CORE - 1] + p.CORE_REACH / 100
    trusted = equal._replace(xy=np.zeros_like(whole.xy), trust=whole.trust)
    assert core(trusted).trust.min() >= np.sort(whole.trust)[-p.CORE] - 0.01

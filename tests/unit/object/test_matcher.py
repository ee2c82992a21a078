"""Prepared photographs: their bytes, and what a probe has more."""

from __future__ import annotations

import pytest

from likeness.domain.errors import Corrupt
from likeness.object import parameters as p
from likeness.object.local import first
from likeness.object.matcher import PreparedObject, prepare
from tests.unit.object import things


def test_a_probe_has_more_details_and_its_mirror_image() -> None:
    image = things.inside(things.thing(1), things.thing(2, 900, 700), (300, 200), 1.0)
    reference, probe = prepare(image), prepare(image, as_probe=True)
    assert reference.mirrored is None
    assert len(reference.details) == p.MAX_DETAILS
    assert p.MAX_DETAILS < len(probe.details) <= p.PROBE_DETAILS
    assert probe.mirrored is not None
    assert len(probe.mirrored) == p.MAX_DETAILS


def test_the_details_of_a_reference_are_the_first_of_a_probe() -> None:
    image = things.inside(things.thing(1), things.thing(2, 900, 700), (300, 200), 1.0)
    reference, probe = prepare(image).details, prepare(image, as_probe=True).details
    strongest = first(probe, len(reference))
    assert strongest.codes.tolist() == reference.codes.tolist()
    assert strongest.xy.tolist() == reference.xy.tolist()
    assert len(reference.words) == len(reference)
    assert len(probe.words) == 0


def test_bytes_give_back_both() -> None:
    made = prepare(things.thing(1), as_probe=True)
    again = PreparedObject.from_bytes(made.to_bytes())
    assert again.mirrored is not None
    assert made.mirrored is not None
    assert again.details.codes.tolist() == made.details.codes.tolist()
    assert again.mirrored.codes.tolist() == made.mirrored.codes.tolist()
    assert PreparedObject.from_bytes(prepare(things.thing(1)).to_bytes()).mirrored is None


@pytest.mark.parametrize("cut", [3, 11, 200])
def test_damaged_bytes_are_refused(cut: int) -> None:
    data = prepare(things.thing(1)).to_bytes()
    with pytest.raises(Corrupt):
        PreparedObject.from_bytes(data[:cut])
    with pytest.raises(Corrupt):
        PreparedObject.from_bytes(data + b"x")

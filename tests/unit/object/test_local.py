"""Local details: what is found, where, and how it is stored."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.domain.errors import Corrupt
from likeness.domain.samples import Box
from likeness.imaging.opencv import cv2
from likeness.object import parameters as p
from likeness.object.codebook import codebook
from likeness.object.local import Details, coded, mirrored, raw
from tests.unit.object import things


def described(seed: int = 1) -> Details:
    image = things.thing(seed)
    return coded(*raw(image), image.shape[1], image.shape[0])


def test_details_are_as_many_as_allowed_and_spread_over_the_photograph() -> None:
    image = things.thing(1, 480, 360)
    _, geometry = raw(image, most=120)
    assert len(geometry) == 120
    thirds = {(int(x * 3 / 480), int(y * 3 / 360)) for x, y in geometry[:, :2]}
    assert len(thirds) == 9


def test_descriptors_are_root_sift() -> None:
    descriptors, _ = raw(things.thing(2))
    assert np.linalg.norm(descriptors, axis=1) == pytest.approx(1, abs=1e-3)
    assert (descriptors >= 0).all()


def test_details_lie_in_pixels_of_the_photograph_whatever_its_size() -> None:
    """A photograph twice as large has its details at twice the place and one octave higher."""
    small = things.thing(3, 480, 360)
    large = np.repeat(np.repeat(small, 2, 0), 2, 1)
    (one, at), (other, there) = raw(small), raw(large)
    nearest = (one @ other.T).argmax(1)
    sure = (one @ other.T).max(1) > 0.99
    assert sure.sum() > 60
    assert np.median(np.abs(at[sure, :2] * 2 - there[nearest[sure], :2])) < 1.5
    assert np.median(there[nearest[sure], 3] - at[sure, 3]) == pytest.approx(1, abs=0.1)


def test_details_of_a_region_lie_in_it() -> None:
    region = Box(100, 60, 120, 90)
    _, geometry = raw(things.thing(4), region)
    assert len(geometry) > 10
    assert (geometry[:, 0] >= 98).all()
    assert (geometry[:, 0] <= 222).all()
    assert (geometry[:, 1] >= 58).all()
    assert (geometry[:, 1] <= 152).all()


def test_a_plain_photograph_has_none() -> None:
    descriptors, geometry = raw(np.full((200, 200, 3), 90, np.uint8))
    assert descriptors.shape == (0, 128)
    assert geometry.shape == (0, 4)
    assert len(coded(descriptors, geometry, 200, 200)) == 0


def test_the_mirror_image_need_not_be_looked_at() -> None:
    """Mirrored details are those that are found in the mirror image."""
    image = things.thing(5)
    made, at = mirrored(*raw(image), image.shape[1])
    found, there = raw(things.mirrored(image))
    nearest = (made @ found.T).argmax(1)
    same = (np.abs(at[:, :2] - there[nearest, :2]).max(1) < 2) & ((made @ found.T).max(1) > 0.98)
    assert same.mean() > 0.75
    turn = np.abs(np.mod(at[same, 2] - there[nearest[same], 2] + 180, 360) - 180)
    assert np.median(turn) < 3


def test_bytes_give_back_the_details() -> None:
    one = described()
    other = Details.from_bytes(one.to_bytes())
    assert np.array_equal(other.codes, one.codes)
    assert np.array_equal(other.words, one.words)
    assert other.xy == pytest.approx(one.xy, abs=0.01)
    assert np.mod(other.turn - one.turn + 180, 360) == pytest.approx(180, abs=0.8)
    assert other.octave == pytest.approx(one.octave, abs=0.04)
    assert (other.width, other.height) == (one.width, one.height)
    assert other.to_bytes() == Details.from_bytes(other.to_bytes()).to_bytes()


def test_a_reference_takes_at_most_twenty_kilobytes() -> None:
    assert len(described().to_bytes()) <= p.MAX_DETAILS * (codebook().dimension + 8) + 16 <= 20_000


@pytest.mark.parametrize(
    "change", [lambda d: d[:-1], lambda d: d + b"x", lambda d: b"LKOX" + d[4:], lambda d: d[:6]]
)
def test_damaged_bytes_are_refused(change: object) -> None:
    assert callable(change)
    with pytest.raises(Corrupt):
        Details.from_bytes(change(described().to_bytes()))


def test_coarse_details_are_chosen_since_they_outlast_a_blur(monkeypatch: pytest.MonkeyPatch) -> None:
    image = things.thing(5)
    blurred = np.asarray(cv2.GaussianBlur(image, (0, 0), 4.0), np.uint8)

    def found_again() -> int:
        sharp, _ = raw(image)
        seen, _ = raw(blurred)
        return int(((sharp @ seen.T).max(1) > 0.95).sum())

    by_size = found_again()
    monkeypatch.setattr(p, "COARSE", 0.0)
    assert by_size > 1.2 * found_again() > 0

"""Two different things in one frame are similar only; copies of one thing stay found, whatever was added."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from likeness.domain.answers import Likelihood
from likeness.domain.modality import Clutter
from likeness.domain.samples import Mode
from likeness.object import parameters as p
from likeness.object.matcher import PreparedObject
from likeness.object.modality import ObjectModality
from tests.unit.object import frames, things
from tests.unit.object.things import Pixels, template

CASES = Path(__file__).parents[4] / "shared" / "cases"


def blobs(seed: int) -> Pixels:
    """A thing as a photograph may show it: soft colours with a few outlines."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (9, 12, 3), dtype=np.uint8)
    image = np.ascontiguousarray(cv2.resize(coarse, (480, 360), interpolation=cv2.INTER_CUBIC), np.uint8)
    for _ in range(30):
        x, y, size = (int(n) for n in random.integers((0, 0, 6), (480, 360, 40)))
        colour = random.integers(0, 256, 3).tolist()
        if random.random() < 0.5:
            cv2.circle(image, (x, y), size, colour, 2, cv2.LINE_AA)
        else:
            cv2.rectangle(image, (x, y), (x + size, y + size), colour, 2)
    return image


def smaller(image: Pixels) -> Pixels:
    return np.asarray(cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA), np.uint8)


def pixels(path: Path) -> Pixels:
    found = cv2.imread(str(path))
    assert found is not None
    return np.ascontiguousarray(found[:, :, ::-1], np.uint8)


def clutter_of(made: object, counts: int) -> Clutter:
    """A search over enough references that learnt so much of every detail."""
    details = PreparedObject.from_bytes(made.detail).details  # type: ignore[attr-defined]
    return Clutter(np.full(len(details), counts, np.int64), 2 * p.CLUTTER_KNOWN_FROM)


@pytest.mark.parametrize("kind", frames.FRAMES)
def test_different_things_in_one_frame_are_similar_only(modality: ObjectModality, kind: str) -> None:
    """1:1 and in a search, of the same size and scaled; the same thing in it is found."""
    frame = frames.FRAMES[kind]
    held = [template(modality, frame(thing), Mode.ENROL) for thing in (blobs(1), things.thing(1))]
    for image in (frame(blobs(2)), smaller(frame(things.thing(2)))):
        probe = template(modality, image, Mode.PROBE)
        for clutter in (None, clutter_of(probe, 1)):
            found = modality.compare(probe, held, clutter=clutter)
            assert {score.likelihood for score in found} == {str(Likelihood.SIMILAR)}
            assert max(score.value for score in found) < 2
    probe = template(modality, smaller(frame(blobs(1))), Mode.PROBE)
    same = modality.compare(probe, held[:1], clutter=clutter_of(probe, 1))[0]
    assert same.likelihood == Likelihood.STRONG
    assert same.parts["contradicted"] < p.CONTRADICTED_FROM / 2


def captioned(image: Pixels, text: str = "another caption") -> Pixels:
    height, width = image.shape[:2]
    out = np.full((height + 50, width, 3), 255, np.uint8)
    out[:height] = image
    frames.write(out, text, (10, height + 34), 0.9)
    return out


def stickered(image: Pixels) -> Pixels:
    return things.inside(things.thing(77, 90, 90), image, (30, 40), 1.0)


def lettered(image: Pixels) -> Pixels:
    out = image.copy()
    for n in range(2):
        frames.write(out, "SOLD OUT", (20, 90 + 150 * n), 1.2, (255, 255, 0))
    return out


@pytest.mark.parametrize(
    "attack",
    [
        lambda image: image[30:-40, 20:-50],
        smaller,
        lettered,
        stickered,
        captioned,
        things.mirrored,
        lambda image: (image * 0.6).astype(np.uint8),
        lambda image: np.asarray(cv2.GaussianBlur(image, (0, 0), 2.0), np.uint8),
    ],
    ids=["crop", "resize", "text", "sticker", "caption", "mirror", "dark", "blur"],
)
def test_copies_stay_found(modality: ObjectModality, attack: object) -> None:
    assert callable(attack)
    for image in (blobs(5), things.thing(5, 480, 360)):
        reference = captioned(image, "first words") if attack is captioned else image
        probe = template(modality, np.ascontiguousarray(attack(image)), Mode.PROBE)
        held = template(modality, reference, Mode.ENROL)
        score = modality.compare(probe, [held], clutter=clutter_of(probe, 1))[0]
        assert score.parts["contradicted"] < p.CONTRADICTED_FROM
        assert score.likelihood != Likelihood.SIMILAR


def overlaid(image: Pixels) -> Pixels:
    """A banner that is half transparent, two lines of text, and another picture over a corner."""
    out = image.copy()
    height, width = out.shape[:2]
    band = out[height // 2 : height // 2 + height // 6].astype(np.float32)
    out[height // 2 : height // 2 + height // 6] = 0.4 * band + 0.6 * np.array((200, 40, 90))
    frames.write(out, "SPECIAL", (width // 3, height // 5), width / 250, (255, 255, 0))
    frames.write(out, "OFFER", (width // 9, height * 9 // 10), width / 250, (0, 255, 0))
    side = min(height, width) * 3 // 10
    out[:side, :side] = cv2.resize(things.thing(91), (side, side), interpolation=cv2.INTER_AREA)
    return out


def test_copies_with_much_over_them_stay_found(modality: ObjectModality) -> None:
    """All that is drawn over them differs, and no rectangle of any size is without agreement."""
    for image in (blobs(6), blobs(7), things.thing(6, 480, 360), things.thing(8, 480, 360)):
        probe = template(modality, overlaid(image), Mode.PROBE)
        held = template(modality, image, Mode.ENROL)
        score = modality.compare(probe, [held], clutter=clutter_of(probe, 1))[0]
        assert score.parts["contradicted"] < p.CONTRADICTED_FROM
        assert score.likelihood != Likelihood.SIMILAR


@pytest.mark.shared
def test_the_screenshots_that_failed_are_similar_only(modality: ObjectModality) -> None:
    paths = [CASES / f"f14_screenshot_{n}.jpg" for n in (1, 2)]
    if not all(path.exists() for path in paths):
        pytest.skip("needs ../shared/cases")
    one, other = (pixels(path) for path in paths)
    probe, reference = template(modality, one, Mode.PROBE), template(modality, other, Mode.ENROL)
    for clutter in (None, clutter_of(probe, 1)):
        assert modality.compare(probe, [reference], clutter=clutter)[0].likelihood == Likelihood.SIMILAR

import numpy as np
import pytest

from likeness.domain.answers import Score
from likeness.fingerprint.explain import ExplainedFinger, _position, explained
from likeness.fingerprint.fingers import Finger
from likeness.fingerprint.matcher import Matcher, Pairing
from likeness.fingerprint.prepared import prepare
from likeness.imaging.opencv import cv2
from tests.unit.fingerprint.drawn_fingers import fingers

SCORE = Score(7.5, {"paired_minutiae": 20.0, "residual": 3.25, "fingers": 1.0})


def side(finger: int, impression: int) -> ExplainedFinger:
    return ExplainedFinger(
        f"finger {finger}, impression {impression}", Finger(2, prepare(fingers()[finger][impression]))
    )


def pixels(picture: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR))


@pytest.fixture(scope="module")
def pairing() -> Pairing:
    return Matcher().pair(side(0, 0).finger.prepared, side(0, 1).finger.prepared)


def test_the_picture_shows_colours_where_minutiae_are_paired_and_none_where_not(pairing: Pairing) -> None:
    paired = pixels(explained(side(0, 0), side(0, 1), pairing, SCORE, ["caption"]).picture)
    alone = pixels(
        explained(side(0, 0), side(0, 1), Pairing(pairing.pairs[:0], pairing.motion), SCORE, []).picture
    )
    for shown, some in ((paired, True), (alone, False)):
        left = shown[40:440, :400].astype(int)
        assert ((left.max(axis=2) - left.min(axis=2)) > 120).any() == some


def test_a_caption_more_is_a_taller_picture(pairing: Pairing) -> None:
    few = pixels(explained(side(0, 0), side(0, 1), pairing, SCORE, ["one"]).picture)
    more = pixels(explained(side(0, 0), side(0, 1), pairing, SCORE, ["one", "two"]).picture)
    assert more.shape[0] > few.shape[0]


def test_the_evidence_is_in_the_records_own_pixels(pairing: Pairing) -> None:
    evidence = explained(side(0, 0), side(0, 1), pairing, SCORE, []).evidence
    assert evidence is not None
    probe, candidate = fingers()[0]
    for points, minutiae in ((evidence.probe, probe), (evidence.candidate, candidate)):
        apart = np.hypot(*(np.array(points)[:, None] - minutiae.xy[None]).transpose(2, 0, 1))
        assert (apart.min(axis=1) < 0.1).all()
    motion = np.array(evidence.transform).reshape(3, 3)
    assert np.linalg.det(motion) == pytest.approx(1)
    outline = np.array(evidence.probe_outline)
    moved = np.column_stack([outline, np.ones(len(outline))]) @ motion.T
    assert moved[:, :2] == pytest.approx(np.array(evidence.candidate_outline), abs=1e-2)


def test_nothing_paired_is_no_transform() -> None:
    nothing = Pairing(np.zeros((0, 2), np.int64), (0.0, 0.0, 0.0))
    evidence = explained(side(0, 0), side(1, 0), nothing, SCORE, []).evidence
    assert evidence is not None
    assert (evidence.probe, evidence.candidate, evidence.transform) == ((), (), ())


@pytest.mark.parametrize(
    ("position", "possible", "shown"),
    [
        (0, (), "unknown finger"),
        (7, (), "left index"),
        (0, (3, 2), "right index or right middle"),
        (0, (10, 1, 6), "right thumb or left thumb or left little"),
    ],
)
def test_a_mark_is_captioned_with_the_fingers_that_it_may_be(
    position: int, possible: tuple[int, ...], shown: str
) -> None:
    prepared = side(0, 0).finger.prepared
    assert _position(Finger(position, prepared, frozenset(possible))).startswith(shown)

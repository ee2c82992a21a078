import math

import numpy as np
import pytest

from likeness.domain.errors import Corrupt
from likeness.fingerprint import parameters as p
from likeness.fingerprint.evidence import MEASURES
from likeness.fingerprint.fusion import fusion
from likeness.fingerprint.matcher import Matcher, cascade, measures
from likeness.fingerprint.minutiae import Minutiae, MinutiaKind
from likeness.fingerprint.prepared import PreparedFinger, prepare, trust_of
from tests.unit.fingerprint.drawn_fingers import fingers

COMPARED = MEASURES.index("compared")


def moved(of: Minutiae, degrees: float, x: float, y: float) -> Minutiae:
    turn = math.radians(degrees)
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    xy = (of.xy @ rotation.T + (x, y)).astype(np.float32)
    return Minutiae(xy, np.mod(of.angle - turn, 2 * np.pi).astype(np.float32), of.kind, of.quality)


def with_quality(of: Minutiae, quality: np.ndarray) -> Minutiae:
    return Minutiae(of.xy, of.angle, of.kind, quality.astype(np.uint8))


def test_stored_bytes_make_the_same_template_and_damaged_ones_none() -> None:
    drawn = fingers()[0][0]
    one = prepare(with_quality(drawn, np.random.default_rng(5).integers(0, 101, len(drawn))))
    assert len(set(one.arrays.trust.tolist())) > 10
    assert len(set(one.arrays.kind.tolist())) == 2
    again = PreparedFinger.from_bytes(one.to_bytes())
    for copied, made in zip((*again.arrays, *again.core), (*one.arrays, *one.core), strict=True):
        np.testing.assert_array_equal(np.asarray(copied), np.asarray(made))
    assert again.centre == one.centre
    no_trust, no_kind = one.to_bytes()[:-1] + bytes([63]), one.to_bytes()[:-1] + bytes([3 << 6])
    for data in (b"", one.to_bytes()[:-1], one.to_bytes() + b"x", no_trust, no_kind):
        with pytest.raises(Corrupt):
            PreparedFinger.from_bytes(data)


def test_a_stored_finger_of_minutiae_trusted_beyond_measure_is_refused() -> None:
    n = p.MAX_MINUTIAE
    grown = np.arange(n, dtype=np.float32)
    xy = np.stack([grown, np.zeros(n, np.float32)], axis=1)
    one = prepare(Minutiae(xy, grown, np.ones(n, np.uint8), np.zeros(n, np.uint8)))
    with pytest.raises(Corrupt, match="kind or trust"):
        PreparedFinger.from_bytes(one.to_bytes()[:-n] + bytes([63]) * n)


def test_minutiae_are_in_order_of_their_turn() -> None:
    assert (np.diff(prepare(fingers()[0][0]).turn) >= 0).all()


@pytest.mark.parametrize("degrees", [0, 40, 57, 300])
def test_the_motion_of_a_moved_impression_is_found(degrees: float) -> None:
    one = fingers()[1][0]
    probe, candidate = prepare(one), prepare(moved(one, degrees, 200, -90))
    pairing = Matcher().pair(probe, candidate)
    assert len(pairing.pairs) >= 0.9 * len(one)
    assert math.cos(pairing.motion[0] - math.radians(degrees)) > math.cos(math.radians(1))


def test_a_score_depends_on_neither_place_nor_turn() -> None:
    one, other = fingers()[2]
    matcher, probe = Matcher(), prepare(one)
    still, turned = matcher.compare(probe, [prepare(other), prepare(moved(other, 12, 60, 310))])
    assert turned.score == pytest.approx(still.score, abs=0.5)


def test_trust_is_the_place_by_quality_and_one_half_where_none_is_recorded() -> None:
    trust = trust_of(np.array([20, 90, 10, 20], np.uint8))
    assert trust == pytest.approx([0.5, 0.875, 0.125, 0.5], abs=0.5 / p.TRUST_STEPS)
    assert trust_of(np.zeros(7, np.uint8)).tolist() == [0.5] * 7
    partly = trust_of(np.array([0, 40, 60, 0], np.uint8))
    assert partly == pytest.approx([0.5, 0.25, 0.75, 0.5], abs=0.5 / p.TRUST_STEPS)
    assert trust_of(np.zeros(0, np.uint8)).tolist() == []


def test_minutiae_that_are_not_found_again_count_less_where_they_are_trusted_less() -> None:
    one, other = fingers()[4]
    matcher, candidate = Matcher(), prepare(other)
    # Which of one's minutiae have a partner; `prepare` keeps its own order, so they are known by their places.
    alone = prepare(one)
    paired = alone.xy[matcher.pair(alone, candidate).pairs[:, 0]] + np.array(alone.centre, np.float32)
    found = (np.abs(one.xy[:, None] - paired[None]).max(axis=2) < 0.1).any(axis=1)
    assert 5 <= found.sum() < len(one) - 5
    strays_last = prepare(with_quality(one, np.where(found, 90, 10)))
    strays_first = prepare(with_quality(one, np.where(found, 10, 90)))
    scores = [matcher.compare(probe, [candidate])[0].score for probe in (strays_last, alone, strays_first)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[2] + 1


def test_pairs_of_one_kind_raise_a_score_above_pairs_of_two_and_unknown_kinds_do_neither() -> None:
    other = fingers()[4][1]
    kind = np.where(np.arange(len(other)) % 2, MinutiaKind.ENDING, MinutiaKind.BIFURCATION).astype(np.uint8)
    typed = Minutiae(other.xy, other.angle, kind, other.quality)
    same, swapped, unknown = (
        measures(prepare(typed), [prepare(Minutiae(typed.xy, typed.angle, k, typed.quality))])[0]
        for k in (kind, 3 - kind, 0 * kind)
    )
    equal, known = MEASURES.index("kinds_equal"), MEASURES.index("kinds_known")
    assert same[equal] == same[known] > 10
    assert swapped[equal] < 0.3 * swapped[known]
    assert unknown[equal] == unknown[known] == 0
    scores = fusion().score(np.stack([same, unknown, swapped]))
    assert scores[0] > scores[1] > scores[2]


def test_candidates_are_compared_one_by_one_as_they_are_together() -> None:
    matcher, probe = Matcher(), prepare(fingers()[0][1])
    held = [prepare(one) for one, _ in fingers()]
    together = matcher.compare(probe, held)
    alone = [matcher.compare(probe, [one])[0] for one in held]
    assert [c.parts for c in together] == [c.parts for c in alone]
    assert [c.score for c in together] == pytest.approx([c.score for c in alone], abs=1e-9)


def test_the_cheap_stage_measures_what_it_needs_and_no_more() -> None:
    one, other = (prepare(impression) for impression in fingers()[3])
    assert min(len(one), len(other)) >= p.CASCADE_FROM
    rejected, passed = measures(one, [other], cheap=True)[0], measures(one, [other])[0]
    assert (rejected[COMPARED], passed[COMPARED]) == (0, 1)
    assert rejected[MEASURES.index("pairs")] == 0 < passed[MEASURES.index("pairs")]
    for name in ("screen_local", "screen_relaxed", "screen_worth", "screen_share"):
        assert rejected[MEASURES.index(name)] > 0 == passed[MEASURES.index(name)]
    for name in ("local", "relaxed", "worth"):
        assert rejected[MEASURES.index(name)] == 0 < passed[MEASURES.index(name)]


def long_list(mates: int) -> tuple[PreparedFinger, list[PreparedFinger]]:
    """A probe, and `CASCADE_LIST` candidates of which the last so many are its mate."""
    probe, mate = (prepare(impression) for impression in fingers()[0])
    strangers = [prepare(fingers()[n][0]) for n in range(1, 6)]
    others = p.CASCADE_LIST - mates
    return probe, [*(strangers * p.CASCADE_LIST)[:others], *[mate] * mates]


@pytest.mark.parametrize("mates", [1, 40])
def test_of_a_long_list_a_share_and_every_mate_are_compared_in_full(mates: int) -> None:
    probe, listed = long_list(mates)
    in_full = cascade(probe, listed, fusion())[:, COMPARED] == 1
    assert in_full[-mates:].all()
    assert in_full.sum() == math.ceil(p.CASCADE_SHARE * len(listed)) + mates


def test_scores_in_a_long_list_are_those_alone_or_of_the_cheap_stage() -> None:
    probe, listed = long_list(1)
    matcher = Matcher()
    cheap = fusion().score(measures(probe, listed, cheap=True))
    in_full = cascade(probe, listed, fusion())[:, COMPARED] == 1
    exact = [one.score for one in matcher.compare(probe, listed, exact=True)]
    found = [one.score for one in matcher.compare(probe, listed)]
    assert found == pytest.approx(np.where(in_full, exact, cheap), abs=1e-9)
    assert found[-1] == max(found) > p.REJECTED_AT >= cheap.max()
    short = matcher.compare(probe, listed[1:])
    assert [one.score for one in short] == pytest.approx(exact[1:], abs=1e-9)


@pytest.mark.parametrize("count", [0, p.CASCADE_FROM - 5])
def test_small_or_empty_templates_score_in_a_long_list_as_in_a_short_one(count: int) -> None:
    whole = fingers()[0][0]
    few = prepare(Minutiae(whole.xy[:count], whole.angle[:count], whole.kind[:count], whole.quality[:count]))
    alone = Matcher().compare(prepare(whole), [few])[0].score
    found = Matcher().compare(prepare(whole), [few] * p.CASCADE_LIST)
    assert [one.score for one in found] == pytest.approx([alone] * p.CASCADE_LIST, abs=1e-9)


def test_small_templates_are_always_compared_in_full() -> None:
    small = fingers()[0][0]
    few = Minutiae(small.xy[:15], small.angle[:15], small.kind[:15], small.quality[:15])
    assert measures(prepare(few), [prepare(few)], cheap=True)[0, COMPARED] == 1


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_next_to_nothing_is_compared_without_harm(count: int) -> None:
    whole = fingers()[0][0]
    few = prepare(Minutiae(whole.xy[:count], whole.angle[:count], whole.kind[:count], whole.quality[:count]))
    matcher = Matcher()
    for probe, candidate in ((few, prepare(whole)), (prepare(whole), few), (few, few)):
        assert math.isfinite(matcher.compare(probe, [candidate])[0].score)
        matcher.pair(probe, candidate)


def test_minutiae_in_one_place_or_line_are_compared_without_harm() -> None:
    for xy in (np.zeros((30, 2)), np.column_stack([np.arange(30) * 9.0, np.zeros(30)])):
        nothing = np.zeros(30, np.uint8)
        one = prepare(Minutiae(xy.astype(np.float32), np.zeros(30, np.float32), nothing, nothing))
        assert math.isfinite(Matcher().compare(one, [one])[0].score)

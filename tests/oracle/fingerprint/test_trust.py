"""What is summed of trust and kinds over the pairs of two templates, against plain sums over the pairs."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from likeness.fingerprint import parameters as p
from likeness.fingerprint.consensus import best_motion, columns
from likeness.fingerprint.cylinders import outside
from likeness.fingerprint.evidence import MEASURES
from likeness.fingerprint.kernel import Arrays
from likeness.fingerprint.matcher import Matcher, measures
from likeness.fingerprint.overlap import moved_hull
from likeness.fingerprint.prepared import PreparedFinger, prepare
from likeness.fingerprint.screen import core, rough_similarities, screen
from likeness.fingerprint.similarity import (
    best_pairs,
    compatibilities,
    pair_count,
    relax,
    trusted,
)
from tests.oracle.fingerprint.drawn_fingers import of_one_finger

COUNT = 30


@pytest.fixture(scope="module")
def two() -> tuple[PreparedFinger, PreparedFinger]:
    """Two impressions of one finger, of random qualities and with some kinds unknown."""
    random = np.random.default_rng(2)
    pair = []
    for one in of_one_finger(COUNT, 30, 8):
        kind = np.where(random.random(COUNT) < 0.2, 0, one.kind).astype(np.uint8)
        pair.append(prepare(replace(one, kind=kind, quality=random.integers(1, 101, COUNT).astype(np.uint8))))
    return pair[0], pair[1]


def placed(a: Arrays, motion: np.ndarray) -> np.ndarray:
    c, s = math.cos(motion[0]), math.sin(motion[0])
    return np.asarray(a.xy @ np.array([[c, s], [-s, c]]) + motion[1:])


def within(xy: np.ndarray, hull: np.ndarray) -> np.ndarray:
    return np.array([outside(float(x), float(y), hull) <= p.OVERLAP_MARGIN for x, y in xy])


def test_trust_and_kinds_are_summed_over_the_pairs(two: tuple[PreparedFinger, PreparedFinger]) -> None:
    a, b = two[0].arrays, two[1].arrays
    m = dict(zip(MEASURES, measures(two[0], [two[1]])[0], strict=True))
    pairs = Matcher().pair(*two).pairs
    assert len(pairs) == m["pairs"] >= 6
    assert m["trust_pairs_a"] == pytest.approx(a.trust[pairs[:, 0]].sum(), rel=1e-5)
    assert m["trust_pairs_b"] == pytest.approx(b.trust[pairs[:, 1]].sum(), rel=1e-5)
    kinds = a.kind[pairs[:, 0]], b.kind[pairs[:, 1]]
    known = (kinds[0] > 0) & (kinds[1] > 0)
    assert m["kinds_known"] == known.sum() > 3
    assert m["kinds_equal"] == (known & (kinds[0] == kinds[1])).sum()
    endings = [((one.kind == 1).sum() + 1) / ((one.kind > 0).sum() + 2) for one in (a, b)]
    assert m["kinds_chance"] == pytest.approx(np.prod(endings) + np.prod(1 - np.array(endings)))


def test_the_trust_that_both_show_is_that_inside_the_other_ones_hull(
    two: tuple[PreparedFinger, PreparedFinger],
) -> None:
    a, b = two[0].arrays, two[1].arrays
    m = dict(zip(MEASURES, measures(two[0], [two[1]])[0], strict=True))
    motion = np.array(Matcher().pair(*two).motion)
    in_b = within(b.xy, moved_hull(a, motion))
    assert 0 < m["overlap_b"] == in_b.sum() < COUNT
    assert m["trust_b"] == pytest.approx(b.trust[in_b].sum(), rel=1e-5)
    # a's minutiae are bent before they are counted, so some at the border may change sides.
    in_a = within(placed(a, motion), b.hull)
    assert abs(m["overlap_a"] - in_a.sum()) <= 2
    assert m["trust_a"] == pytest.approx(a.trust[in_a].sum(), abs=2)


def test_the_cheap_stage_takes_the_share_of_its_best_motion(
    two: tuple[PreparedFinger, PreparedFinger],
) -> None:
    a, b = two[0].arrays, two[1].arrays
    out = np.zeros(len(MEASURES))
    screen(core(a), core(b), out)
    rough = np.empty((COUNT, COUNT), np.float32)
    rough_similarities(core(a), core(b), rough)
    similarity = trusted(rough, a, b)
    top = best_pairs(similarity, p.SCREENED_PAIRS)
    rows, others = top // COUNT, top % COUNT
    start = similarity[rows, others]
    assert out[MEASURES.index("screen_local")] == pytest.approx(start[: pair_count(COUNT, COUNT)].mean())
    relaxed = relax(start, compatibilities(rows, others, a.xy, a.turn, b.xy, b.turn))
    best = np.argsort(-relaxed)[: p.SCREEN_SEEDS]
    motion, at, mate = np.zeros(3), np.zeros((COUNT, 2), np.float32), np.zeros(COUNT, np.int32)
    seeds = rows[best], others[best]
    worth = best_motion(a, b, columns(b.xy, b.turn), similarity, *seeds, motion, at, mate)
    assert out[MEASURES.index("screen_worth")] == pytest.approx(worth)
    assert at == pytest.approx(placed(a, motion), abs=1e-2)
    paired = np.flatnonzero(mate >= 0)
    pairs_a, pairs_b = a.trust[paired].sum(), b.trust[mate[paired]].sum()
    in_a, in_b = within(at, b.hull), within(b.xy, moved_hull(a, motion))
    both = (a.trust[in_a].sum() + 1) * (b.trust[in_b].sum() + 1)
    assert out[MEASURES.index("screen_share")] == pytest.approx(math.sqrt(pairs_a * pairs_b / both), rel=1e-4)


def test_pairs_count_by_trust_and_kind(two: tuple[PreparedFinger, PreparedFinger]) -> None:
    """Two templates that coincide: every minutia pairs with itself, at no distance."""
    a = two[0].arrays
    similarity = np.zeros((COUNT, COUNT), np.float32)
    seeds = np.array([0]), np.array([0])
    motion, at, mate = np.zeros(3), np.zeros((COUNT, 2), np.float32), np.zeros(COUNT, np.int32)
    random = np.random.default_rng(9)
    b = a._replace(
        trust=random.random(COUNT).astype(np.float32), kind=random.integers(0, 3, COUNT).astype(np.uint8)
    )
    worth = best_motion(a, b, columns(b.xy, b.turn), similarity, *seeds, motion, at, mate)
    assert (mate == np.arange(COUNT)).all()
    by_trust = [p.PAIR_TRUST_LEAST + 2 * (1 - p.PAIR_TRUST_LEAST) * one.trust for one in (a, b)]
    known = (a.kind > 0) & (b.kind > 0)
    by_kind = np.where(known, np.where(a.kind == b.kind, 1 + p.PAIR_KIND, 1 - p.PAIR_KIND), 1.0)
    assert worth == pytest.approx(p.PAIR_FLOOR * (by_trust[0] * by_trust[1] * by_kind).sum(), rel=1e-3)

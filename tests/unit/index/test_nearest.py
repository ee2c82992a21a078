"""What neighbours say is the same however rows are divided and ordered, also where many details are equally far."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from likeness.index.nearest import FEW_ROWS, Agreement, NearestInPart, Votes
from likeness.index.voting import Asked, VotingIndex

D = 16
RANDOM = np.random.default_rng(5)
WORDS = RANDOM.integers(0, 256, (64, D)).astype(np.float32)
CODES = RANDOM.integers(60, 196, (4, D))
"""Details that rows have in common, hundreds apart."""
SIGNS = RANDOM.choice([-1, 1], (8, D))
STEPS = (0, 1, 12)
"""How far each component of a stored detail is from its code: 0, 4 and 48 apart, whatever the signs are."""
NEIGHBOURS = 8
NEAR, WIDE_NEAR = 40.0, 60.0
AGREEMENT = Agreement(12, 8, near=NEAR, slack=15.0, wide_near=WIDE_NEAR, wide_slack=50.0, sure_from=2)

Detail = tuple[int, int, int, int]
"""Number of a code, of a step, of signs, and a turn in degrees."""
details = st.tuples(
    st.integers(0, len(CODES) - 1),
    st.integers(0, len(STEPS) - 1),
    st.integers(0, len(SIGNS) - 1),
    st.sampled_from([0, 90]),
)
galleries = st.lists(st.lists(details, max_size=8), min_size=1, max_size=30)
PROBE = Asked(
    np.repeat(CODES, 2, axis=0).astype(np.uint8), np.zeros(8, np.float32), np.full(8, 3, np.float32)
)


def asked(row: Sequence[Detail]) -> Asked:
    codes = [CODES[code] + STEPS[step] * SIGNS[signs] for code, step, signs, _ in row]
    return Asked(
        np.array(codes, np.uint8).reshape(-1, D),
        np.array([turn for *_, turn in row], np.float32),
        np.full(len(row), 3, np.float32),
    )


def index(rows: Sequence[Sequence[Detail]]) -> VotingIndex:
    made = VotingIndex(WORDS, neighbours=NEIGHBOURS, probes=64, agreement=AGREEMENT)
    for row, held in enumerate(rows):
        one = asked(held)
        made.add(row, one.codes, made.nearest_words(one.codes), one.turn, one.octave)
    return made


def search(rows: Sequence[Sequence[Detail]], probe: Asked = PROBE) -> Votes:
    return index(rows).search(probe, len(rows), np.ones(len(rows), np.bool_))


def together(parts: Sequence[Sequence[Sequence[Detail]]]) -> Votes:
    """What is found in all parts, each of which crosses to another process."""
    found = [index(rows).nearest(PROBE, np.ones(len(rows), np.bool_)) for rows in parts]
    crossed: list[NearestInPart] = pickle.loads(pickle.dumps(found))  # noqa: S301
    return sum(crossed[1:], crossed[0]).counting.found(AGREEMENT, sum(map(len, parts)))


def voted(found: Votes) -> list[float]:
    return [float(vote) for vote in found.votes if vote > 0]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8])
@given(rows=galleries, many=st.booleans(), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_equal_details_are_as_common_in_every_division_and_order(
    count: int, rows: list[list[Detail]], many: bool, seed: int
) -> None:
    if many:
        rows = [*rows, *([] for _ in range(FEW_ROWS))]
    random = np.random.default_rng(seed)
    order, of = random.permutation(len(rows)), random.integers(0, count, len(rows))
    parts = [[rows[n] for n in order if of[n] == part] for part in range(count)]
    whole, again = search(rows), together(parts)
    assert again.common.tolist() == whole.common.tolist()
    assert voted(again) == voted(whole)


def test_what_was_removed_does_not_change_how_common_equal_details_are() -> None:
    random = np.random.default_rng(1)
    rows = [[(n % 4, int(random.integers(3)), n % 8, 0) for n in range(6)] for _ in range(20)]
    other = index([*rows[::-1], rows[0], *rows])
    for row in range(21):
        other.remove(row)
    mask = np.ones(41, np.bool_)
    mask[:21] = False
    assert other.search(PROBE, 41, mask).common.tolist() == search(rows).common.tolist()


@pytest.mark.parametrize("step", [0, 1])
def test_a_detail_that_more_rows_hold_than_are_asked_for_is_common(step: int) -> None:
    """Although each of them is as far as the last, so that none has a vote."""
    probe = asked([(0, 0, 0, 0)])
    found = search([[(0, step, n % 8, 0)] for n in range(3 * NEIGHBOURS)], probe)
    assert found.common.tolist() == [NEIGHBOURS]
    assert voted(found) == []


def test_rows_count_once_for_details_nearer_than_the_last() -> None:
    """Of three rows with two equal details each, and a farther detail in many more."""
    rows = [[(0, 0, 0, 0), (0, 0, 0, 0)]] * 3 + [[(1, 2, n % 8, 0)] for n in range(20)]
    assert search(rows).common.tolist() == [3, 3, 0, 0, 0, 0, 0, 0]


def test_farther_details_that_agree_count_where_their_row_is_known() -> None:
    """Of a row with two near details; its wide one is the last of the neighbours but one, or as far as others."""
    agreeing = [(0, 0, 0, 0), (1, 0, 0, 0), (2, 2, 0, 0)]
    filled = [[(2, 0, 0, 0)] for _ in range(NEIGHBOURS - 1)]
    wider = [[(3, 0, 0, 0)] for _ in range(2)]
    assert search([agreeing, *filled, *wider]).common[4:6].tolist() == [NEIGHBOURS] * 2
    tied = [[(2, 2, n, 90)] for n in range(1, 6)]
    assert search([agreeing, *filled, *wider, *tied]).common[4:6].tolist() == [NEIGHBOURS - 1] * 2

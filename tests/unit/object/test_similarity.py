"""Which squares of two photographs are compared, and what their cosines are measured against."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.object import parameters as p
from likeness.object import views
from likeness.object.background import Background
from likeness.object.similarity import cosines, levels

SIDE = 8
AXES = np.eye(SIDE, dtype=np.float32)
NOWHERE = Background(np.zeros((40, SIDE), np.float32))
"""A background that nothing is near to."""
PROBE = views.COARSE + 2


def photograph(rows: int, **axes: int) -> np.ndarray:
    """Vectors of squares that are like nothing, but for `rowN=axis`."""
    made = np.zeros((rows, SIDE), np.float32)
    for name, axis in axes.items():
        made[int(name.removeprefix("row"))] = AXES[axis]
    return made


def test_a_vector_near_to_photographs_at_random_must_exceed_more() -> None:
    common, rare = AXES[:2]
    ground = Background(np.repeat(common[None], 50, 0))
    plain, above = cosines(rare[None], [rare[None], common[None]], ground)
    assert plain.tolist() == [1, 0]
    assert above.tolist() == pytest.approx([1.0, -0.5])
    assert cosines(common[None], [common[None]], ground)[1].tolist() == pytest.approx([0.0])
    assert levels(np.stack([common, rare]), ground).tolist() == pytest.approx([0.5, p.SQUARE_COST])


def test_every_square_but_the_whole_costs() -> None:
    assert levels(photograph(3), NOWHERE).tolist() == pytest.approx([0, p.SQUARE_COST, p.SQUARE_COST])


@pytest.mark.parametrize(
    ("of_probe", "of_candidate", "above"),
    [
        (0, 0, 1.0),
        (0, 3, 1 - p.SQUARE_COST),
        (3, 0, 1 - p.SQUARE_COST),
        (3, 4, 1 - 2 * p.SQUARE_COST),
        (views.COARSE - 1, 4, 1 - 2 * p.SQUARE_COST),
        (views.COARSE, 0, 1 - p.SQUARE_COST),
    ],
)
def test_the_two_most_similar_squares_count(of_probe: int, of_candidate: int, above: float) -> None:
    probe = photograph(PROBE, **{f"row{of_probe}": 5})
    candidate = photograph(views.REFERENCE, **{f"row{of_candidate}": 5})
    found = cosines(probe, [photograph(views.REFERENCE), candidate, candidate[:1]], NOWHERE)
    assert found[0][1] == 1
    assert found[1][:2].tolist() == pytest.approx([0, above])
    assert found[1][2] == pytest.approx(above if of_candidate == 0 else 0)


def test_small_parts_of_a_probe_do_not_meet_parts_of_a_candidate() -> None:
    probe = photograph(PROBE, **{f"row{views.COARSE}": 5})
    plain, above = cosines(probe, [photograph(views.REFERENCE, row2=5)], NOWHERE)
    assert (plain[0], above[0]) == (0, 0)


def test_a_candidate_that_was_read_as_a_probe_counts_as_a_reference() -> None:
    probe = photograph(PROBE, row0=5)
    as_probe = photograph(PROBE, **{f"row{views.COARSE}": 5})
    assert cosines(probe, [as_probe], NOWHERE)[0].tolist() == [0]


def test_no_candidates_have_no_cosines() -> None:
    assert [len(found) for found in cosines(photograph(PROBE), [], NOWHERE)] == [0, 0]


def test_squares_of_a_reference_come_first_and_small_parts_cover_all_of_the_photograph() -> None:
    across, down = np.meshgrid(np.arange(100), np.arange(80))
    image = np.stack([across, down, np.zeros_like(across)], -1).astype(np.uint8)
    reference, probe = views.of_reference(image, 32), views.of_probe(image, 32)
    assert len(reference) == views.REFERENCE
    assert len(probe) == views.COARSE + sum(count**2 for _, count in p.SMALL_PARTS)
    assert np.array_equal(probe[views.COARSE - 2], views.square(views.grid(image, p.MOST, 1)[0], 32))
    for one, other in zip(reference, probe, strict=False):
        np.testing.assert_array_equal(one, other)
    mirror, *turned = probe[views.REFERENCE : views.COARSE - 2]
    np.testing.assert_array_equal(mirror, reference[0][:, ::-1])
    for n, one in enumerate(turned, start=1):
        np.testing.assert_array_equal(np.rot90(one, -n), reference[0])
    for share, count in p.SMALL_PARTS:
        parts = views.grid(image, share, count)
        seen = {(x, y) for part in parts for x, y in part[..., :2].reshape(-1, 2).tolist()}
        assert seen == {(x, y) for x in range(100) for y in range(80)}
    (middle,) = views.grid(image, 0.6, 1)
    assert middle[0, 0].tolist() == [20, 16, 0]
    assert middle.shape == (48, 60, 3)

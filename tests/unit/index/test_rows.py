from __future__ import annotations

import numpy as np
import pytest

from likeness.index.rows import RowMap


def rows(*numbers: int) -> RowMap:
    return RowMap(np.array(numbers, np.int64))


@pytest.mark.parametrize("numbers", [(), (0, 1, 2), (5, 6, 7), (0, 2, 9), (3,)])
def test_rows_and_positions_lead_to_each_other(numbers: tuple[int, ...]) -> None:
    made = rows(*numbers)
    assert made.array().tolist() == list(numbers)
    assert len(made) == len(numbers)
    assert made.end == (numbers[-1] + 1 if numbers else 0)
    for row in range(12):
        expected = numbers.index(row) if row in numbers else None
        assert made.position(row) == expected
    asked = np.arange(12)
    assert made.positions(asked).tolist() == [numbers.index(r) if r in numbers else -1 for r in range(12)]
    if numbers:
        assert made.rows_at(np.array([0, -1])).tolist() == [numbers[0], -1]


@pytest.mark.parametrize("numbers", [(0, 1, 2, 3), (1, 2), (0, 2, 5), (4, 5)])
@pytest.mark.parametrize("length", [0, 1, 3, 6])
def test_a_mask_that_ends_early_allows_no_row_beyond_it(numbers: tuple[int, ...], length: int) -> None:
    part = rows(*numbers).part(np.ones(length, np.bool_))
    assert part.tolist() == [row < length for row in numbers]


def test_rows_without_gaps_take_no_memory() -> None:
    assert rows(4, 5, 6).nbytes == 0
    assert rows(4, 6).nbytes == 16


@pytest.mark.parametrize("numbers", [(1, 0), (2, 2), (-1, 0)])
def test_rows_that_do_not_ascend_are_refused(numbers: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="ascend"):
        rows(*numbers)

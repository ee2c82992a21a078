from __future__ import annotations

import numpy as np
import pytest

from likeness.domain.samples import Box, Pick, Selection
from likeness.face.detect import Detection
from likeness.face.selection import choose, without_bystanders

SIZE = (640, 480)


def face(x: float, y: float, side: float) -> Detection:
    marks = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32)
    return Detection(Box(x, y, side, side), 0.9, marks * side + np.array([x, y], np.float32))


LEFT_LARGE, CENTRAL, RIGHT_SMALL = face(10, 100, 200), face(270, 190, 100), face(560, 20, 30)
FACES = [LEFT_LARGE, CENTRAL, RIGHT_SMALL]


@pytest.mark.parametrize(
    ("selection", "indices"),
    [
        (Selection(), [0, 1, 2]),
        (Selection(Pick.MOST_PROMINENT), [0]),
        (Selection(Pick.MOST_CENTRAL), [1]),
        (Selection(Pick.INDEX, index=2), [2]),
        (Selection(Pick.INDEX, index=3), []),
        (Selection(Pick.INDEX, index=-1), []),
        (Selection(Pick.REGION, region=Box(550, 10, 60, 60)), [2]),
        (Selection(Pick.REGION, region=Box(0, 400, 50, 50)), []),
        (Selection(Pick.REGION), []),
    ],
)
def test_the_face_that_is_meant(selection: Selection, indices: list[int]) -> None:
    assert [index for index, _ in choose(FACES, selection, SIZE)] == indices


def test_nothing_is_chosen_from_nothing() -> None:
    for pick in Pick:
        assert choose([], Selection(pick), SIZE) == []


def test_a_face_much_smaller_than_the_largest_is_a_bystander() -> None:
    chosen = without_bystanders(choose(FACES, Selection(), SIZE))
    assert [index for index, _ in chosen] == [0, 1]
    assert without_bystanders([]) == []

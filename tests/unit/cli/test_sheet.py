from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from likeness.cli import sheet
from likeness.cli.sheet import Rectangle, Row, Tile
from likeness.domain.samples import Sample
from likeness.imaging.decode import Pixels, decode


def tile(*lines: str, box: Rectangle | None = None) -> Tile:
    return Tile(lines, *sheet.crop(picture(), box))


def picture(height: int = 300, width: int = 400) -> Pixels:
    return np.full((height, width, 3), (200, 40, 90), np.uint8)


def test_a_sheet_shows_every_row_and_candidate() -> None:
    one = tile("1. someone", "score 0.91", box=Rectangle(100, 100, 50, 60))
    small = sheet.draw([Row(one, [one])], title="t")
    tall = sheet.draw([Row(one, [one]), Row(one)], title="t")
    wide = sheet.draw([Row(one, [one] * 6)], title="t")
    assert tall.shape[0] > small.shape[0]
    assert wide.shape[1] > small.shape[1]
    assert _pixels_of(wide, (200, 40, 90)) > 3 * _pixels_of(small, (200, 40, 90))


def test_more_candidates_than_columns_do_not_widen_the_sheet() -> None:
    one = tile("x")
    most = sheet.draw([Row(one, [one] * sheet.MAX_CANDIDATES)], title="t")
    more = sheet.draw([Row(one, [one] * (sheet.MAX_CANDIDATES + 5))], title="t")
    assert most.shape == more.shape


def test_the_boxes_of_probe_and_candidate_are_drawn_in_their_colours() -> None:
    with_box = tile("x", box=Rectangle(150, 100, 80, 90))
    drawn = sheet.draw([Row(with_box, [with_box])], title="t")
    assert _pixels_of(drawn, sheet.PROBE) > 100
    assert _pixels_of(drawn, sheet.CANDIDATE) > 100
    without = sheet.draw([Row(tile("x"), [tile("x")])], title="t")
    assert _pixels_of(without, sheet.PROBE) == 0


def test_a_missing_picture_and_a_row_without_candidates_are_drawn() -> None:
    drawn = sheet.draw([Row(Tile(["x"]), note="No face was found.")], title="t")
    assert _pixels_of(drawn, sheet.EMPTY) > sheet.TILE * sheet.TILE // 2


@pytest.mark.parametrize(
    "box",
    [
        Rectangle(100, 100, 50, 60),
        Rectangle(-40, -40, 60, 60),
        Rectangle(390, 290, 60, 60),
        Rectangle(0, 0, 4000, 4000),
        Rectangle(10, 10, 0, 0),
        None,
    ],
)
def test_any_box_gives_a_tile(box: Rectangle | None) -> None:
    square, _ = sheet.crop(picture(), box)
    assert square.shape == (sheet.TILE, sheet.TILE, 3)


def test_a_face_near_an_edge_is_shown_without_padding() -> None:
    square, box = sheet.crop(picture(), Rectangle(0, 0, 60, 60))
    assert box is not None
    assert (box.x, box.y) == (0, 0)
    assert _pixels_of(square, sheet.EMPTY) == 0


def test_a_narrow_picture_keeps_the_whole_face() -> None:
    _, box = sheet.crop(picture(400, 100), Rectangle(0, 100, 100, 130))
    assert box is not None
    assert box.height <= sheet.TILE
    assert box.width <= sheet.TILE


def test_a_saved_sheet_is_the_drawn_one(tmp_path: Path) -> None:
    drawn = sheet.draw([Row(tile("x"), [])], title="t")
    path = tmp_path / "below" / "sheet.png"
    sheet.save(drawn, path)
    assert np.array_equal(decode(Sample(path.read_bytes())), drawn)
    assert [p.name for p in path.parent.iterdir()] == ["sheet.png"]


def _pixels_of(pixels: Pixels, colour: tuple[int, int, int]) -> int:
    return int(np.all(pixels == np.array(colour, np.uint8), axis=2).sum())

"""Contact sheets: probes on the left, their candidates on the right, as pictures for a person to check."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from likeness.cli.words import LEAD, plural
from likeness.imaging.decode import Pixels
from likeness.imaging.drawing import drawable
from likeness.imaging.opencv import cv2

TILE = 200
"""Side of a picture on the sheet, in pixels."""
GAP = 18
MARGIN = 32
LINE = 19
"""Height of one line of text under a picture, in pixels."""
HEADING_HEIGHT = 60
"""Room for the title, in pixels; each line of the subtitle takes LINE more."""
FOOT_HEIGHT = 44
PROBE_GAP = 56
"""Room between the probe and its first candidate, in pixels."""
CROP = 2.1
"""Side of the crop around a face, in multiples of the longer side of its box."""
TIGHT = 1.3
"""The same where the picture is too small for that: how tight the crop may get before its edge is padded."""
MAX_CANDIDATES = 8
"""Columns; a row says how many more the table has."""
ROWS_PER_PAGE = 10
"""Rows of one picture: 3,500 pixels at the most, and some 5 MB where every picture is full of detail."""
LETTER = 9
"""Pixels of a wide letter at the size of notes and subtitles."""
CAPTION_CHARACTERS = 28
"""What fits under a picture at the caption's size."""

Colour = tuple[int, int, int]
"""Red, green, blue."""
INK: Colour = (28, 30, 34)
SOFT: Colour = (114, 120, 128)
RULE: Colour = (219, 222, 226)
PAPER: Colour = (255, 255, 255)
EMPTY: Colour = (243, 244, 246)
PROBE: Colour = (26, 96, 168)
"""Blue, of the box on a probe."""
CANDIDATE: Colour = (204, 122, 20)
"""Amber, of the box on a candidate: a lead, not a match, so not green."""


class Rectangle(NamedTuple):
    """A face's box in pixels of its picture."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Tile:
    """One picture with what is written under it; the first line is set in bold.

    `square` and `box` are what `crop` makes of a picture; `square` is None where there is none: its place then says
    why, by `missing`.
    """

    lines: Sequence[str]
    square: Pixels | None = None
    box: Rectangle | None = None
    missing: Sequence[str] = ("no picture",)


@dataclass(frozen=True)
class Row:
    """One face of a probe and its candidates, best first. `note` stands where there are no candidates.

    `further` candidates were answered beyond those that are drawn.
    """

    probe: Tile
    candidates: Sequence[Tile] = ()
    note: str = "No candidate."
    further: int = 0


def draw(rows: Sequence[Row], *, title: str, subtitle: Sequence[str] = ()) -> Pixels:
    """Draw one page.

    Args:
        rows: what to show, from top to bottom; only the first MAX_CANDIDATES of each row are drawn.
        title: heading, one line.
        subtitle: who asked what and when, and with which models it was answered; broken to the page's width.

    Returns:
        The sheet, RGB uint8 [height, width, 3].
    """
    columns = max([min(len(row.candidates), MAX_CANDIDATES) for row in rows] + [3])
    width = 2 * MARGIN + TILE + PROBE_GAP + columns * (TILE + GAP) - GAP
    heights = [_row_height(row) for row in rows]
    heading = [line for text in subtitle for line in _wrapped(text, width - 2 * MARGIN)]
    top = HEADING_HEIGHT + LINE * (len(heading) + 1)
    sheet = np.full((top + sum(heights) + FOOT_HEIGHT, width, 3), PAPER, np.uint8)
    _write(sheet, title, (MARGIN, 42), INK, size=0.8, bold=True)
    for i, line in enumerate(heading):
        _write(sheet, line, (MARGIN, HEADING_HEIGHT + 10 + i * LINE), SOFT, size=0.46)
    for row, height in zip(rows, heights, strict=True):
        cv2.line(sheet, (MARGIN, top), (width - MARGIN, top), RULE, 1)
        _draw_row(sheet, row, top + GAP)
        top += height
    cv2.line(sheet, (MARGIN, top), (width - MARGIN, top), RULE, 1)
    _write(sheet, LEAD, (MARGIN, top + 28), SOFT, size=0.46)
    return sheet


def save(sheet: Pixels, path: Path) -> None:
    """Write the sheet as PNG, to a partial file that is then renamed.

    Raises:
        OSError: the file cannot be written.
    """
    done, encoded = cv2.imencode(".png", np.ascontiguousarray(sheet[:, :, ::-1]))
    if not done:
        raise OSError(f"{path} could not be encoded as PNG.")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(encoded.tobytes())
    partial.replace(path)


def crop(picture: Pixels, box: Rectangle | None) -> tuple[Pixels, Rectangle | None]:
    """Cut a square around the face, or the largest centred square, and scale it to TILE x TILE.

    Returns:
        The square, and the box in its pixels.
    """
    height, width = picture.shape[:2]
    if box is None:
        side = float(min(height, width))
        centre = (width / 2, height / 2)
    else:
        face = max(box.width, box.height, 1.0)
        side = min(max(min(CROP * face, float(min(height, width))), TIGHT * face), float(max(height, width)))
        centre = (box.x + box.width / 2, box.y + box.height / 2)
    scale = TILE / side
    left, top = _inside(centre[0] - side / 2, side, width), _inside(centre[1] - side / 2, side, height)
    square = _resample(picture, left, top, side)
    if box is None:
        return square, None
    return square, Rectangle(
        (box.x - left) * scale, (box.y - top) * scale, box.width * scale, box.height * scale
    )


def _inside(start: float, side: float, limit: int) -> float:
    """Where the crop starts on one axis: within the picture if it fits, else centred over it."""
    if side >= limit:
        return (limit - side) / 2
    return min(max(start, 0.0), limit - side)


def _resample(picture: Pixels, left: float, top: float, side: float) -> Pixels:
    """The square at (left, top), TILE x TILE, averaged by area; what lies outside the picture is EMPTY."""
    height, width = picture.shape[:2]
    x0, y0 = round(left), round(top)
    extent = max(1, round(side))
    square = np.full((extent, extent, 3), EMPTY, np.uint8)
    x1, y1 = max(x0, 0), max(y0, 0)
    x2, y2 = min(x0 + extent, width), min(y0 + extent, height)
    if x1 < x2 and y1 < y2:
        square[y1 - y0 : y2 - y0, x1 - x0 : x2 - x0] = picture[y1:y2, x1:x2]
    shrinking = extent > TILE
    how = cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(square, (TILE, TILE), interpolation=how), np.uint8)


def _row_height(row: Row) -> int:
    tiles = [row.probe, *row.candidates[:MAX_CANDIDATES]]
    return GAP + TILE + 8 + LINE * max(len(tile.lines) for tile in tiles) + GAP


def _further(row: Row) -> str:
    """What the row does not show, in words; empty if it shows all."""
    hidden = row.further + max(0, len(row.candidates) - MAX_CANDIDATES)
    return f"and {plural(hidden, 'further candidate')}, in the table alone" if hidden else ""


def _draw_row(sheet: Pixels, row: Row, top: int) -> None:
    _draw_tile(sheet, row.probe, (MARGIN, top), PROBE)
    left = MARGIN + TILE + PROBE_GAP
    arrow = top + TILE // 2
    start, end = MARGIN + TILE + 16, left - 16
    if not row.candidates:
        for i, line in enumerate(_wrapped(row.note, sheet.shape[1] - left - MARGIN)):
            _write(sheet, line, (left, arrow + 5 + i * LINE), SOFT, size=0.5)
        return
    cv2.arrowedLine(sheet, (start, arrow), (end, arrow), SOFT, 1, cv2.LINE_AA, tipLength=0.4)
    for i, tile in enumerate(row.candidates[:MAX_CANDIDATES]):
        _draw_tile(sheet, tile, (left + i * (TILE + GAP), top), CANDIDATE)
    _write(sheet, _further(row), (left, top - 5), SOFT, size=0.42)


def _draw_tile(sheet: Pixels, tile: Tile, corner: tuple[int, int], colour: Colour) -> None:
    x, y = corner
    place = sheet[y : y + TILE, x : x + TILE]
    if tile.square is None:
        place[:] = EMPTY
        first = y + TILE // 2 + 5 - LINE * (len(tile.missing) - 1) // 2
        for i, line in enumerate(tile.missing):
            _write(sheet, line, (x + 14, first + LINE * i), SOFT, size=0.42)
    else:
        place[:] = tile.square
        if tile.box is not None:
            _draw_box(place, tile.box, colour)
    cv2.rectangle(sheet, (x, y), (x + TILE - 1, y + TILE - 1), RULE, 1)
    for i, line in enumerate(tile.lines):
        _write(
            sheet,
            _shorten(line),
            (x, y + TILE + 8 + LINE * i + 12),
            INK if i == 0 else SOFT,
            size=0.46,
            bold=i == 0,
        )


def _draw_box(place: Pixels, box: Rectangle, colour: Colour) -> None:
    """A box with a light edge, so that it shows on dark and on light skin, hair and ground."""
    corner = (round(box.x), round(box.y))
    opposite = (round(box.x + box.width), round(box.y + box.height))
    cv2.rectangle(place, corner, opposite, PAPER, 4, cv2.LINE_AA)
    cv2.rectangle(place, corner, opposite, colour, 2, cv2.LINE_AA)


def _shorten(text: str) -> str:
    """The text cut in its middle to what fits under a picture; both ends of a file name tell something."""
    text = drawable(text)
    if len(text) <= CAPTION_CHARACTERS:
        return text
    head = CAPTION_CHARACTERS // 2 - 2
    return f"{text[:head]}...{text[-(CAPTION_CHARACTERS - head - 3) :]}"


def _wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most so many pixels."""
    return textwrap.wrap(drawable(text), max(20, width // LETTER))


def _write(
    sheet: Pixels, text: str, at: tuple[int, int], colour: Colour, *, size: float, bold: bool = False
) -> None:
    cv2.putText(
        sheet, drawable(text), at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 2 if bold else 1, cv2.LINE_AA
    )

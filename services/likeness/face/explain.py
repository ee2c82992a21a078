"""A picture for people: two photographs with what was found in them, the aligned faces below, and the score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likeness.domain.errors import LikenessError
from likeness.face.detect import Detection, Pixels, resize
from likeness.imaging.opencv import cv2

_HEIGHT = 320  # pixels of each photograph in the picture
_WIDEST = 640  # pixels; a panorama is made smaller
_CHIP = 224  # pixels of each aligned face
_MARGIN = 16
_LINE = 24  # pixels from one line of text to the next
_LETTER = 11  # pixels, width of the widest letter at the size used
_PAPER, _INK, _MARK = (255, 255, 255), (40, 40, 40), (255, 140, 0)  # red, green, blue


@dataclass(frozen=True, eq=False, slots=True)
class Side:
    """One of the two that are compared: what the caller calls it, the photograph, the face, the aligned face."""

    name: str
    image: Pixels
    face: Detection
    chip: Pixels


def picture(sides: list[Side], captions: list[str]) -> bytes:
    """Draws the sides beside each other with captions below; a PNG."""
    columns = [_column(side) for side in sides]
    height = max(column.shape[0] for column in columns)
    body = np.hstack([_grown(column, height, column.shape[1] + _MARGIN) for column in columns])
    width = max(body.shape[1], max(len(caption) for caption in captions) * _LETTER) + _MARGIN
    foot = _text(captions, width - _MARGIN)
    sheet = np.vstack([_grown(body, height, width - _MARGIN), foot])
    framed = cv2.copyMakeBorder(sheet, _MARGIN, _MARGIN, _MARGIN, 0, cv2.BORDER_CONSTANT, value=_PAPER)
    done, encoded = cv2.imencode(".png", cv2.cvtColor(framed, cv2.COLOR_RGB2BGR))
    if not done:
        raise LikenessError("The picture of a comparison could not be encoded.")
    return encoded.tobytes()


def _column(side: Side) -> Pixels:
    """The name, the photograph with box and landmarks, and the aligned face."""
    scale = min(_HEIGHT / side.image.shape[0], _WIDEST / side.image.shape[1])
    shown = resize(side.image, scale).copy()
    box = side.face.box
    corners = np.array([[box.x, box.y], [box.x + box.width, box.y + box.height]]) * scale
    first, last = ((int(x), int(y)) for x, y in np.rint(corners))
    cv2.rectangle(shown, first, last, _MARK, 2, cv2.LINE_AA)
    for x, y in np.rint(side.face.landmarks * scale).astype(int).tolist():
        cv2.circle(shown, (x, y), 3, _MARK, -1, cv2.LINE_AA)
    chip = np.asarray(cv2.resize(side.chip, (_CHIP, _CHIP), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    width = max(shown.shape[1], _CHIP)
    letters = width // _LETTER
    name = side.name if len(side.name) <= letters else f"...{side.name[-letters + 3 :]}"
    parts = (_text([name], width), shown, _text([], width), chip)
    return np.vstack([_grown(part, part.shape[0], width) for part in parts])


def _grown(image: Pixels, height: int, width: int) -> Pixels:
    """The image on white paper of a given size, at the top left."""
    sheet = np.full((height, width, 3), 255, np.uint8)
    sheet[: image.shape[0], : image.shape[1]] = image
    return sheet


def _text(lines: list[str], width: int) -> Pixels:
    """Lines of text on white; letters that OpenCV's font does not have become question marks."""
    sheet = np.full((_MARGIN + _LINE * len(lines), width, 3), 255, np.uint8)
    for number, line in enumerate(lines, start=1):
        plain = line.encode("ascii", "replace").decode("ascii")
        at = (0, _LINE * number)
        cv2.putText(sheet, plain, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
    return sheet

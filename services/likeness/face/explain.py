"""A picture for people: two photographs with what was found in them, the aligned faces below, and the score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likeness.face.detect import Detection, Pixels, resize
from likeness.imaging.drawing import MARGIN, MARK, captioned, on_paper, shortened, text
from likeness.imaging.opencv import cv2

_HEIGHT = 320  # pixels of each photograph in the picture
_WIDEST = 640  # pixels; a panorama is made smaller
_CHIP = 224  # pixels of each aligned face


@dataclass(frozen=True, eq=False, slots=True)
class ExplainedFace:
    """One of the two that are compared: what the caller calls it, the photograph, the face, the aligned face."""

    name: str
    image: Pixels
    face: Detection
    chip: Pixels


def picture(sides: list[ExplainedFace], captions: list[str]) -> bytes:
    """Draws the sides next to each other with captions below; a PNG."""
    columns = [_column(side) for side in sides]
    height = max(column.shape[0] for column in columns)
    body = np.hstack([on_paper(column, height, column.shape[1] + MARGIN) for column in columns])
    return captioned(body, captions)


def _column(side: ExplainedFace) -> Pixels:
    """The name, the photograph with box and landmarks, and the aligned face."""
    scale = min(_HEIGHT / side.image.shape[0], _WIDEST / side.image.shape[1])
    shown = resize(side.image, scale).copy()
    box = side.face.box
    corners = np.array([[box.x, box.y], [box.x + box.width, box.y + box.height]]) * scale
    first, last = ((int(x), int(y)) for x, y in np.rint(corners))
    cv2.rectangle(shown, first, last, MARK, 2, cv2.LINE_AA)
    for x, y in np.rint(side.face.landmarks * scale).astype(int).tolist():
        cv2.circle(shown, (x, y), 3, MARK, -1, cv2.LINE_AA)
    chip = np.asarray(cv2.resize(side.chip, (_CHIP, _CHIP), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    width = max(shown.shape[1], _CHIP)
    parts = (text([shortened(side.name, width)], width), shown, text([], width), chip)
    return np.vstack([on_paper(part, part.shape[0], width) for part in parts])

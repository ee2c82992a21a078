"""A picture for people: two photographs with what was found in them, and the two aligned faces below."""

from __future__ import annotations

import numpy as np

from likeness.face.detect import Detection, Pixels
from likeness.imaging.opencv import cv2

_HEIGHT = 360  # pixels of each photograph in the picture
_CHIP = 200
_MARGIN = 16
_INK, _MARK = (40, 40, 40), (0, 140, 255)  # blue, green, red


def picture(pairs: list[tuple[Pixels, Detection, Pixels]], captions: list[str]) -> bytes:
    """Draw the pairs (photograph, face, aligned chip; all RGB) side by side with captions below; a PNG."""
    columns = [_column(*pair) for pair in pairs]
    height = max(column.shape[0] for column in columns)
    padded = [
        cv2.copyMakeBorder(c, 0, height - c.shape[0], _MARGIN, _MARGIN, cv2.BORDER_CONSTANT, value=(255,) * 3)
        for c in columns
    ]
    body = np.hstack(padded)
    foot = np.full((_MARGIN * 2 + 28 * len(captions), body.shape[1], 3), 255, np.uint8)
    for line, caption in enumerate(captions):
        cv2.putText(
            foot, caption, (_MARGIN, 28 * (line + 1)), cv2.FONT_HERSHEY_SIMPLEX, 0.55, _INK, 1, cv2.LINE_AA
        )
    _, encoded = cv2.imencode(".png", np.vstack([body, foot]))
    return bytes(encoded)


def _column(image: Pixels, face: Detection, chip: Pixels) -> Pixels:
    scale = _HEIGHT / image.shape[0]
    shown = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:, :, ::-1].copy()
    box = face.box
    corners = [(box.x, box.y), (box.x + box.width, box.y + box.height)]
    first, last = ((round(x * scale), round(y * scale)) for x, y in corners)
    cv2.rectangle(shown, first, last, _MARK, 2)
    for x, y in face.landmarks:
        cv2.circle(shown, (round(float(x) * scale), round(float(y) * scale)), 3, _MARK, -1, cv2.LINE_AA)
    small = cv2.resize(chip, (_CHIP, _CHIP), interpolation=cv2.INTER_AREA)[:, :, ::-1]
    width = max(shown.shape[1], _CHIP)
    column = np.full((_MARGIN * 3 + _HEIGHT + _CHIP, width, 3), 255, np.uint8)
    column[_MARGIN : _MARGIN + shown.shape[0], : shown.shape[1]] = shown
    top = 2 * _MARGIN + shown.shape[0]
    column[top : top + _CHIP, :_CHIP] = small
    return column

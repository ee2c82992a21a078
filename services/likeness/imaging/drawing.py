"""Pictures for people: images on white paper with lines of text, as PNG."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from likeness.domain.errors import LikenessError
from likeness.domain.text import ascii_text, printable
from likeness.imaging.opencv import cv2

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]

MARGIN = 16
LETTER = 11  # pixels, width of the widest letter at the size used
PAPER: Colour = (255, 255, 255)  # red, green, blue
INK: Colour = (40, 40, 40)
MARK: Colour = (255, 140, 0)
_LINE = 24  # pixels from one line of text to the next


_EVERY_SCRIPT = int(cv2.__version__.partition(".")[0]) >= 5
"""Whether OpenCV's font has more than ASCII."""


def drawable(text: str) -> str:
    """The text as OpenCV can draw it: unprintable characters as escapes; before OpenCV 5 in ASCII alone."""
    return printable(text) if _EVERY_SCRIPT else ascii_text(text)


def on_paper(image: Pixels, height: int, width: int) -> Pixels:
    """The image on white paper of a given size, at the top left."""
    sheet = np.full((height, width, 3), 255, np.uint8)
    sheet[: image.shape[0], : image.shape[1]] = image
    return sheet


def text(lines: Sequence[str], width: int) -> Pixels:
    """Lines of text on white; letters that OpenCV's font does not have are replaced, see `drawable`."""
    sheet = np.full((MARGIN + _LINE * len(lines), width, 3), 255, np.uint8)
    for number, line in enumerate(lines, start=1):
        at = (0, _LINE * number)
        cv2.putText(sheet, drawable(line), at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, INK, 1, cv2.LINE_AA)
    return sheet


def shortened(name: str, width: int) -> str:
    """The end of a name, as much as fits into that many pixels."""
    letters = width // LETTER
    return name if len(name) <= letters else f"...{name[-letters + 3 :]}"


def captioned(body: Pixels, captions: Sequence[str]) -> bytes:
    """A PNG of the body, uint8 [h, w, 3] RGB, with captions below and a margin around."""
    width = max(body.shape[1], max((len(caption) for caption in captions), default=0) * LETTER) + MARGIN
    sheet = np.vstack([on_paper(body, body.shape[0], width - MARGIN), text(captions, width - MARGIN)])
    framed = cv2.copyMakeBorder(sheet, MARGIN, MARGIN, MARGIN, 0, cv2.BORDER_CONSTANT, value=PAPER)
    done, encoded = cv2.imencode(".png", cv2.cvtColor(framed, cv2.COLOR_RGB2BGR))
    if not done:
        raise LikenessError("The picture of a comparison could not be encoded.")
    return encoded.tobytes()

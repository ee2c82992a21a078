"""The minutiae of a record as a picture for people, where there is no impression to show."""

from __future__ import annotations

import math

import numpy as np

from likeness.fingerprint.minutiae import Minutiae, MinutiaKind, Record
from likeness.imaging.drawing import INK, MARK, Colour, Pixels
from likeness.imaging.opencv import cv2

BORDER = 0.08  # of a view's place, on each side
RING = 0.018  # radius of a minutia's mark, of a view's place
TICK = 0.055  # length of its direction, of a view's place
_RULE: Colour = (219, 222, 226)


def minutiae_picture(record: Record, side: int) -> Pixels:
    """The minutiae of every view, uint8 [side, side, 3] RGB on white; several views side by side in a grid.

    Rings are endings and what the record does not name, discs in orange bifurcations; ticks are directions.
    """
    views = [view.minutiae for view in record.views if len(view.minutiae)]
    columns = max(1, math.ceil(math.sqrt(len(views))))
    place = side // columns
    sheet = np.full((side, side, 3), 255, np.uint8)
    for number, minutiae in enumerate(views):
        top, left = (n * place for n in divmod(number, columns))
        _draw(sheet[top : top + place, left : left + place], minutiae)
        if columns > 1:
            cv2.rectangle(sheet, (left, top), (left + place - 1, top + place - 1), _RULE, 1)
    return sheet


def _draw(place: Pixels, minutiae: Minutiae) -> None:
    side = place.shape[0]
    low = minutiae.xy.min(axis=0)
    extent = max(float(np.ptp(minutiae.xy, axis=0).max()), 1.0)
    scale = side * (1 - 2 * BORDER) / extent
    rest = (side - np.ptp(minutiae.xy, axis=0) * scale) / 2
    places = np.rint((minutiae.xy - low) * scale + rest).astype(int)
    ring, tick = max(1, round(RING * side)), max(3, round(TICK * side))
    for (x, y), angle, kind in zip(
        places.tolist(), minutiae.angle.tolist(), minutiae.kind.tolist(), strict=True
    ):
        end = (round(x + tick * math.cos(angle)), round(y - tick * math.sin(angle)))
        branching = kind == MinutiaKind.BIFURCATION
        cv2.line(place, (x, y), end, MARK if branching else INK, 1, cv2.LINE_AA)
        cv2.circle(
            place, (x, y), ring, MARK if branching else INK, cv2.FILLED if branching else 1, cv2.LINE_AA
        )

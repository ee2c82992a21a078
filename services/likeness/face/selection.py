"""Which of the faces in a photograph is meant."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from likeness.domain.samples import Box, Pick, Selection
from likeness.face import parameters
from likeness.face.detect import Detection
from likeness.imaging.geometry import overlap

Indexed = list[tuple[int, Detection]]


def choose(faces: Sequence[Detection], selection: Selection, size: tuple[int, int]) -> Indexed:
    """The chosen faces with their indices; empty where an index or a region matches none.

    `size` is (width, height) of the photograph. `Pick.ONLY` leaves every face: whether several are an error is
    for the caller to say.
    """
    indexed = list(enumerate(faces))
    match selection.pick:
        case Pick.INDEX:
            return [entry for entry in indexed if entry[0] == selection.index]
        case Pick.MOST_CENTRAL:
            return _best(indexed, lambda face: -_off_centre(face, size))
        case Pick.MOST_PROMINENT:
            return _best(indexed, lambda face: (face.box.area, -_off_centre(face, size)))
        case Pick.REGION:
            region = selection.region
            if region is None:
                return []
            touching = [entry for entry in indexed if _shared(entry[1].box, region) > 0]
            return _best(touching, lambda face: _shared(face.box, region))
    return indexed


def without_bystanders(faces: Indexed) -> Indexed:
    """The faces that count when a portrait is enrolled: those not much smaller than the largest."""
    largest = max((face.inter_eye for _, face in faces), default=0.0)
    return [entry for entry in faces if entry[1].inter_eye >= parameters.BYSTANDER_SHARE * largest]


def _best(faces: Indexed, merit: Callable[[Detection], float | tuple[float, ...]]) -> Indexed:
    return [max(faces, key=lambda entry: merit(entry[1]))] if faces else []


def _off_centre(face: Detection, size: tuple[int, int]) -> float:
    x, y = face.box.centre
    return math.hypot(x - size[0] / 2, y - size[1] / 2)


def _shared(one: Box, other: Box) -> float:
    def corners(box: Box) -> list[list[float]]:
        return [[box.x, box.y, box.x + box.width, box.y + box.height]]

    return float(overlap(np.array(corners(one)), np.array(corners(other)))[0, 0])

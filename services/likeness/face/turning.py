"""A photograph that lies on its side or upside down is turned before its faces are used.

The detector is run on the photograph as sent. Only where a face that counts does not look upright, or there is
none, are the three other quarter turns searched as well; the turn with the most upright face wins.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.domain.samples import Box, Issue, Severity
from likeness.face import parameters, upright
from likeness.face.detect import Detection, Detector, Pixels, find_faces
from likeness.face.quality import face_view
from likeness.face.selection import without_bystanders

_TURNS = {1: "90 degrees clockwise", 2: "180 degrees", 3: "90 degrees counter-clockwise"}


@dataclass(frozen=True, eq=False, slots=True)
class Sight:
    """What was found in a photograph, which may have been turned for it.

    `image` uint8 [height, width, 3], RGB, turned clockwise by `quarters` times 90 degrees; `faces` in its pixels,
    the largest first, and `as_sent` the same faces in pixels of the photograph as sent. Their landmarks keep their
    order: the left eye is the one that is left once the photograph is turned.
    """

    image: Pixels
    faces: list[Detection]
    as_sent: list[Detection]
    quarters: int = 0

    def issue(self, name: str) -> tuple[Issue, ...]:
        """That the photograph `name` was turned, where it was."""
        if not self.quarters:
            return ()
        return (
            Issue(
                "PHOTOGRAPH_TURNED",
                f"{name} was turned by {_TURNS[self.quarters]} because its faces do not stand upright; check that "
                "this is right. Box and landmarks are those in the photograph as sent.",
                Severity.WARN,
            ),
        )


def look(detector: Detector, image: Pixels) -> Sight:
    """The faces in a photograph uint8 [height, width, 3], RGB, turned upright where it is not."""
    faces = find_faces(detector, image)[: parameters.MAX_FACES]
    odds = _odds(image, faces)
    best = _sight(image, faces, 0)
    if odds and min(odds.values()) >= parameters.UPRIGHT_DOUBT:
        return best
    most = _evidence(odds)
    for quarters in _TURNS:
        turned = np.ascontiguousarray(np.rot90(image, -quarters))
        faces = detector.detect(turned)[: parameters.MAX_FACES]
        odds = _odds(turned, faces)
        sure = max(odds.values(), default=-math.inf) >= parameters.UPRIGHT_DOUBT
        if sure and _evidence(odds) > most:
            best, most = _sight(turned, faces, quarters), _evidence(odds)
    return best


def unturned(points: NDArray[np.floating], size: tuple[int, int], quarters: int) -> NDArray[np.float32]:
    """Points of a turned photograph in the photograph as sent.

    Args:
        points: [n, 2], (x, y) pixels of the turned photograph.
        size: (width, height) of the turned photograph.
        quarters: by how many times 90 degrees it was turned clockwise.

    Returns:
        float32 [n, 2].
    """
    found = np.asarray(points, np.float32)
    width, height = size
    for _ in range(quarters):
        found = np.stack([found[:, 1], width - 1 - found[:, 0]], axis=1)
        width, height = height, width
    return found


def _odds(image: Pixels, faces: Sequence[Detection]) -> dict[Detection, float]:
    """The faces that count, with the log-odds that each is upright."""
    counted = without_bystanders(list(enumerate(faces)))
    return {face: upright.log_odds(face_view(face, image)) for _, face in counted}


def _evidence(odds: Mapping[Detection, float]) -> float:
    """How much of a picture is upright face, in square pixels; small ones count little."""
    return math.fsum(face.box.area * upright.share(odd) for face, odd in odds.items())


def _sight(image: Pixels, faces: Sequence[Detection], quarters: int) -> Sight:
    largest = sorted(faces, key=lambda face: -face.box.area)
    size = (image.shape[1], image.shape[0])
    as_sent = [_unturned(face, size, quarters) for face in largest] if quarters else largest
    return Sight(image, largest, as_sent, quarters)


def _unturned(face: Detection, size: tuple[int, int], quarters: int) -> Detection:
    box = face.box
    corners = np.array([[box.x, box.y], [box.x + box.width, box.y + box.height]])
    (left, top), (right, bottom) = np.sort(unturned(corners, size, quarters), axis=0).tolist()
    return Detection(
        Box(left, top, right - left, bottom - top),
        face.confidence,
        unturned(face.landmarks, size, quarters),
    )

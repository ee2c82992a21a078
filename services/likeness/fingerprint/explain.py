"""What an examiner, and a machine, can check a comparison by: which minutiae were paired, and how they lie.

The picture shows the probe, the candidate, and the probe moved onto the candidate. Paired minutiae have the same
number and colour on both sides; the others are faint.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.domain.answers import Evidence, Explanation, Points, Score
from likeness.fingerprint.fingers import Finger
from likeness.fingerprint.matcher import Pairing
from likeness.fingerprint.prepared import PreparedFinger
from likeness.imaging.drawing import INK, MARGIN, Colour, Pixels, captioned, on_paper, shortened, text
from likeness.imaging.opencv import cv2

Floats = NDArray[np.float64]

_PANEL = 420  # pixels, the longer side of each of the three panels
_BORDER = 24  # pixels between the outermost minutia and the panel's edge
_TICK = 11  # pixels of a minutia's direction
_RING = 4  # pixels, radius of a minutia's mark
_FAINT: Colour = (190, 190, 190)
_OUTLINE: Colour = (170, 200, 235)
_MOVED: Colour = (255, 140, 0)
_DIGIT = 0.36  # scale of the numbers

POSITIONS = (
    "unknown finger",
    "right thumb",
    "right index",
    "right middle",
    "right ring",
    "right little",
    "left thumb",
    "left index",
    "left middle",
    "left ring",
    "left little",
)
"""Words for the finger positions of ISO/IEC 19794-2, 7.4.3."""


@dataclass(frozen=True, eq=False, slots=True)
class ExplainedFinger:
    """One of the two that are compared: what the caller calls it, and the view that was compared."""

    name: str
    finger: Finger


def explained(
    probe: ExplainedFinger,
    candidate: ExplainedFinger,
    pairing: Pairing,
    score: Score,
    captions: Sequence[str],
) -> Explanation:
    """The picture, with the score's named parts and the captions below, and the evidence."""
    motion = _motion(probe.finger.prepared, candidate.finger.prepared, pairing)
    outlines = _overlap(probe.finger.prepared, candidate.finger.prepared, motion)
    parts = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in score.parts.items())
    sentences = [f"{len(pairing.pairs)} minutiae paired, of the same number and colour on both sides", parts]
    body = _panels(probe, candidate, pairing, motion, outlines)
    return Explanation(
        captioned(body, [*_lines(sentences, body.shape[1]), *captions]),
        evidence(probe.finger.prepared, candidate.finger.prepared, pairing, motion, outlines),
    )


def evidence(
    probe: PreparedFinger,
    candidate: PreparedFinger,
    pairing: Pairing,
    motion: Floats,
    outlines: tuple[Floats, Floats],
) -> Evidence:
    """The paired points, the motion and the overlap, in pixels of the records at 500 dpi."""
    paired = pairing.pairs
    return Evidence(
        probe=_points(_places(probe)[paired[:, 0]]),
        candidate=_points(_places(candidate)[paired[:, 1]]),
        transform=tuple(float(value) for value in motion.ravel()) if len(paired) else (),
        probe_outline=_points(outlines[0]),
        candidate_outline=_points(outlines[1]),
    )


def _places(one: PreparedFinger) -> Floats:
    """Minutiae where the record has them: float64 [n, 2]."""
    return np.asarray(one.xy.astype(np.float64) + np.array(one.centre, np.float64))


def _points(places: Floats) -> Points:
    return tuple((float(x), float(y)) for x, y in places.tolist())


def _motion(probe: PreparedFinger, candidate: PreparedFinger, pairing: Pairing) -> Floats:
    """The motion as a matrix [3, 3] on places of the records; the matcher's is about their centres."""
    turn, x, y = pairing.motion
    c, s = math.cos(turn), math.sin(turn)
    turned = np.array([[c, -s], [s, c]])
    shift = np.array([x, y]) + candidate.centre - turned @ np.array(probe.centre, np.float64)
    return np.vstack([np.column_stack([turned, shift]), [0.0, 0.0, 1.0]])


def _moved(motion: Floats, places: Floats) -> Floats:
    return np.asarray(places @ motion[:2, :2].T + motion[:2, 2])


def _overlap(probe: PreparedFinger, candidate: PreparedFinger, motion: Floats) -> tuple[Floats, Floats]:
    """The corners of what both hulls surround, in places of the probe and of the candidate; empty if nothing."""
    nothing = np.zeros((0, 2))
    if len(probe.hull) < 3 or len(candidate.hull) < 3:
        return nothing, nothing
    hulls = (one.hull.astype(np.float64) + np.array(one.centre, np.float64) for one in (probe, candidate))
    first, second = hulls
    one, other = _moved(motion, first).astype(np.float32), second.astype(np.float32)
    area, corners = cv2.intersectConvexConvex(one, other)
    if not area or corners is None:
        return nothing, nothing
    shared = np.asarray(corners, np.float64).reshape(-1, 2)
    back = (shared - motion[:2, 2]) @ motion[:2, :2]  # the inverse of a rotation is its transpose
    return back, shared


@dataclass(frozen=True, slots=True)
class _Frame:
    """Places to pixels of a panel."""

    scale: float
    corner: tuple[float, float]
    width: int
    height: int

    @classmethod
    def around(cls, places: Floats) -> _Frame:
        low, high = places.min(axis=0), places.max(axis=0)
        extent = np.maximum(high - low, 1.0)
        scale = (_PANEL - 2 * _BORDER) / float(extent.max())
        width, height = (int(side * scale) + 2 * _BORDER for side in extent.tolist())
        return cls(scale, (float(low[0]), float(low[1])), width, height)

    def __call__(self, places: Floats) -> NDArray[np.int64]:
        pixels = (places - np.array(self.corner)) * self.scale + _BORDER
        return np.asarray(np.rint(pixels), np.int64)


def _panels(
    probe: ExplainedFinger,
    candidate: ExplainedFinger,
    pairing: Pairing,
    motion: Floats,
    outlines: tuple[Floats, Floats],
) -> Pixels:
    columns = [
        _panel("Probe", probe, pairing.pairs[:, 0], outlines[0]),
        _panel("Candidate", candidate, pairing.pairs[:, 1], outlines[1]),
        _upon_each_other(probe, candidate, pairing, motion),
    ]
    height = max(column.shape[0] for column in columns)
    return np.hstack([on_paper(column, height, column.shape[1] + MARGIN) for column in columns])


def _panel(role: str, side: ExplainedFinger, paired: NDArray[np.int64], outline: Floats) -> Pixels:
    """One template: outline of the overlap, faint minutiae, then the paired ones with their numbers."""
    one = side.finger.prepared
    places = _places(one)
    frame = _Frame.around(places)
    sheet = np.full((frame.height, frame.width, 3), 255, np.uint8)
    if len(outline):
        cv2.polylines(sheet, [frame(outline).astype(np.int32)], True, _OUTLINE, 1, cv2.LINE_AA)
    at = frame(places)
    for place in sorted(set(range(len(one))) - set(paired.tolist())):
        _mark(sheet, at[place], float(one.turn[place]), _FAINT)
    colours = _colours(len(paired))
    for number, place in enumerate(paired.tolist()):
        _mark(sheet, at[place], float(one.turn[place]), colours[number])
    for number, place in enumerate(paired.tolist()):
        _number(sheet, at[place], number + 1)
    return _titled((f"{role}: {_position(side.finger)}, {len(one)} minutiae", side.name), sheet)


def _upon_each_other(
    probe: ExplainedFinger, candidate: ExplainedFinger, pairing: Pairing, motion: Floats
) -> Pixels:
    """The candidate's minutiae and, moved onto them, the probe's; a line joins those that were paired."""
    one, other = probe.finger.prepared, candidate.finger.prepared
    moved, still = _moved(motion, _places(one)), _places(other)
    frame = _Frame.around(np.concatenate([moved, still]))
    sheet = np.full((frame.height, frame.width, 3), 255, np.uint8)
    from_, to = frame(moved), frame(still)
    for a, b in pairing.pairs.tolist():
        ends = [tuple(int(value) for value in point) for point in (from_[a], to[b])]
        cv2.line(sheet, ends[0], ends[1], (90, 170, 90), 3, cv2.LINE_AA)
    for place in range(len(other)):
        _mark(sheet, to[place], float(other.turn[place]), INK)
    for place in range(len(one)):
        _mark(sheet, from_[place], float(one.turn[place]) + pairing.motion[0], _MOVED)
    return _titled(("Probe (orange) upon candidate (dark)", "green joins what was paired"), sheet)


def _titled(titles: Sequence[str], sheet: Pixels) -> Pixels:
    width = max(sheet.shape[1], _PANEL)
    above = text([shortened(title, width) for title in titles], width)
    return np.vstack([above, on_paper(sheet, sheet.shape[0], width)])


def _mark(sheet: Pixels, at: NDArray[np.int64], turn: float, colour: Colour) -> None:
    """A ring with a tick in the minutia's direction; `turn` clockwise in the image."""
    x, y = int(at[0]), int(at[1])
    end = (round(x + _TICK * math.cos(turn)), round(y + _TICK * math.sin(turn)))
    start = (round(x + _RING * math.cos(turn)), round(y + _RING * math.sin(turn)))
    thick = 1 if colour == _FAINT else 2
    cv2.circle(sheet, (x, y), _RING, colour, thick, cv2.LINE_AA)
    cv2.line(sheet, start, end, colour, thick, cv2.LINE_AA)


def _number(sheet: Pixels, at: NDArray[np.int64], number: int) -> None:
    where = (int(at[0]) + _RING + 2, int(at[1]) - _RING)
    cv2.putText(sheet, str(number), where, cv2.FONT_HERSHEY_SIMPLEX, _DIGIT, INK, 1, cv2.LINE_AA)


def _colours(count: int) -> list[Colour]:
    """Colours as far apart as their number lets them be; neighbours in number differ most."""
    hues = (np.arange(count) * 0.381966) % 1.0  # the golden section: no two of few are near
    rgb = (colorsys.hsv_to_rgb(hue, 0.85, 0.75) for hue in hues.tolist())
    return [(round(255 * r), round(255 * g), round(255 * b)) for r, g, b in rgb]


def _position(finger: Finger) -> str:
    codes = sorted(finger.possible) or [finger.position]
    return " or ".join(
        POSITIONS[code] if code < len(POSITIONS) else f"finger position {code}" for code in codes
    )


def _lines(sentences: Sequence[str], width: int) -> list[str]:
    """Sentences broken at commas so that they fit under a picture of that width."""
    lines: list[str] = []
    for sentence in sentences:
        line = ""
        for piece in sentence.split(", "):
            joined = f"{line}, {piece}" if line else piece
            if line and len(joined) * 9 > width:
                lines.append(line)
                joined = piece
            line = joined
        lines.append(line)
    return lines

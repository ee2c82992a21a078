"""A picture for people: two photographs, lines between what corresponds, and the outline of it on both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.domain.answers import Evidence, Points
from likeness.domain.samples import Box
from likeness.imaging.drawing import INK, MARGIN, MARK, captioned, on_paper, shortened, text
from likeness.imaging.opencv import cv2
from likeness.object.views import Pixels

_HEIGHT = 420  # pixels of each photograph in the picture
_WIDEST = 560  # pixels; a panorama is made smaller
_LINES = 60  # lines drawn; more hide the photographs
_OUTLINE = (0, 160, 80)  # red, green, blue
_REGION = (0, 110, 220)


@dataclass(frozen=True, eq=False, slots=True)
class ExplainedObject:
    """One of the two that are compared: what the caller calls it, its pixels, the region that was meant."""

    name: str
    image: Pixels
    region: Box | None = None


def picture(sides: list[ExplainedObject], evidence: Evidence, captions: list[str]) -> bytes:
    """Draws the sides next to each other with what corresponds, captions below; a PNG."""
    scales = [min(_HEIGHT / side.image.shape[0], _WIDEST / side.image.shape[1]) for side in sides]
    shown = [_resized(side.image, scale) for side, scale in zip(sides, scales, strict=True)]
    outlines = (evidence.probe_outline, evidence.candidate_outline)
    for image, side, scale, outline in zip(shown, sides, scales, outlines, strict=True):
        _mark(image, side.region, outline, scale)
    heads = [
        text([shortened(side.name, image.shape[1])], image.shape[1])
        for side, image in zip(sides, shown, strict=True)
    ]
    top = heads[0].shape[0]
    columns = [np.vstack([head, image]) for head, image in zip(heads, shown, strict=True)]
    height = max(column.shape[0] for column in columns)
    widths = [column.shape[1] + MARGIN for column in columns]
    body = np.hstack([on_paper(c, height, width) for c, width in zip(columns, widths, strict=True)])
    offsets = [np.array([0, top]), np.array([widths[0], top])]
    _connect(body, evidence, scales, offsets)
    if not evidence.probe:
        captions = ["No view of a plane explains details of both: nothing to draw", *captions]
    return captioned(body, captions)


def _resized(image: Pixels, scale: float) -> Pixels:
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.array(cv2.resize(image, size, interpolation=how), np.uint8)


def _mark(image: Pixels, region: Box | None, outline: Points, scale: float) -> None:
    if region is not None:
        corners = np.array(
            [[region.x, region.y], [region.x + region.width, region.y + region.height]], np.float64
        )
        first, last = _rounded(corners * scale).tolist()
        cv2.rectangle(image, tuple(first), tuple(last), _REGION, 1, cv2.LINE_AA)
    if len(outline) > 1:
        points = _rounded(np.array(outline, np.float64) * scale)
        cv2.polylines(image, [points.reshape(-1, 1, 2)], True, _OUTLINE, 2, cv2.LINE_AA)


def _connect(body: Pixels, evidence: Evidence, scales: list[float], offsets: list[NDArray[np.int64]]) -> None:
    """Lines between the points that correspond, evenly chosen where there are many; drawn thinly, then dotted."""
    count = len(evidence.probe)
    if not count:
        return
    chosen = np.unique(np.linspace(0, count - 1, min(count, _LINES)).astype(np.int64))
    ends = [
        _rounded(np.array(points, np.float64)[chosen] * scale + offset)
        for points, scale, offset in zip((evidence.probe, evidence.candidate), scales, offsets, strict=True)
    ]
    veil = body.copy()
    for one, other in zip(ends[0].tolist(), ends[1].tolist(), strict=True):
        cv2.line(veil, tuple(one), tuple(other), MARK, 1, cv2.LINE_AA)
    cv2.addWeighted(veil, 0.6, body, 0.4, 0, dst=body)
    for x, y in np.concatenate(ends).tolist():
        cv2.circle(body, (x, y), 3, MARK, -1, cv2.LINE_AA)
        cv2.circle(body, (x, y), 3, INK, 1, cv2.LINE_AA)


def _rounded(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.rint(points).astype(np.int32)

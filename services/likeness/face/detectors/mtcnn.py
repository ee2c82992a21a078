"""The MTCNN cascade.

Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks", IEEE Signal
Processing Letters 23(10), 2016. A small network (P-Net) proposes windows over a pyramid of the picture, a second
one (R-Net) refines them and a third one (O-Net) decides and places the landmarks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from likeness.face import parameters
from likeness.face.detect import (
    Detection,
    Faces,
    Floats,
    Pixels,
    batch,
    resize,
    suppress,
    tensor,
    thorough_side,
)
from likeness.imaging.opencv import cv2
from likeness.inference.models.catalogue import Catalogue
from likeness.inference.models.manifest import FaceManifest
from likeness.inference.models.runtime import OnnxModel

_STRIDE = 2  # pixels of a pyramid level between two windows of P-Net
_CELL = 12  # pixels, side of P-Net's window
_REFINE_SIDE = 24  # pixels, input of R-Net
_OUTPUT_SIDE = 48  # pixels, input of O-Net


class Mtcnn:
    """The cascade of three graphs; thresholds and smallest face from the manifest's [detection]."""

    def __init__(self, manifest: FaceManifest, pnet: OnnxModel, rnet: OnnxModel, onet: OnnxModel) -> None:
        self._input = manifest.input
        self._settings = manifest.detector
        self._pnet, self._rnet, self._onet = pnet, rnet, onet

    @classmethod
    def open(cls, catalogue: Catalogue, manifest: FaceManifest, threads: int = 1) -> Mtcnn:
        """Loads the three graphs. Raises what `Catalogue.open` raises."""
        pnet, rnet, onet = (catalogue.open(manifest, role, threads) for role in ("pnet", "rnet", "onet"))
        return cls(manifest, pnet, rnet, onet)

    def detect(self, image: Pixels, *, thorough: bool = False) -> list[Detection]:
        """See `Detector.detect`."""
        scale = min(1.0, thorough_side(self._settings, thorough) / max(image.shape[:2]))
        searched = resize(image, scale)
        smallest = 0.0 if thorough else parameters.USABLE_FACE * scale
        boxes = self._propose(searched, max(smallest, self._settings.min_face_px))
        if len(boxes) == 0:
            return []
        halves = _halves(searched)
        boxes = self._refine(halves, boxes)
        return self._decide(halves, boxes).detections(scale) if len(boxes) else []

    def warm(self) -> None:
        """See `Detector.warm`."""
        self.detect(np.zeros((self._settings.max_side_px, self._settings.max_side_px, 3), np.uint8))
        window = np.array([[0, 0, _OUTPUT_SIDE, _OUTPUT_SIDE]], np.float32)
        blank = [np.zeros((_OUTPUT_SIDE, _OUTPUT_SIDE, 3), np.uint8)]
        self._refine(blank, window)
        self._decide(blank, window)

    def _propose(self, image: Pixels, smallest: float) -> Floats:
        """Square windows [n, 4], none smaller than about `smallest` pixels, that may hold a face."""
        found: list[Floats] = [np.empty((0, 9), np.float32)]
        level = resize(image, _CELL / smallest)
        while min(level.shape[:2]) >= _CELL:
            across, down = level.shape[1] / image.shape[1], level.shape[0] / image.shape[0]
            found.append(self._windows(tensor(level, self._input), across, down))
            level = resize(level, self._settings.pyramid_factor)
        windows = np.concatenate(found)
        windows = windows[suppress(windows[:, :4], windows[:, 4], parameters.MTCNN_NMS_PYRAMID)]
        return _square(_shift(windows[:, :4], windows[:, 5:]))

    def _windows(self, level: Floats, across: float, down: float) -> Floats:
        """The windows of one pyramid level [n, 9]: box in the picture, score, offsets."""
        out = self._pnet.run(level, ["probability", "box"])
        scores = out["probability"][0, 1]
        rows, columns = np.nonzero(scores >= self._settings.stage_thresholds[0])
        confidence = scores[rows, columns]
        if len(rows) > parameters.MTCNN_MAX_WINDOWS:
            best = np.argpartition(-confidence, parameters.MTCNN_MAX_WINDOWS)[: parameters.MTCNN_MAX_WINDOWS]
            rows, columns, confidence = rows[best], columns[best], confidence[best]
        windows = np.empty((len(rows), 9), np.float32)
        windows[:, 0], windows[:, 1] = columns * (_STRIDE / across), rows * (_STRIDE / down)
        windows[:, 2:4] = windows[:, :2] + (_CELL / across, _CELL / down)
        windows[:, 4] = confidence
        windows[:, 5:] = out["box"][0][:, rows, columns].T
        return windows[suppress(windows[:, :4], confidence, parameters.MTCNN_NMS_LEVEL)]

    def _refine(self, halves: list[Pixels], boxes: Floats) -> Floats:
        """The squares that R-Net holds for faces, moved as it says."""
        out = self._rnet.run(batch(crops(halves, boxes, _REFINE_SIDE), self._input), ["probability", "box"])
        scores = out["probability"][:, 1]
        sure = np.flatnonzero(scores >= self._settings.stage_thresholds[1])
        best = sure[suppress(boxes[sure], scores[sure], parameters.MTCNN_NMS_REFINED)]
        return _square(_shift(boxes[best], out["box"][best]))

    def _decide(self, halves: list[Pixels], boxes: Floats) -> Faces:
        """The faces that O-Net finds in the squares, with their landmarks."""
        out = self._onet.run(batch(crops(halves, boxes, _OUTPUT_SIDE), self._input))
        scores = out["probability"][:, 1]
        sure = np.flatnonzero(scores >= self._settings.stage_thresholds[2])
        windows = boxes[sure]
        size = (windows[:, 2:] - windows[:, :2])[:, None, :]
        marks = out["landmarks"][sure].reshape(-1, 2, 5).transpose(0, 2, 1)  # five x, then five y
        faces = Faces(_shift(windows, out["box"][sure]), scores[sure], windows[:, None, :2] + marks * size)
        return faces.take(suppress(faces.boxes, faces.scores, parameters.MTCNN_NMS_OUTPUT, of_smaller=True))


def crops(halves: Sequence[Pixels], boxes: Floats, side: int) -> Pixels:
    """Squares cut out of a picture and resized.

    Args:
        halves: the picture uint8 [h, w, 3] and its copies at 1/2, 1/4, ...
        boxes: float32 [n, 4], squares (left, top, right, bottom) in pixels of the picture.
        side: pixels.

    Returns:
        uint8 [n, side, side, 3]; black outside the picture.
    """
    steps = np.maximum(boxes[:, 2] - boxes[:, 0], 1.0) / side
    octaves = np.clip(np.log2(steps).astype(np.intp), 0, len(halves) - 1)
    fine = np.exp2(octaves).astype(np.float32)
    starts = (boxes[:, :2] + steps[:, None] / 2) / fine[:, None] - 0.5
    # float32 [n, side]: where in its halved picture the columns and the rows of a square lie.
    along = (steps / fine)[:, None] * np.arange(side, dtype=np.float32)
    across, down = starts[:, :1] + along, starts[:, 1:] + along
    out = np.empty((len(boxes), side, side, 3), np.uint8)
    # All squares of an octave in one call, each a row of side * side pixels: a call for each would let go of the
    # interpreter's lock dozens of times, and wait to have it back.
    for octave in set(octaves.tolist()):
        of_octave = octaves == octave
        x, y = np.tile(across[of_octave], side), np.repeat(down[of_octave], side, axis=1)
        seen = cv2.remap(halves[octave], x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        out[of_octave] = seen.reshape(-1, side, side, 3)
    return out


def _halves(image: Pixels) -> list[Pixels]:
    """The picture and its copies at 1/2, 1/4, ...: a window is cut from the smallest that shows its detail."""
    halves = [image]
    while min(halves[-1].shape[:2]) >= 2 * _OUTPUT_SIDE:
        halves.append(resize(halves[-1], 0.5))
    return halves


def _shift(boxes: Floats, offsets: Floats) -> Floats:
    """Boxes with their sides moved by offsets given in units of their width and height."""
    size = boxes[:, 2:] - boxes[:, :2]
    moved: Floats = boxes + offsets * np.concatenate([size, size], axis=1)
    return moved


def _square(boxes: Floats) -> Floats:
    """The squares around the same centres with the longer side; without boxes that a graph made endless."""
    boxes = boxes[np.isfinite(boxes).all(axis=1)]
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([centre - half, centre + half], axis=1)

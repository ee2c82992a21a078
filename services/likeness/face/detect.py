"""What a face detector gives, and how a picture is fitted to what a detector takes.

A detector is a function from a picture to detections. Which one, and with which thresholds, is the manifest's
business; `detectors.load_detector` picks the decoder of its family.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from likeness.domain.samples import Box
from likeness.face import parameters
from likeness.imaging.geometry import overlap
from likeness.imaging.opencv import cv2
from likeness.inference.models.manifest import DetectionSettings, Input

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False, slots=True)
class Detection:
    """One face.

    `box` in pixels of the picture; it may reach beyond the edge. `confidence` 0..1, comparable only within one
    detector. `landmarks` float32 [5, 2], (x, y) pixels: left eye, right eye, nose tip, left and right mouth
    corner, as seen in the image.
    """

    box: Box
    confidence: float
    landmarks: Floats

    @property
    def inter_eye(self) -> float:
        """Distance between the eyes in pixels."""
        return math.dist(self.landmarks[1].tolist(), self.landmarks[0].tolist())


class Detector(Protocol):
    """Finds faces; safe to call from several threads at once."""

    def detect(self, image: Pixels, *, thorough: bool = False) -> list[Detection]:
        """The faces in a picture, most confident first.

        Args:
            image: uint8 [height, width, 3], RGB.
            thorough: search at a higher resolution and for smaller faces, for several times the cost.
        """

    def warm(self) -> None:
        """Runs every graph once."""


def find_faces(detector: Detector, image: Pixels) -> list[Detection]:
    """The faces in a picture; where there seem to be none, searched again thoroughly and with its levels stretched.

    Args:
        detector: any.
        image: uint8 [height, width, 3], RGB.
    """
    return detector.detect(image) or detector.detect(stretched(image), thorough=True)


def stretched(image: Pixels) -> Pixels:
    """A dark or flat picture with its levels spread over the whole range; others as they are."""
    counts = np.bincount(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).reshape(-1), minlength=256)
    shares = np.cumsum(counts) * (100 / image[..., 0].size)
    low, high = np.searchsorted(shares, parameters.STRETCH_PERCENTILES).tolist()
    if high - low >= parameters.STRETCH_BELOW:
        return image
    gain = 255 / max(high - low, parameters.STRETCH_MIN_RANGE)
    table = np.clip((np.arange(256) - low) * gain, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table), dtype=np.uint8)


def thorough_side(settings: DetectionSettings, thorough: bool) -> int:
    """The longest side in pixels at which a picture is searched."""
    return settings.max_side_px * (parameters.THOROUGH_ENLARGES if thorough else 1)


@dataclass(frozen=True, eq=False, slots=True)
class Faces:
    """Faces as arrays, which is how decoders handle them: n boxes (left, top, right, bottom), scores, landmarks.

    `boxes` float32 [n, 4], `scores` float32 [n], `landmarks` float32 [n, 5, 2]; pixels of what was searched.
    """

    boxes: Floats
    scores: Floats
    landmarks: Floats

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Faces:
        """The chosen faces, in the order chosen."""
        return Faces(self.boxes[rows], self.scores[rows], self.landmarks[rows])

    def detections(self, scale: float) -> list[Detection]:
        """As detections in the original picture, of which a copy resized by `scale` was searched."""
        points = rescaled(self.landmarks, scale)
        boxes = rescaled(self.boxes.reshape(-1, 2, 2), scale).reshape(-1, 4)
        return [
            Detection(Box(float(x0), float(y0), float(x1 - x0), float(y1 - y0)), float(score), marks)
            for (x0, y0, x1, y1), score, marks in zip(boxes, self.scores, points, strict=True)
        ]


def rescaled(points: Floats, scale: float) -> Floats:
    """Points found in a copy resized by `scale`, in the original: pixel centres lie half a pixel inside."""
    original: Floats = ((points + 0.5) / scale - 0.5).astype(np.float32)
    return original


def suppress(boxes: Floats, scores: Floats, limit: float, *, of_smaller: bool = False) -> NDArray[np.intp]:
    """Greedy non-maximum suppression.

    Args:
        boxes: float32 [n, 4], (left, top, right, bottom).
        scores: float32 [n], above 0.
        limit: overlap above which the weaker of two boxes is dropped.
        of_smaller: measure the overlap as a share of the smaller box, not of the union; drops a box inside
            another one.

    Returns:
        Indices of the boxes left, best first; of equal ones the first. A box without area, or with a side or score
        that is not finite, shows nothing and is dropped.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    sound = np.flatnonzero(np.isfinite(boxes).all(axis=1) & np.isfinite(scores) & (sides > 0).all(axis=1))
    if len(sound) < 2:
        return sound
    boxes, sides, scores = boxes[sound], sides[sound], scores[sound]
    if not of_smaller:
        # One call instead of dozens on small arrays, each of which lets go of the interpreter's lock.
        sized = np.concatenate([boxes[:, :2], sides], axis=1)
        chosen = cv2.dnn.NMSBoxes(sized, scores, 0.0, limit)  # type: ignore[arg-type]  # arrays will do
        return sound[np.asarray(chosen, np.intp)]
    order = np.argsort(-scores, kind="stable")
    ranked = boxes[order]
    clash = overlap(ranked, ranked, of_smaller=True) > limit
    alive = np.ones(len(order), np.bool_)
    for row in range(len(order) - 1):
        if alive[row]:
            alive[row + 1 :] &= ~clash[row, row + 1 :]
    return sound[order[alive]]


@dataclass(frozen=True, eq=False, slots=True)
class Canvas:
    """A picture as the graph takes it: uint8 [height, width, 3], RGB, the picture at the top left, black elsewhere.

    `scale` is the factor by which the picture was resized.
    """

    pixels: Pixels
    scale: float


def fit(image: Pixels, target: Input, max_side: int) -> Canvas:
    """Fits a picture to a graph's input.

    A graph of fixed size gets the picture resized to fit it, larger or smaller; a graph of free size gets it at
    its own size, reduced if a side is longer than `max_side`, and filled up to multiples of `multiple_of`.
    """
    height, width = image.shape[:2]
    if target.dynamic:
        scale = min(1.0, max_side / max(height, width))
    else:
        scale = min(target.width / width, target.height / height)
    resized = resize(image, scale)
    rows, columns = resized.shape[:2]
    if target.dynamic:
        step = target.multiple_of
        full = (-(-rows // step) * step, -(-columns // step) * step)
    else:
        full = (target.height, target.width)
    if full == (rows, columns):
        return Canvas(resized, scale)
    pixels = np.zeros((*full, 3), np.uint8)
    pixels[:rows, :columns] = resized
    return Canvas(pixels, scale)


def resize(image: Pixels, scale: float) -> Pixels:
    """A picture resized by a factor; by averaging areas where it shrinks, so that no detail turns into noise."""
    if scale == 1:
        return image
    height, width = image.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=method), dtype=np.uint8)


def batch(images: Pixels, target: Input) -> Floats:
    """Pictures [n, height, width, 3] as a graph's input: colour order, (value - mean) / std, layout; float32."""
    ordered = images[..., ::-1] if target.colour == "BGR" else images
    mean, std = (np.array(values, np.float32) for values in (target.mean, target.std))
    if target.layout == "NCHW":
        # Planes first: arithmetic along rows is ten times as fast as along three colours.
        ordered = ordered.transpose(0, 3, 1, 2)
        mean, std = mean[:, None, None], std[:, None, None]
    values = np.array(ordered, np.float32, order="C")
    values -= mean
    values /= std
    return values


def tensor(image: Pixels, target: Input) -> Floats:
    """One picture as a graph's input, of batch size 1."""
    return batch(image[None], target)

"""SCRFD: distances from a cell's corner to the four sides of the face, one or more anchors per cell.

Guo et al., "Sample and Computation Redistribution for Efficient Face Detection", ICLR 2022; the decoding as in
InsightFace's SCRFD (the centre of a cell is its corner times the stride).
"""

from __future__ import annotations

import numpy as np

from likeness.face.detect import Detection, Faces, Pixels, fit, suppress, tensor
from likeness.face.detectors.anchors import Layout, grid, probabilities
from likeness.inference.catalogue import Catalogue
from likeness.inference.manifest import Manifest
from likeness.inference.runtime import OnnxModel


class Scrfd:
    """One graph of outputs score, bbox (4 distances) and kps (10) per stride, all in units of the stride."""

    def __init__(self, manifest: Manifest, model: OnnxModel) -> None:
        self._input = manifest.input
        self._settings = manifest.detector
        self._model = model
        self._layout = Layout(manifest, (1, 4, 10), ("score", "bbox", "kps"))

    @classmethod
    def open(cls, catalogue: Catalogue, manifest: Manifest, threads: int = 1) -> Scrfd:
        """Loads the graph. Raises what `Catalogue.open` raises."""
        return cls(manifest, catalogue.open(manifest, threads=threads))

    def detect(self, image: Pixels) -> list[Detection]:
        """See `Detector.detect`.

        Raises:
            Precondition: the graph's outputs do not fit the family.
        """
        canvas = fit(image, self._input, self._settings.max_side_px)
        rows, columns = canvas.pixels.shape[:2]
        outputs = self._model.run(tensor(canvas.pixels, self._input))
        boxes, scores, landmarks = [], [], []
        for stride, anchors, (confidence, sides, points) in self._layout.group(outputs, rows, columns):
            score = probabilities(confidence[:, 0])
            sure = np.flatnonzero(score >= self._settings.score_threshold)
            corner = grid(rows, columns, stride, anchors)[sure]
            distance = sides[sure] * stride
            boxes.append(np.concatenate([corner - distance[:, :2], corner + distance[:, 2:]], axis=1))
            landmarks.append(corner[:, None, :] + points[sure].reshape(-1, 5, 2) * stride)
            scores.append(score[sure])
        faces = Faces(np.concatenate(boxes), np.concatenate(scores), np.concatenate(landmarks))
        kept = suppress(faces.boxes, faces.scores, self._settings.nms_iou)
        return faces.take(kept).detections(canvas.scale)

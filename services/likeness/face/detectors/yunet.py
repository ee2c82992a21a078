"""YuNet: anchor-free, one row per cell.

Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20, 2023; the
decoding as in libfacedetection.train and in OpenCV's FaceDetectorYN.
"""

from __future__ import annotations

import numpy as np

from likeness.face.detect import Detection, Faces, Pixels, fit, suppress, tensor
from likeness.face.detectors.anchors import Layout, grid, probabilities
from likeness.inference.catalogue import Catalogue
from likeness.inference.manifest import Manifest
from likeness.inference.runtime import OnnxModel

_MAX_LOG_SIZE = 10.0  # a box of e^10 strides is wider than any picture; beyond it exp overflows


class YuNet:
    """One graph of outputs cls, obj, bbox (4) and kps (10) per stride; score = sqrt(cls x obj)."""

    def __init__(self, manifest: Manifest, model: OnnxModel) -> None:
        self._input = manifest.input
        self._settings = manifest.detector
        self._model = model
        self._layout = Layout(manifest, (1, 1, 4, 10), ("cls", "obj", "bbox", "kps"))

    @classmethod
    def open(cls, catalogue: Catalogue, manifest: Manifest, threads: int = 1) -> YuNet:
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
        for stride, anchors, (classes, objects, sides, points) in self._layout.group(outputs, rows, columns):
            score = np.sqrt(probabilities(classes[:, 0]) * probabilities(objects[:, 0]))
            sure = np.flatnonzero(score >= self._settings.score_threshold)
            corner = grid(rows, columns, stride, anchors)[sure]
            centre = corner + sides[sure, :2] * stride
            half = np.exp(np.minimum(sides[sure, 2:], _MAX_LOG_SIZE)) * (stride / 2)
            boxes.append(np.concatenate([centre - half, centre + half], axis=1))
            landmarks.append(corner[:, None, :] + points[sure].reshape(-1, 5, 2) * stride)
            scores.append(score[sure])
        faces = Faces(np.concatenate(boxes), np.concatenate(scores), np.concatenate(landmarks))
        kept = suppress(faces.boxes, faces.scores, self._settings.nms_iou)
        return faces.take(kept).detections(canvas.scale)

"""What the one-shot families share: one run, outputs grouped by kind and stride, boxes around a grid.

A one-shot graph answers, for each stride, with one row per anchor of its grid, in several kinds of output (score,
box, landmarks). Exports differ in names, order and shape: [rows, k], [1, rows, k] or [1, anchors * k, h, w].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np

from likeness.domain.errors import Precondition
from likeness.face.detect import Detection, Faces, Floats, Pixels, fit, suppress, tensor, thorough_side
from likeness.inference.models.catalogue import Catalogue
from likeness.inference.models.manifest import FaceManifest
from likeness.inference.models.runtime import Array, OnnxModel

_MAX_ANCHORS = 16  # anchors per cell; the families use one to three


class OneShot(ABC):
    """A detector of one graph that answers for every cell at once.

    A family says what kinds of output it has, with how many values per row, and how to read a row; the last two
    kinds are the box and the five landmarks (x, y, in strides from the cell's corner).
    """

    WIDTHS: ClassVar[tuple[int, ...]]
    NAMES: ClassVar[tuple[str, ...]]

    def __init__(self, manifest: FaceManifest, model: OnnxModel) -> None:
        self._input = manifest.input
        self._settings = manifest.detector
        self._model = model
        self._layout = Layout(manifest, self.WIDTHS, self.NAMES)

    @classmethod
    def open(cls, catalogue: Catalogue, manifest: FaceManifest, threads: int = 1) -> Self:
        """Loads the graph. Raises what `Catalogue.open` raises."""
        return cls(manifest, catalogue.open(manifest, threads=threads))

    def detect(self, image: Pixels, *, thorough: bool = False) -> list[Detection]:
        """See `Detector.detect`.

        Raises:
            Precondition: the graph's outputs do not fit the family.
        """
        canvas = fit(image, self._input, thorough_side(self._settings, thorough))
        rows, columns = canvas.pixels.shape[:2]
        outputs = self._model.run(tensor(canvas.pixels, self._input))
        levels = [
            self._read(kinds, grid(rows, columns, stride, anchors), stride)
            for stride, anchors, kinds in self._layout.group(outputs, rows, columns)
        ]
        faces = Faces(
            np.concatenate([level.boxes for level in levels]),
            np.concatenate([level.scores for level in levels]),
            np.concatenate([level.landmarks for level in levels]),
        )
        chosen = suppress(faces.boxes, faces.scores, self._settings.nms_iou)
        return faces.take(chosen).detections(canvas.scale)

    def warm(self) -> None:
        """See `Detector.warm`."""
        side = self._settings.max_side_px
        self.detect(np.zeros((side, side, 3), np.uint8))

    def _read(self, kinds: list[Floats], corners: Floats, stride: int) -> Faces:
        """The faces of one stride whose score is high enough."""
        score = self.scores(kinds)
        sure = np.flatnonzero(score >= self._settings.score_threshold)
        corner = corners[sure]
        marks = corner[:, None, :] + kinds[-1][sure].reshape(-1, 5, 2) * stride
        return Faces(self.boxes(kinds[-2][sure], corner, stride), score[sure], marks)

    @abstractmethod
    def scores(self, kinds: list[Floats]) -> Floats:
        """The scores [n], 0..1, from the outputs of one stride."""

    @abstractmethod
    def boxes(self, values: Floats, corners: Floats, stride: int) -> Floats:
        """The boxes [n, 4] from the box outputs [n, 4] and the corners [n, 2] of their cells."""


class Layout:
    """Groups the outputs of one run.

    Args:
        manifest: names the outputs in order (`detection.outputs`) if the graph's order cannot be relied on.
        widths: values per row of each kind, in the family's order, for example (1, 4, 10).
        names: what each kind may be called in the graph, in the same order; used where two kinds have one width.
    """

    def __init__(self, manifest: FaceManifest, widths: Sequence[int], names: Sequence[str]) -> None:
        self._id = manifest.id
        self._strides = tuple(sorted(manifest.detector.strides))
        self._order = manifest.detector.outputs
        self._widths = tuple(widths)
        self._names = tuple(names)

    def group(
        self, outputs: dict[str, Array], rows: int, columns: int
    ) -> list[tuple[int, int, list[Floats]]]:
        """Per stride: the stride, its anchors per cell, and one array [grid rows, k] for each kind.

        Args:
            outputs: what the graph returned for one picture.
            rows: height of the input in pixels.
            columns: width of the input in pixels.

        Raises:
            Precondition: the outputs do not fit the family's layout.
        """
        by_kind = self._by_kind(outputs)
        levels = []
        for level, stride in enumerate(self._strides):
            cells = -(-rows // stride) * -(-columns // stride)
            kinds = [_rows(by_kind[kind][level], width) for kind, width in enumerate(self._widths)]
            anchors = len(kinds[0]) // cells
            if not 1 <= anchors <= _MAX_ANCHORS or any(len(kind) != anchors * cells for kind in kinds):
                counts = ", ".join(str(len(kind)) for kind in kinds)
                raise self._unfit(
                    f"stride {stride} has {cells} cells and its outputs have {counts} rows", outputs
                )
            levels.append((stride, anchors, kinds))
        return levels

    def _by_kind(self, outputs: dict[str, Array]) -> list[list[Array]]:
        """The outputs of each kind, finest stride first."""
        count = len(self._strides)
        if self._order:
            missing = [name for name in self._order if name not in outputs]
            if missing or len(self._order) != count * len(self._widths):
                raise self._unfit(
                    f"detection.outputs names {len(self._order)} outputs, not there: {missing}", outputs
                )
            ordered = [outputs[name] for name in self._order]
            return [ordered[kind * count : (kind + 1) * count] for kind in range(len(self._widths))]
        groups: list[list[Array]] = []
        for kind, width in enumerate(self._widths):
            fitting = {name: value for name, value in outputs.items() if _fits(value, width)}
            if self._widths.count(width) > 1:
                fitting = self._of_kind(fitting, kind, width)
            if len(fitting) != count:
                raise self._unfit(
                    f"{len(fitting)} outputs look like {self._names[kind]}, {count} expected", outputs
                )
            groups.append(sorted(fitting.values(), key=lambda value: -value.size))
        return groups

    def _of_kind(self, fitting: dict[str, Array], kind: int, width: int) -> dict[str, Array]:
        """Those of one kind among outputs of the same width: by name, else by the family's order."""
        named = {name: value for name, value in fitting.items() if self._names[kind] in name.lower()}
        if named:
            return named
        count = len(self._strides)
        place = self._widths[:kind].count(width)
        return dict(list(fitting.items())[place * count : (place + 1) * count])

    def _unfit(self, what: str, outputs: dict[str, Array]) -> Precondition:
        shapes = "; ".join(f"{name} {list(value.shape)}" for name, value in outputs.items())
        return Precondition(
            f"The outputs of model {self._id} do not fit its family: {what}. It has {shapes}. Correct strides or "
            "outputs in [detection] of its manifest.",
            reason="MODEL_UNFIT",
        )


def _fits(value: Array, width: int) -> bool:
    """Whether an output has `width` values per anchor; in a map of channels, for one or two anchors per cell."""
    if value.ndim == 4:
        return value.shape[1] in (width, 2 * width)
    return value.ndim in (2, 3) and value.shape[-1] == width


def _rows(value: Array, width: int) -> Floats:
    """An output of one picture as [rows, width]: cell by cell, the anchors of a cell together."""
    if value.ndim == 4:
        value = value.transpose(0, 2, 3, 1)
    return np.asarray(value.reshape(-1, width), dtype=np.float32)


def grid(rows: int, columns: int, stride: int, anchors: int) -> Floats:
    """The corners (x, y) in pixels of the cells of a grid, row by row, each repeated for its anchors."""
    down, across = -(-rows // stride), -(-columns // stride)
    y, x = (axis.astype(np.float32) * stride for axis in np.mgrid[0:down, 0:across])
    return np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), anchors, axis=0)


def probabilities(scores: Floats) -> Floats:
    """Scores as probabilities: exports without the last sigmoid return log-odds, which leave 0..1."""
    if scores.size and (scores.min() < 0 or scores.max() > 1):
        return (1 / (1 + np.exp(-np.clip(scores, -30, 30)))).astype(np.float32)
    return scores

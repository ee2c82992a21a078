"""Recognises what a graph is from its inputs and outputs: which family, which size, which batch.

Names in exported graphs are accidents; shapes are not. The graph is run once on a black picture, and its outputs
are distinguished by how many values they hold per cell: a score has 1, a box 4, five landmarks 10.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from likeness.domain.errors import InvalidInput, LikenessError
from likeness.inference.models.manifest import MAX_DIMENSION, Family, ModelKind
from likeness.inference.models.runtime import Array, OnnxModel, TensorSpec

_PROBE_SIDES = (256, 320)  # height and width tried on a detector of any size; unlike, so that axes show
_CHIP_SIDE = 112  # side tried on a recogniser of any size, the commonest one
_MIN_DIMENSION = 16  # elements; fewer cannot be an embedding of a face
_STRIDES = (4, 8, 16, 32, 64, 128)  # pixels; what one-shot detectors use
_SCORE, _BOX, _LANDMARKS = 1, 4, 10  # values per cell and anchor
_MAX_ANCHORS = 16  # per cell


@dataclass(frozen=True)
class GraphLayout:
    """What a graph turned out to be.

    `width` and `height` in pixels, 0 where the graph takes any size. `strides`, `anchors` (per cell) and `outputs`
    (in the family's order) for detectors; `dimension` and `output` for recognisers. `doubts` says in words what
    was guessed.
    """

    family: Family
    channels: Literal["NCHW", "NHWC"]
    batch: int | None
    width: int
    height: int
    multiple_of: int = 1
    strides: tuple[int, ...] = ()
    anchors: int = 1
    outputs: tuple[str, ...] = ()
    output: str = ""
    dimension: int = 0
    doubts: tuple[str, ...] = field(default_factory=tuple)

    @property
    def kind(self) -> ModelKind:
        """Whether it detects or recognises."""
        return ModelKind.RECOGNISER if self.family is Family.ARCFACE else ModelKind.DETECTOR


def recognise(model: OnnxModel) -> GraphLayout:
    """What a graph is.

    Raises:
        InvalidInput: it is of no family that the product knows; the message lists what was found.
        LikenessError: it fails on a black picture of its own size.
    """
    channels, rows, columns = _picture_axes(model)
    if len(model.outputs) >= 2 * 2:  # at least two strides of at least two kinds
        return _recognise_detector(model, channels, rows, columns)
    return _recognise_recogniser(model, channels, rows, columns)


def _unknown(model: OnnxModel, why: str) -> InvalidInput:
    outputs = ", ".join(str(output) for output in model.outputs)
    return InvalidInput(
        f"{model.path.name} is of no known family: {why}. Inputs: {', '.join(map(str, model.inputs))}. Outputs: "
        f"{outputs}. Known are YuNet and SCRFD with landmarks, and recognisers with one embedding",
        reason="MODEL_FAMILY_UNKNOWN",
    )


def _picture_axes(model: OnnxModel) -> tuple[Literal["NCHW", "NHWC"], int | None, int | None]:
    """The channel order, height and width of the only input."""
    if len(model.inputs) != 1 or len(model.inputs[0].shape) != 4:
        raise _unknown(model, "it does not take one batch of pictures (four axes)")
    _, first, second, last = model.inputs[0].shape
    if last == 3 and first != 3:
        return "NHWC", first, second
    if first in (3, None):
        return "NCHW", second, last
    raise _unknown(model, "no axis of its input has the three colour channels")


def _probe(model: OnnxModel, channels: str, height: int, width: int) -> dict[str, Array]:
    shape = (3, height, width) if channels == "NCHW" else (height, width, 3)
    return model.run(np.zeros((model.batch or 1, *shape), np.float32))


def _recognise_recogniser(
    model: OnnxModel, channels: Literal["NCHW", "NHWC"], rows: int | None, columns: int | None
) -> GraphLayout:
    doubts: list[str] = []
    height, width = rows or _CHIP_SIDE, columns or _CHIP_SIDE
    if rows is None or columns is None:
        doubts.append(f"the graph takes chips of any size; {width}x{height} is a guess")
    results = _probe(model, channels, height, width)
    batch = model.batch or 1
    sizes = {name: value.size // batch for name, value in results.items() if len(value) == batch}
    fitting = {name: size for name, size in sizes.items() if _MIN_DIMENSION <= size <= MAX_DIMENSION}
    if not fitting:
        raise _unknown(model, "no output is one embedding per picture")
    output = next(
        (name for name in fitting if "embed" in name.lower() or "feat" in name.lower()), min(fitting)
    )
    if len(fitting) > 1:
        doubts.append(
            f"several outputs could be the embedding ({', '.join(sorted(fitting))}); {output} is a guess"
        )
    return GraphLayout(
        Family.ARCFACE,
        channels,
        model.batch,
        width,
        height,
        output=output,
        dimension=fitting[output],
        doubts=tuple(doubts),
    )


@dataclass(frozen=True)
class _Output:
    """One output of a detector: `rows` of `width` values for one picture."""

    name: str
    width: int
    rows: int


def _recognise_detector(
    model: OnnxModel, channels: Literal["NCHW", "NHWC"], rows: int | None, columns: int | None
) -> GraphLayout:
    height, width = rows or _PROBE_SIDES[0], columns or _PROBE_SIDES[1]
    try:
        results = _probe(model, channels, height, width)
    except LikenessError as error:
        raise _unknown(model, f"it fails on a picture of {width}x{height} pixels ({error})") from error
    outputs = [_output(model, name, value) for name, value in results.items()]
    kinds = {kind: [o for o in outputs if o.width == kind] for kind in (_SCORE, _BOX, _LANDMARKS)}
    levels = len(kinds[_BOX])
    if not levels or sum(map(len, kinds.values())) != len(outputs):
        raise _unknown(model, "its outputs are not scores (1), boxes (4) and landmarks (10) per cell")
    if len(kinds[_LANDMARKS]) != levels:
        raise _unknown(model, "it finds no landmarks, which alignment needs; use an export with keypoints")
    family = {levels: Family.SCRFD, 2 * levels: Family.YUNET}.get(len(kinds[_SCORE]))
    if family is None:
        raise _unknown(model, f"{len(kinds[_SCORE])} scores for {levels} strides")
    strides, anchors = _grid(model, kinds[_BOX], height, width)
    groups = [kinds[_SCORE]] if family is Family.SCRFD else _class_and_object(kinds[_SCORE])
    order = [sorted(group, key=lambda o: -o.rows) for group in (*groups, kinds[_BOX], kinds[_LANDMARKS])]
    if any([o.rows for o in group] != [o.rows for o in order[-2]] for group in order):
        raise _unknown(model, "its scores, boxes and landmarks have unlike numbers of rows")
    doubts = [] if rows and columns else ["that the sides must be multiples of the largest stride is a guess"]
    return GraphLayout(
        family,
        channels,
        model.batch,
        width=columns or 0,
        height=rows or 0,
        multiple_of=1 if rows and columns else max(strides),
        strides=strides,
        anchors=anchors,
        outputs=tuple(o.name for group in order for o in group),
        doubts=tuple(doubts),
    )


def _output(model: OnnxModel, name: str, value: Array) -> _Output:
    if value.ndim == 4:  # a map of channels: one anchor's values lie at a stride of the anchors
        spec = TensorSpec(name, value.shape, None)
        for width in (_LANDMARKS, _BOX, _SCORE):
            if value.shape[1] % width == 0 and value.shape[1] // width in (1, 2):
                return _Output(name, width, value.size // width // len(value))
        raise _unknown(model, f"output {spec} is neither score, box nor landmarks")
    if value.ndim not in (2, 3):
        raise _unknown(model, f"output {name} has {value.ndim} axes")
    count = model.batch or 1
    return _Output(name, value.shape[-1], math.prod(value.shape[:-1]) // count)


def _grid(model: OnnxModel, boxes: Sequence[_Output], height: int, width: int) -> tuple[tuple[int, ...], int]:
    """Strides and anchors that explain the numbers of rows, strides being consecutive powers of two."""
    rows = sorted((box.rows for box in boxes), reverse=True)
    for anchors in range(1, _MAX_ANCHORS + 1):
        for start in range(len(_STRIDES) - len(rows) + 1):
            strides = _STRIDES[start : start + len(rows)]
            cells = [math.ceil(height / stride) * math.ceil(width / stride) for stride in strides]
            if [anchors * count for count in cells] == rows:
                return strides, anchors
    raise _unknown(model, f"{rows} rows fit no strides on a picture of {width}x{height} pixels")


def _class_and_object(scores: Sequence[_Output]) -> list[list[_Output]]:
    """YuNet's two kinds of score: by name, else the first half of the outputs are the classes."""
    classes = [score for score in scores if "cls" in score.name.lower()]
    if len(classes) != len(scores) // 2:
        classes = list(scores[: len(scores) // 2])
    return [classes, [score for score in scores if score not in classes]]

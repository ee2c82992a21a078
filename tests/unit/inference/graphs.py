"""Small real graphs for the tests: recognisers and detectors of every layout, with weights from a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from likeness.inference.models.digest import file_sha256
from likeness.inference.models.manifest import FaceManifest, parse_manifest
from likeness.inference.models.runtime import OnnxModel

TEMPLATE = "[[4.0, 5.0], [9.0, 5.0], [6.5, 8.0], [4.5, 11.0], [8.5, 11.0]]"


def weights(seed: int, *shape: int) -> npt.NDArray[np.float32]:
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32)


def recogniser(
    path: Path,
    *,
    batch: int | str = "n",
    layout: str = "NCHW",
    width: int = 14,
    height: int = 16,
    dimension: int = 16,
    factor: float = 1.0,
) -> npt.NDArray[np.float32]:
    """Writes a graph that multiplies the flattened picture by a matrix; returns the matrix."""
    pytest.importorskip("onnx")
    from likeness.inference.conversion.graph import GraphWriter

    graph = GraphWriter("tiny", "a matrix")
    shape = [3, height, width] if layout == "NCHW" else [height, width, 3]
    graph.input("picture", [batch, *shape])
    matrix = weights(1, 3 * height * width, dimension) * np.float32(factor)
    flat = graph.node("Flatten", ["picture"], axis=1)
    graph.node("MatMul", [flat, graph.constant("matrix", matrix)], name="features")
    graph.output("features", [batch, dimension])
    graph.save(path)
    return matrix


def detector(
    path: Path,
    kinds: dict[str, int],
    *,
    strides: tuple[int, ...] = (8, 16, 32),
    anchors: int = 1,
    size: tuple[int, int] | None = None,
    squeeze: bool = False,
) -> None:
    """Writes a graph with one output per kind and stride: [1, rows, k], or [rows, k] with `squeeze`.

    `kinds` maps a name to its values per anchor; `size` is (height, width), free if None.
    """
    pytest.importorskip("onnx")
    from likeness.inference.conversion.graph import GraphWriter

    graph = GraphWriter("tiny", "strided convolutions")
    graph.input("picture", [1 if squeeze else "n", 3, *(size or ("height", "width"))])
    for kind, width in kinds.items():
        for stride in strides:
            name = f"{kind}_{stride}"
            kernel = graph.constant(
                f"{name}.kernel", weights(stride + width, anchors * width, 3, stride, stride)
            )
            cells = graph.node("Conv", ["picture", kernel], strides=[stride, stride], auto_pad="SAME_UPPER")
            rows = graph.node("Transpose", [cells], perm=[0, 2, 3, 1])
            shape = np.array([-1, width] if squeeze else [0, -1, width], np.int64)
            graph.node("Reshape", [rows, graph.constant(f"{name}.shape", shape)], name=name)
            graph.output(name, ["rows", width] if squeeze else ["n", "rows", width])
    graph.save(path)


def open_model(path: Path) -> OnnxModel:
    return OnnxModel(path, sha256=file_sha256(path))


def recogniser_toml(
    path: Path | None = None, *, name: str = "tiny", changes: dict[str, str] | None = None, sha256: str = ""
) -> str:
    """A manifest for `recogniser`; `changes` maps a line's key to another value, or to nothing to drop it."""
    digest = sha256 or (file_sha256(path) if path else "0" * 64)
    lines = f"""\
schema = 1
id = "{name}"
version = "1"
kind = "recogniser"
family = "arcface"
licence = "CC0-1.0"
source = "made up"
[[files]]
name = "tiny.onnx"
path = "{path or "tiny.onnx"}"
sha256 = "{digest}"
[input]
width = 14
height = 16
layout = "NCHW"
colour = "RGB"
mean = 127.5
std = 128.0
batch = "dynamic"
[embedding]
template_space = "{name}/1"
output = "features"
dimension = 16
normalise = true
mirror = false
metric = "cosine"
[landmarks]
template = {TEMPLATE}
""".splitlines()
    for key, value in (changes or {}).items():
        at = next(index for index, line in enumerate(lines) if line.startswith(f"{key} ="))
        lines[at] = f"{key} = {value}" if value else ""
    return "\n".join(lines)


def recogniser_manifest(path: Path, **changes: str) -> FaceManifest:
    return parse_manifest(recogniser_toml(path, changes=changes), path.with_suffix(".toml"), FaceManifest)

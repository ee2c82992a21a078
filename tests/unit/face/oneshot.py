"""Small ONNX graphs that answer, for any picture, with the outputs of a detector that sees known faces."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from likeness.face.detect import Detector
from likeness.face.detectors import load_detector
from likeness.inference.models.catalogue import Catalogue
from likeness.inference.models.manifest import FaceManifest

STRIDES = (8, 16, 32)
Floats = NDArray[np.float32]


def _floats(values: Sequence[float]) -> Floats:
    return np.array(values, np.float32)


@dataclass(frozen=True, eq=False)
class Known:
    """A face in pixels of the graph's input: corners of its box, landmarks [5, 2], score, stride that sees it."""

    box: tuple[float, float, float, float]
    landmarks: Floats
    score: float
    stride: int


def known(x: float, y: float, side: float, score: float, stride: int) -> Known:
    marks = np.array([[0.3, 0.4], [0.7, 0.38], [0.5, 0.6], [0.33, 0.8], [0.66, 0.82]], np.float32)
    return Known((x, y, x + side, y + 1.2 * side), marks * side + _floats([x, y]), score, stride)


def encode(
    family: str, faces: Sequence[Known], width: int, height: int, anchors: int = 1, *, logits: bool = False
) -> dict[str, Floats]:
    """The outputs by name, each [rows, k]; every face is also seen, less surely, by the cell to the right."""
    outputs: dict[str, Floats] = {}
    for stride in STRIDES:
        across = width // stride
        rows = across * (height // stride) * anchors
        kinds = (
            {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
            if family == "yunet"
            else {"score": 1, "bbox": 4, "kps": 10}
        )
        arrays = {kind: np.zeros((rows, count), np.float32) for kind, count in kinds.items()}
        for face in faces:
            if face.stride != stride:
                continue
            x0, y0, x1, y1 = face.box
            column, row = int((x0 + x1) / 2 / stride), int((y0 + y1) / 2 / stride)
            for step, share in ((0, 1.0), (1, 0.8)):
                corner = _floats([(column + step) * stride, row * stride])
                at = (row * across + column + step) * anchors + anchors - 1
                arrays["kps"][at] = ((face.landmarks - corner) / stride).reshape(-1)
                if family == "yunet":
                    centre = _floats([(x0 + x1) / 2, (y0 + y1) / 2])
                    arrays["bbox"][at, :2] = (centre - corner) / stride
                    arrays["bbox"][at, 2:] = np.log(_floats([x1 - x0, y1 - y0]) / stride)
                    arrays["cls"][at] = arrays["obj"][at] = face.score * share
                else:
                    arrays["bbox"][at] = _floats(
                        [corner[0] - x0, corner[1] - y0, x1 - corner[0], y1 - corner[1]]
                    )
                    arrays["bbox"][at] /= stride
                    arrays["score"][at] = face.score * share
        for kind in ("score", "cls", "obj"):
            if logits and kind in arrays:
                odds = np.clip(arrays[kind], 1e-6, 1 - 1e-6)
                arrays[kind] = np.log(odds / (1 - odds))
        outputs |= {f"{kind}_{stride}": value for kind, value in arrays.items()}
    return outputs


def as_maps(outputs: dict[str, Floats], width: int, height: int, anchors: int) -> dict[str, Floats]:
    """The same outputs as maps of channels, [1, anchors * k, h, w]."""
    maps = {}
    for name, value in outputs.items():
        stride = int(name.rsplit("_", 1)[1])
        rows, columns = height // stride, width // stride
        maps[name] = value.reshape(rows, columns, -1).transpose(2, 0, 1)[None]
    return maps


def save(path: Path, outputs: dict[str, Any], width: int | str, height: int | str) -> str:
    """Writes the graph; returns its SHA-256."""
    nodes, infos = [], []
    for name, value in outputs.items():
        nodes.append(helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value)))
        infos.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * value.ndim))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, height, width])
    graph = helper.make_graph(nodes, "known-faces", [image], infos)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return hashlib.sha256(path.read_bytes()).hexdigest()


def detector(
    folder: Path, family: str, outputs: dict[str, Floats], fixed: tuple[int, int] | None, extra: str = ""
) -> Detector:
    """A detector of that family whose graph has these outputs; `fixed` is (width, height) of its input."""
    width, height = fixed or ("w", "h")
    digest = save(folder / "known.onnx", outputs, width, height)
    size = f"width = {width}\nheight = {height}" if fixed else "multiple_of = 32"
    (folder / "known.toml").write_text(
        f"""
schema = 1
id = "known"
version = "1"
kind = "detector"
family = "{family}"
licence = "none"
source = "test"
[[files]]
name = "known.onnx"
path = "known.onnx"
sha256 = "{digest}"
[input]
{size}
colour = "RGB"
mean = 127.5
std = 128.0
batch = 1
[detection]
score_threshold = 0.5
{extra}
""",
        "utf-8",
    )
    catalogue = Catalogue([folder], folder)
    return load_detector(catalogue, catalogue.get("known", FaceManifest))

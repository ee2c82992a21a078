"""Whether an ONNX file takes weights from other files, which its digest says nothing of.

onnxruntime looks for such files next to the graph, or in the working directory for a graph that is given as bytes.
So the protocol buffer is walked before it sees it, by the field numbers of onnx.proto (https://onnx.ai, IR version
3 and later): only messages that lead to tensors are entered, and nothing is copied.
"""

from __future__ import annotations

from collections.abc import Mapping

from likeness.domain import wire
from likeness.domain.errors import Precondition

_MESSAGES: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""Message to those of its fields that lead to tensors."""

_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
"""Fields of a tensor; either says that its data lies elsewhere."""

_MAX_DEPTH = 64
"""Graphs within graphs; onnxruntime takes fewer."""


def takes_external_data(model: bytes) -> bool:
    """Whether any tensor of the graph, of its subgraphs or functions lies in another file.

    Raises:
        Precondition: the bytes are not a protocol buffer.
    """
    try:
        return _external(memoryview(model), "model", 0)
    except ValueError as error:
        raise Precondition("it is not an ONNX file", reason="MODEL_UNREADABLE") from error


def _external(message: memoryview, kind: str, depth: int) -> bool:
    if depth > _MAX_DEPTH:
        raise ValueError("graphs within graphs without end")
    inner = _MESSAGES[kind]
    for number, value in wire.fields(message):
        if kind == "tensor":
            if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value):
                return True
        elif number in inner and isinstance(value, memoryview) and _external(value, inner[number], depth + 1):
            return True
    return False

"""Writes an ONNX file whose bytes depend on the weights and the graph alone.

The published digest of a converted model is only useful if everyone who converts gets the same bytes. So the
operator set, IR version and producer are fixed here, node names are counted, tensors are stored as raw
little-endian data, and the protobuf is serialised deterministically.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from likeness.domain.errors import Precondition
from likeness.inference.models.digest import file_sha256

OPSET = 17
"""ONNX operator set of converted graphs: the first with everything used here, read by onnxruntime >= 1.12."""
IR_VERSION = 8
"""ONNX file format version that belongs to operator set 17."""
PRODUCER = "likeness"

Dimension = int | str


class GraphWriter:
    """Builds one ONNX graph node by node and serialises it reproducibly.

    Args:
        name: the graph's name, stored in the file.
        description: one line that says what the graph computes, stored in the file.

    Raises:
        Precondition: the `onnx` package is not installed.
    """

    def __init__(self, name: str, description: str) -> None:
        try:
            import onnx  # noqa: PLC0415  needed to convert, not to serve
        except ImportError as error:
            raise Precondition(
                "Converting a model needs the onnx package; run: pip install onnx",
                reason="ONNX_PACKAGE_MISSING",
            ) from error
        self._onnx = onnx
        self._name = name
        self._description = description
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._names: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def input(self, name: str, shape: Sequence[Dimension]) -> str:
        """Declares a float32 input; a named dimension is free."""
        self._inputs.append(self._float_value(name, shape))
        return name

    def output(self, name: str, shape: Sequence[Dimension]) -> str:
        """Declares an existing value as a float32 output; a named dimension is free."""
        self._outputs.append(self._float_value(name, shape))
        return name

    def constant(self, name: str, values: npt.NDArray[Any]) -> str:
        """Stores an array in the file, once: equal arrays share the name of the first."""
        little_endian = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
        content = (values.dtype.str, values.shape, little_endian.tobytes())
        if content in self._names:
            return self._names[content]
        if name in self._constants:
            raise ValueError(f"constant {name} is stored already, with another value")
        element = self._onnx.helper.np_dtype_to_tensor_dtype(values.dtype)
        self._constants[name] = self._onnx.helper.make_tensor(
            name, element, values.shape, content[2], raw=True
        )
        self._names[content] = name
        return name

    def node(
        self, operator: str, inputs: Sequence[str], *, name: str | None = None, **attributes: Any
    ) -> str:
        """Appends a node with one output and returns the name of that output."""
        output = name or f"{operator.lower()}_{len(self._nodes)}"
        node = self._onnx.helper.make_node(operator, list(inputs), [output], name=output, **attributes)
        self._nodes.append(node)
        return output

    def save(self, path: Path) -> str:
        """Checks the graph, writes it and returns the file's SHA-256.

        Raises:
            onnx.checker.ValidationError: the graph is malformed, which is a defect of the conversion.
        """
        graph = self._onnx.helper.make_graph(
            self._nodes,
            self._name,
            self._inputs,
            self._outputs,
            initializer=list(self._constants.values()),
            doc_string=self._description,
        )
        model = self._onnx.ModelProto()
        model.ir_version = IR_VERSION
        model.producer_name = PRODUCER
        model.opset_import.add(domain="", version=OPSET)
        model.graph.CopyFrom(graph)
        self._onnx.checker.check_model(model, full_check=True)
        path.write_bytes(model.SerializeToString(deterministic=True))
        return file_sha256(path)

    def _float_value(self, name: str, shape: Sequence[Dimension]) -> Any:
        return self._onnx.helper.make_tensor_value_info(name, self._onnx.TensorProto.FLOAT, list(shape))

"""Turns the layers of dlib's face recognition ResNet into an ONNX graph, plain, measured or quantised.

The architecture follows dlib's examples/dnn_face_recognition_ex.cpp and is read off the file's own layers: a
stem, blocks of two 3x3 convolutions parallel to the identity or its 2x2 average, the mean over all pixels and a
matrix without bias. Each affine layer is folded into the convolution before it (in float64), which halves the
nodes and leaves the values within 1e-6 of dlib's own.

The graph ends in one of two heads, since onnxruntime computes every output of a graph, whichever are asked for.
`embedding` is dlib's own. For `embedding_limited` the sums that the last blocks pass on are clipped at the largest
value that ordinary portraits produce: in unusual pictures a few channels run far beyond it, drown the others and
make strangers similar. The idea is that of Sun et al., "ReAct: Out-of-distribution Detection With Rectified
Activations", NeurIPS 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from likeness.domain.errors import Corrupt
from likeness.inference.conversion.dlib_format import Layer, Network
from likeness.inference.conversion.graph import GraphWriter
from likeness.inference.conversion.quantise import Quantiser, Range

FloatArray = npt.NDArray[np.float32]

INPUT, OUTPUT, LIMITED_OUTPUT = "input", "embedding", "embedding_limited"
_TRUNK_BLOCKS = 11
"""Blocks that both heads share. The eleventh widens the sum to 256 channels, where the runaway channels are."""


@dataclass(frozen=True)
class _Value:
    """A value in the graph with the size that it has there, so that unlike branches can be padded to one size.

    `like` names the value that this one is a mere selection from (by pooling or padding), if it is one.
    """

    name: str
    channels: int
    height: int
    width: int
    like: str = ""


class ResNetWriter:
    """Walks dlib's layers from input to output and appends the matching ONNX nodes to `graph`.

    Raises:
        Corrupt: the layers are not those of the expected network.
    """

    def __init__(self, network: Network, description: str) -> None:
        self.graph = GraphWriter("dlib-resnet29", description)
        self._network = network
        self._layers = network.layers
        self._at = 0

    def write(self, limits: Mapping[str, Range] | None = None) -> None:
        """Appends the whole network, with the head `embedding_limited` if limits are given and else `embedding`."""
        height, width = self._network.height, self._network.width
        self.graph.input(INPUT, ["n", 3, height, width])
        value = self._settle(_Value(INPUT, 3, height, width))
        value = self._settle(self._relu("stem", self._convolution("stem.conv", value)))
        value = self._settle(replace(self._pool("stem.pool", "max_pool_2", value), like=value.name))
        for count in range(1, _TRUNK_BLOCKS + 1):
            value = self._block(f"block{count:02d}", value)
        if limits is None:
            self._head("", value, {})
        else:
            self._head("limited.", self._limited(value, limits), limits)

    def _settle(self, value: _Value) -> _Value:
        """Called on every value that a quantised graph keeps in eight bits; here the value itself."""
        return value

    def _convolution_inputs(
        self, name: str, value: _Value, kernel: FloatArray, bias: FloatArray
    ) -> list[str]:
        """Stores the weights of a convolution and returns the names of its three inputs."""
        stored = [self.graph.constant(f"{name}.kernel", kernel), self.graph.constant(f"{name}.bias", bias)]
        return [value.name, *stored]

    def _head(self, prefix: str, value: _Value, limits: Mapping[str, Range]) -> None:
        count = _TRUNK_BLOCKS
        while self._upcoming == "con_4":
            count += 1
            value = self._block(f"{prefix}block{count:02d}", value)
            if self._upcoming == "con_4":
                value = self._limited(value, limits)
        self._pop("avg_pool_2")
        layer = self._pop("fc_2")
        if self._at != len(self._layers):
            raise Corrupt(f"The dlib network goes on with {self._upcoming} after its last layer")
        matrix = layer.parameters.reshape(layer.settings["inputs"], layer.settings["outputs"])
        flat = self.graph.node("Flatten", [self.graph.node("GlobalAveragePool", [value.name])], axis=1)
        output = LIMITED_OUTPUT if prefix else OUTPUT
        self.graph.node("MatMul", [flat, self.graph.constant(f"{prefix}dense.kernel", matrix)], name=output)
        self.graph.output(output, ["n", layer.settings["outputs"]])

    def _limited(self, value: _Value, limits: Mapping[str, Range]) -> _Value:
        """The value clipped at the limit measured for it; the same value where there are no limits."""
        if not limits:
            return value
        _, high = limits[value.name.removeprefix("limited.")]
        limit = self.graph.constant(f"{value.name}.limit", np.array(high, np.float32))
        name = self.graph.node("Min", [value.name, limit], name=f"{value.name}.clipped")
        return replace(value, name=name)

    def _block(self, name: str, value: _Value) -> _Value:
        middle = self._settle(self._relu(f"{name}.middle", self._convolution(f"{name}.conv1", value)))
        branch = self._settle(self._convolution(f"{name}.conv2", middle))
        skip = value
        if self._upcoming == "avg_pool_2":
            skip = self._settle(self._pool(f"{name}.skip", "avg_pool_2", value))
        return self._settle(self._relu(name, self._add(f"{name}.sum", branch, skip)))

    @property
    def _upcoming(self) -> str:
        return self._layers[self._at].name if self._at < len(self._layers) else "the end"

    def _pop(self, name: str) -> Layer:
        if self._upcoming != name:
            raise Corrupt(
                f"The dlib network is not the expected ResNet-29: {self._upcoming} where {name} belongs",
                reason="WEIGHTS_CORRUPT",
            )
        self._at += 1
        return self._layers[self._at - 1]

    def _convolution(self, name: str, value: _Value) -> _Value:
        settings = (layer := self._pop("con_4")).settings
        filters, rows, columns = settings["filters"], settings["rows"], settings["columns"]
        kernel = layer.parameters[:-filters].astype(np.float64)
        kernel = kernel.reshape(filters, value.channels, rows, columns)
        gain, shift = np.split(self._pop("affine_").parameters.astype(np.float64), 2)
        bias = layer.parameters[-filters:] * gain + shift
        kernel *= gain[:, None, None, None]
        inputs = self._convolution_inputs(name, value, kernel.astype(np.float32), bias.astype(np.float32))
        return self._windowed("Conv", inputs, name, value, layer, channels=filters)

    def _pool(self, name: str, layer_name: str, value: _Value) -> _Value:
        operator = {"max_pool_2": "MaxPool", "avg_pool_2": "AveragePool"}[layer_name]
        return self._windowed(operator, [value.name], name, value, self._pop(layer_name), value.channels)

    def _windowed(
        self, operator: str, inputs: list[str], name: str, value: _Value, layer: Layer, channels: int
    ) -> _Value:
        settings = layer.settings
        window = [settings["rows"], settings["columns"]]
        strides = [settings["stride_y"], settings["stride_x"]]
        padding = [settings["padding_y"], settings["padding_x"]]
        height, width = (
            (size + 2 * pad - extent) // stride + 1
            for size, pad, extent, stride in zip(
                (value.height, value.width), padding, window, strides, strict=True
            )
        )
        self.graph.node(operator, inputs, name=name, kernel_shape=window, strides=strides, pads=padding * 2)
        return _Value(name, channels, height, width)

    def _relu(self, name: str, value: _Value) -> _Value:
        self._pop("relu_")
        self.graph.node("Relu", [value.name], name=name)
        return _Value(name, value.channels, value.height, value.width)

    def _add(self, name: str, one: _Value, other: _Value) -> _Value:
        """Sum of two values, each first padded with zeros at the end of its channels, rows and columns."""
        self._pop("add_prev_")
        sizes = [(value.channels, value.height, value.width) for value in (one, other)]
        target = _Value(name, *(max(pair) for pair in zip(*sizes, strict=True)))
        self.graph.node("Add", [self._padded(value, target).name for value in (one, other)], name=name)
        return target

    def _padded(self, value: _Value, target: _Value) -> _Value:
        missing = [
            0, target.channels - value.channels, target.height - value.height, target.width - value.width
        ]  # fmt: skip
        if not any(missing):
            return value
        pads = self.graph.constant(f"{value.name}.pads", np.array([0] * 4 + missing, np.int64))
        name = self.graph.node("Pad", [value.name, pads], name=f"{value.name}.padded", mode="constant")
        return self._settle(replace(target, name=name, like=value.name))


class MeasuringWriter(ResNetWriter):
    """Writes the plain graph with every settled value as an output too, so that its range can be measured."""

    def __init__(self, network: Network, description: str) -> None:
        super().__init__(network, description)
        self.settled: list[str] = []

    def _settle(self, value: _Value) -> _Value:
        if value.name != INPUT and not value.like:
            self.graph.output(value.name, ["n", value.channels, value.height, value.width])
            self.settled.append(value.name)
        return value


class QuantisedWriter(ResNetWriter):
    """Writes the graph with eight-bit activations and seven-bit weights, given the range of each value."""

    def __init__(self, network: Network, description: str, ranges: Mapping[str, Range]) -> None:
        super().__init__(network, description)
        self._quantiser = Quantiser(self.graph)
        self._ranges = ranges

    def _settle(self, value: _Value) -> _Value:
        if value.like:
            return replace(value, name=self._quantiser.activation_like(value.name, value.like), like="")
        if value.name not in self._ranges:
            raise Corrupt(f"No range was measured for {value.name}; measure the ranges again")
        return replace(value, name=self._quantiser.activation(value.name, self._ranges[value.name]))

    def _convolution_inputs(
        self, name: str, value: _Value, kernel: FloatArray, bias: FloatArray
    ) -> list[str]:
        return [value.name, *self._quantiser.weights(name, value.name, kernel, bias)]

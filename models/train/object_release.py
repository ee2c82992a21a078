"""Makes an exported object embedder ready to ship: eight-bit convolutions, and the manifest of the file.

    python object_release.py --onnx object-embed.onnx --images images.zip --into models --version 2.0.0

Convolutions and what lies between them work on eight bits, which takes 0.4 of the time on processors with VNNI;
pooling and the last layer stay in float32. The ranges of activations are measured on a sample of `--images`.
Printed: the cosines between vectors before and after, of other photographs. Needs onnx.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (  # type: ignore[import-untyped]
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process  # type: ignore[import-untyped]

from benchmarks.common.photographs import drawn
from likeness.inference.models.digest import file_sha256
from likeness.inference.models.runtime import OnnxModel
from likeness.object import views

NAME = "object-embed"
MANIFEST = """\
# Our own network for the shortlist of objects.
schema = 1
id = "object-embed"
version = "{version}"
kind = "picture-embedder"
title = "A square of a photograph to 256 numbers by which copies of it are found"
licence = "Apache-2.0"
source = "trained by models/train/object_embedding.py; see README.md"

[[files]]
name = "object-embed.onnx"
path = "object-embed.onnx"
sha256 = "{sha256}"

[input]
side = {side}  # pixels of the square that a picture is squeezed into

[embedding]
template_space = "likeness-object/3"
output = "embedding"
dimension = 256
"""

MEASURED, CHECKED = 160, 160
"""Photographs that ranges are measured on, and others that the result is checked with."""

Floats = NDArray[np.float32]


class Squares(CalibrationDataReader):
    """Hands the squares of photographs to the quantiser, one by one."""

    def __init__(self, squares: Sequence[Floats]) -> None:
        self._left: Iterator[dict[str, Floats]] = iter([{"pixels": one} for one in squares])

    def get_next(self) -> dict[str, Floats] | None:
        """The next square float32 [1, 3, side, side], None behind the last."""
        return next(self._left, None)


def squares(archive: Path, side: int, seed: int) -> list[Floats]:
    """Squares float32 [1, 3, side, side] of photographs drawn from a zip, every second one of a part of them."""
    out = []
    for n, image in enumerate(drawn(archive, MEASURED + CHECKED, seed)):
        made = views.of_reference(image, side)
        one = made[n % len(made)] if n % 2 else made[0]
        out.append(np.ascontiguousarray(one.transpose(2, 0, 1)[None], np.float32))
    return out


def quantised(source: Path, measured: Sequence[Floats], target: Path) -> None:
    """Write the graph with eight-bit convolutions; weights have seven, see `inference.conversion.quantise`."""
    with tempfile.TemporaryDirectory() as scratch:
        prepared = Path(scratch) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared), str(target), Squares(measured), quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Add", "Relu", "MaxPool"], per_channel=True, reduce_range=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
    onnx.checker.check_model(onnx.load(target))


def embeddings(path: Path, inputs: Sequence[Floats]) -> Floats:
    """Vectors float32 [n, d] by one thread."""
    model = OnnxModel(path, sha256=file_sha256(path))
    return np.concatenate([model.run(one)["embedding"] for one in inputs])


def main() -> None:
    """Read the command line, quantise, check and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--onnx", type=Path, required=True, help="the graph that object_embedding.py wrote")
    parser.add_argument("--images", type=Path, required=True, help="zip of photographs")
    parser.add_argument("--into", type=Path, required=True, help="the folder of models")
    parser.add_argument("--version", required=True)
    parser.add_argument("--side", type=int, default=160, help="pixels, USED of object_embedding.py")
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args()
    target = options.into / NAME / f"{NAME}.onnx"
    made = squares(options.images, options.side, options.seed)
    quantised(options.onnx, made[:MEASURED], target)
    others = made[MEASURED:]
    cosines = (embeddings(options.onnx, others) * embeddings(target, others)).sum(1)
    print(f"cosine with float32: least {cosines.min():.4f}, median {np.median(cosines):.4f}")
    digest = file_sha256(target)
    (target.parent / "manifest.toml").write_text(
        MANIFEST.format(version=options.version, sha256=digest, side=options.side), encoding="utf-8"
    )
    print(f"{target}: {target.stat().st_size:,} bytes, SHA-256 {digest}")


if __name__ == "__main__":
    main()

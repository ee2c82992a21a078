"""Puts an exported object embedder beside its manifest: copies the file and writes digest and description.

python object_release.py --onnx object-embed.onnx --into models --version 1.0.0
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import onnx

NAME = "object-embed"
TITLE = "A photograph to 256 numbers by which copies of it are found"
SOURCE = "trained by models/train/object_embedding.py; see object-embed.md"
SPACE = "likeness-object/1"


FEWEST = 1024
"""Elements of a weight under which it stays as it is."""


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with each large float32 weight stored as float16, and a Cast to float32 behind it."""
    casts = []
    for weight in model.graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < FEWEST:
            continue
        name = weight.name
        weight.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model


def main() -> None:
    """Read the command line, copy and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--onnx", type=Path, required=True, help="the graph that object_embedding.py wrote")
    parser.add_argument("--into", type=Path, required=True, help="the folder of models")
    parser.add_argument("--version", required=True)
    parser.add_argument("--side", type=int, default=160, help="pixels, USED of object_embedding.py")
    options = parser.parse_args()
    target = options.into / f"{NAME}.onnx"
    onnx.save(halved(onnx.load(options.onnx)), target)
    manifest = {
        "schema": 1,
        "id": NAME,
        "version": options.version,
        "title": TITLE,
        "licence": "Apache-2.0",
        "source": SOURCE,
        "file": target.name,
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
        "side": options.side,
        "output": "embedding",
        "dimension": 256,
        "template_space": SPACE,
    }
    (options.into / f"{NAME}.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    print(f"{target}: {target.stat().st_size:,} bytes, SHA-256 {manifest['sha256']}")


if __name__ == "__main__":
    main()

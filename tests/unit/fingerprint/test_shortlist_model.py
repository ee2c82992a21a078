import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from likeness.domain.errors import Corrupt, InvalidInput, LikenessError, NotFound
from likeness.fingerprint.shortlist import MODEL
from likeness.inference.models.catalogue import shipped_manifest
from likeness.inference.models.manifest import SetManifest, read_manifest
from likeness.inference.models.sets import SetEmbedder

MANIFEST = """
schema = 1
id = "sums"
version = "1.0.0"
kind = "set-embedder"
licence = "Apache-2.0"
source = "made here"
[[files]]
name = "sums.onnx"
path = {path}
sha256 = {sha256}
[input]
columns = {columns}
min_count = 16
max_count = {max_count}
[embedding]
template_space = "sums/1"
output = "vector"
dimension = 3
"""


def write_model(folder: Path, node: str = "Identity", **changes: Any) -> Path:
    """A graph that sums the rows of a set, and its manifest."""
    graph = helper.make_graph(
        [
            helper.make_node("ReduceSum", ["rows", "axis"], ["sum"], keepdims=0),
            helper.make_node(node, ["sum"], ["vector"]),
        ],
        "sums",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["batch", "count", 3])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["batch", 3])],
        [helper.make_tensor("axis", TensorProto.INT64, [1], [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    data = model.SerializeToString()
    (folder / "sums.onnx").write_bytes(data)
    keys = {
        "path": "sums.onnx",
        "sha256": hashlib.sha256(data).hexdigest(),
        "max_count": 32,
        "columns": 3,
        **changes,
    }
    path = folder / "manifest.toml"
    path.write_text(MANIFEST.format_map({key: json.dumps(value) for key, value in keys.items()}))
    return path


def test_rows_are_summed_and_the_sum_brought_to_length_one(tmp_path: Path) -> None:
    embedder = SetEmbedder(write_model(tmp_path))
    rows = np.array([[2.0, 0.0], [0.0, 2.0]], np.float32)
    assert embedder.embed([rows])[0] == pytest.approx(np.full(3, 1 / np.sqrt(3)), abs=1e-6)
    assert embedder.space == "sums/1"


def test_sets_of_unlike_sizes_keep_their_places(tmp_path: Path) -> None:
    embedder = SetEmbedder(write_model(tmp_path))
    sets = [np.full((n, 2), n, np.float32) for n in [32, 1, 17, 0, 16] * 200]
    for one, vector in zip(sets, embedder.embed(sets), strict=True):
        n = len(one)
        wanted = np.array([n * n, n * n, n], np.float32)
        assert vector == pytest.approx(wanted / max(float(np.linalg.norm(wanted)), 1.0), abs=1e-5)


def test_too_many_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="at most 32 rows of 2"):
        SetEmbedder(write_model(tmp_path)).embed([np.zeros((33, 2), np.float32)])


def test_values_that_are_no_vectors_are_noticed(tmp_path: Path) -> None:
    embedder = SetEmbedder(write_model(tmp_path, node="Log"))
    with pytest.raises(LikenessError, match="no vectors of 3"):
        embedder.embed([np.full((2, 2), -1, np.float32)])


def test_a_damaged_file_is_not_loaded(tmp_path: Path) -> None:
    path = write_model(tmp_path)
    with (tmp_path / "sums.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(Corrupt, match="SHA-256"):
        SetEmbedder(path)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"sha256": "0"}, "sha256"),
        ({"path": "../sums.onnx"}, "its own name as path"),
        ({"path": ""}, "its own name as path"),
        ({"max_count": 33}, "max_count"),
    ],
)
def test_a_broken_manifest_is_refused_by_key(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        SetEmbedder(write_model(tmp_path, **changes))


def test_a_manifest_that_does_not_fit_the_graph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="4 columns"):
        SetEmbedder(write_model(tmp_path, columns=4))


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"none\.toml"):
        SetEmbedder(tmp_path / "none.toml")


def test_the_shipped_model_is_what_its_manifest_says() -> None:
    manifest = read_manifest(shipped_manifest(MODEL), SetManifest)
    file = manifest.file()
    data = (manifest.origin.parent / file.path).read_bytes()
    assert hashlib.sha256(data).hexdigest() == file.sha256
    assert len(data) < 5_000_000
    onnx.checker.check_model(onnx.load_model_from_string(data))

"""OnnxModel: digests before parsing, batches of any size, errors that name the file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from likeness.domain.errors import Corrupt, InvalidInput, NotFound, Precondition
from likeness.inference.models import runtime
from likeness.inference.models.digest import file_sha256
from likeness.inference.models.runtime import OnnxModel
from tests.unit.inference.graphs import detector, open_model, recogniser, weights


def _pictures(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return weights(5, count, 3, 16, 14)


@pytest.mark.parametrize("batch", ["n", 1, 4])
@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_any_number_of_pictures_gives_the_same_rows(tmp_path: Path, batch: int | str, count: int) -> None:
    path = tmp_path / "tiny.onnx"
    matrix = recogniser(path, batch=batch)
    model = open_model(path)
    assert model.batch == (None if batch == "n" else batch)
    pictures = _pictures(count)
    rows = model.run(pictures)["features"]
    assert rows.shape == (count, 16)
    assert np.allclose(rows, pictures.reshape(count, -1) @ matrix, atol=1e-4)


def test_a_changed_byte_is_refused_before_onnxruntime_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tiny.onnx"
    recogniser(path)
    digest = file_sha256(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(runtime, "_open", lambda *_args, **_kw: pytest.fail("the bytes were parsed"))
    with pytest.raises(Corrupt, match=r"tiny\.onnx has SHA-256"):
        OnnxModel(path, sha256=digest)


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="likeness models build"):
        OnnxModel(tmp_path / "none.onnx", sha256="0" * 64)


def test_a_file_over_the_limit_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tiny.onnx"
    recogniser(path)
    monkeypatch.setattr(runtime, "MAX_MODEL_BYTES", 100)
    monkeypatch.setattr(Path, "read_bytes", lambda _self: pytest.fail("the file was read"))
    with pytest.raises(InvalidInput, match="more than the 100"):
        OnnxModel(path, sha256="0" * 64)


def test_bytes_that_are_no_graph_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_bytes(b"this is no protobuf")
    with pytest.raises(Precondition, match=r"cannot load .*text\.onnx"):
        open_model(path)


@pytest.mark.parametrize("shape", [(1, 3, 16, 15), (1, 16, 14, 3), (3, 16, 14), (0, 3, 16, 14)])
def test_a_wrong_shape_names_both_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "tiny.onnx"
    recogniser(path)
    with pytest.raises(InvalidInput, match=r"takes picture \[\?, 3, 16, 14\]"):
        open_model(path).run(np.zeros(shape, np.float32))


def test_only_the_wanted_outputs_come_back_in_the_order_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "det.onnx"
    detector(path, {"a": 1, "b": 4})
    model = open_model(path)
    assert list(model.run(np.zeros((1, 3, 64, 96), np.float32), ["b_8", "a_32"])) == ["b_8", "a_32"]


def test_rows_that_cannot_be_assigned_to_pictures_are_refused(tmp_path: Path) -> None:
    """A graph with a fixed batch of one whose outputs have no batch axis cannot be looped over silently."""
    path = tmp_path / "det.onnx"
    detector(path, {"a": 1}, squeeze=True)
    model = open_model(path)
    assert model.run(np.zeros((1, 3, 64, 64), np.float32))["a_8"].shape == (64, 1)
    with pytest.raises(InvalidInput, match="cannot be assigned to images"):
        model.run(np.zeros((2, 3, 64, 64), np.float32))


def test_several_threads_may_run_one_model(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    matrix = recogniser(path)
    model = open_model(path)
    inputs = [weights(seed, 2, 3, 16, 14) for seed in range(40)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda x: model.run(x)["features"], inputs))
    for x, rows in zip(inputs, results, strict=True):
        assert np.allclose(rows, x.reshape(2, -1) @ matrix, atol=1e-4)


@pytest.mark.parametrize("inside", ["initializer", "constant", "subgraph", "function"])
def test_a_graph_that_takes_weights_from_other_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.bin").write_bytes(bytes(16))
    tensor = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[4])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    taken = helper.make_node("Constant", [], ["w"], value=tensor)
    put = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 4])
    out = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 4])
    branch = helper.make_graph([taken], "branch", [], [helper.make_tensor_value_info("w", 1, [4])])
    nodes = {
        "initializer": [],
        "constant": [taken],
        "subgraph": [helper.make_node("If", ["c"], ["w"], then_branch=branch, else_branch=branch)],
        "function": [helper.make_node("F", [], ["w"], domain="test")],
    }[inside]
    graph = helper.make_graph([*nodes, helper.make_node("Add", ["x", "w"], ["y"])], "g", [put], [out])
    if inside == "initializer":
        graph.initializer.append(tensor)
    model = helper.make_model(graph)
    if inside == "function":
        opset = helper.make_opsetid("", 13)
        model.functions.append(helper.make_function("test", "F", [], ["w"], [taken], [opset]))
    path = tmp_path / "g.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(Precondition, match="from other files") as caught:
        OnnxModel(path, sha256=file_sha256(path))
    assert caught.value.reason == "MODEL_WITH_EXTERNAL_DATA"


def test_a_field_number_that_a_parser_cuts_short_hides_no_external_data(tmp_path: Path) -> None:
    """Numbers have 29 bits, and the parser of onnxruntime drops what is above."""
    hidden = b"\xf0\x80\x80\x80\x10\x01"  # data_location = EXTERNAL, with the number 14 + 2**29
    graph = b"\x2a" + bytes((len(hidden),)) + hidden
    path = tmp_path / "g.onnx"
    path.write_bytes(b"\x3a" + bytes((len(graph),)) + graph)
    with pytest.raises(Precondition, match="not an ONNX file"):
        OnnxModel(path, sha256=file_sha256(path))


@pytest.mark.parametrize("data", [b"\x0f", b"\x3a\xff\xff\xff\x0f", b"\xff" * 11, b"<html>"])
def test_what_is_no_onnx_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "g.onnx"
    path.write_bytes(data)
    with pytest.raises(Precondition, match="not an ONNX file"):
        OnnxModel(path, sha256=file_sha256(path))

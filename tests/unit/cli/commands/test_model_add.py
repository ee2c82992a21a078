from __future__ import annotations

import json
import stat
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner, Result

from likeness.cli.failures import Exit
from likeness.cli.main import app
from likeness.inference.models.manifest import FaceManifest, read_manifest
from likeness.inference.onboarding import isolated


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recogniser of 112 x 112 chips that averages each channel and repeats it to 96 numbers."""
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LIKENESS_MODELS", str(tmp_path / "none"))
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Concat", ["flat"] * 32, ["embedding"], axis=1),
    ]
    picture = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, 112, 112])
    vector = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 96])
    model = helper.make_model(
        helper.make_graph(nodes, "test", [picture], [vector]), opset_imports=[helper.make_opsetid("", 13)]
    )
    model.ir_version = 8
    path = tmp_path / "Some Model v2.onnx"
    onnx.save(model, path)
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["models", "add", *map(str, words)])


def test_a_draft_is_written_and_says_what_it_could_not_tell(graph: Path, tmp_path: Path) -> None:
    result = run(graph)
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert (report["kind"], report["family"], report["id"]) == ("recogniser", "arcface", "some-model-v2")
    assert any("licence" in question for question in report["open_questions"])
    assert any("normalisation" in question for question in report["open_questions"])
    assert (
        stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
    )  # what is stored there later is the owner's
    manifest = read_manifest(tmp_path / "home" / "models" / "some-model-v2" / "manifest.toml", FaceManifest)
    assert manifest.recogniser.dimension == 96
    assert "likeness calibrate" in result.stderr
    listed = CliRunner().invoke(app, ["models", "list"])
    assert json.loads(listed.stdout)["state"] == "ready"


def test_a_dry_run_writes_nothing(graph: Path, tmp_path: Path) -> None:
    result = run(graph, "--dry-run", "--table")
    assert result.exit_code == 0
    assert 'id = "some-model-v2"' in result.stdout
    assert not (tmp_path / "home").exists()


def test_a_draft_is_not_overwritten_unasked(graph: Path) -> None:
    assert run(graph).exit_code == 0
    again = run(graph)
    assert again.exit_code == Exit.REFUSED
    assert "--force" in again.stderr
    assert run(graph, "--force").exit_code == 0
    assert run(graph, "--id", "another").exit_code == 0


@pytest.mark.parametrize("content", [None, b"not a graph"])
def test_what_is_no_graph_is_refused_in_one_line(graph: Path, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken.onnx"
    if content is not None:
        path.write_bytes(content)
    result = run(path)
    assert result.exit_code in (Exit.USAGE, Exit.REFUSED)
    assert "broken.onnx" in result.stderr
    assert "Traceback" not in result.output


def test_a_graph_with_an_endless_loop_is_given_up(
    graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated, "SILENCE", 10.0)
    path = tmp_path / "endless.onnx"
    onnx.save(looping(), path)
    result = run(path)
    assert result.exit_code == Exit.REFUSED
    assert "endless.onnx made no progress for 10 s" in result.stderr
    assert not (tmp_path / "home").exists()


def looping() -> onnx.ModelProto:
    """A recogniser whose embedding goes through a loop that never ends."""
    number = helper.make_tensor_value_info("number", TensorProto.INT64, [])
    go_on = helper.make_tensor_value_info("go_on", TensorProto.BOOL, [])
    going = helper.make_tensor_value_info("going", TensorProto.BOOL, [])
    before = helper.make_tensor_value_info("before", TensorProto.FLOAT, None)
    after = helper.make_tensor_value_info("after", TensorProto.FLOAT, None)
    body = helper.make_graph(
        [helper.make_node("Identity", ["go_on"], ["going"]), helper.make_node("Abs", ["before"], ["after"])],
        "body",
        [number, go_on, before],
        [going, after],
    )
    true = helper.make_tensor("true", TensorProto.BOOL, [], [True])
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Concat", ["flat"] * 32, ["wide"], axis=1),
        helper.make_node("Loop", ["", "true", "wide"], ["embedding"], body=body),
    ]
    picture = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, 112, 112])
    vector = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 96])
    model = helper.make_model(
        helper.make_graph(nodes, "test", [picture], [vector], [true]),
        opset_imports=[helper.make_opsetid("", 13)],
    )
    model.ir_version = 8
    return model

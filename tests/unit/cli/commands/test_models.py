from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from likeness.cli.failures import Exit
from likeness.cli.main import app
from tests.unit.inference.graphs import recogniser

MANIFEST = """
schema = 1
id = "test-recogniser"
version = "2"
kind = "recogniser"
family = "arcface"
licence = "MIT"
source = "made for this test"
[[files]]
name = "test.onnx"
sha256 = "{digest}"
[build]
script = "make.py"
requirement = "numpy"
[input]
width = 10
height = 10
colour = "RGB"
mean = 0
std = 1
[embedding]
template_space = "test/1"
dimension = 4
[landmarks]
template = [[1, 1], [8, 1], [5, 5], [2, 8], [8, 8]]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shipped-manifests folder with one model whose build script writes a small real graph."""
    models = tmp_path / "models"
    models.mkdir()
    recogniser(tmp_path / "graph.onnx", width=10, height=10, dimension=4)
    content = (tmp_path / "graph.onnx").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    (models / "test.toml").write_text(MANIFEST.format(digest=digest))
    (models / "make.py").write_text(
        f"def build(target):\n    (target / 'test.onnx').write_bytes({content!r})\n"
    )
    monkeypatch.setenv("LIKENESS_MODELS", str(models))
    monkeypatch.setenv("LIKENESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))
    return models


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["models", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_a_model_is_built_once_and_then_verified(folder: Path, tmp_path: Path) -> None:
    assert run("verify")[0] == Exit.PARTLY
    code, _, stderr = run("build")
    assert code == 0
    assert "built and verified in" in stderr
    assert (tmp_path / "cache" / "test-recogniser" / "test.onnx").read_bytes() == (
        tmp_path / "graph.onnx"
    ).read_bytes()
    (folder / "make.py").write_text("def build(target):\n    raise AssertionError('built again')\n")
    assert run("build")[0] == 0
    assert run("verify")[0] == 0


def test_a_damaged_model_has_its_own_exit_code(folder: Path, tmp_path: Path) -> None:
    run("build")
    (tmp_path / "cache" / "test-recogniser" / "test.onnx").write_bytes(b"damaged")
    code, out, _ = run("verify")
    assert code == Exit.DAMAGED
    assert json.loads(out) == {"test-recogniser": "damaged"}


def test_the_list_tells_licence_space_and_state(folder: Path) -> None:
    code, out, _ = run("list")
    assert code == 0
    shown = json.loads(out)
    assert (shown["id"], shown["licence"], shown["template_space"]) == ("test-recogniser", "MIT", "test/1")
    assert shown["state"] == "missing"
    assert "test-recogniser@2" in run("list", "--table")[1]


def test_an_unknown_model_and_a_broken_manifest_are_reported_in_one_line(folder: Path) -> None:
    code, _, stderr = run("build", "no-such-model")
    assert code == Exit.REFUSED
    assert "known: test-recogniser" in stderr
    (folder / "broken.toml").write_text("schema = ")
    code, _, stderr = run("list")
    assert code == Exit.PARTLY
    assert "broken.toml is not TOML" in stderr

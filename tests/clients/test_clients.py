"""Clients of other languages: code is generated for them, and one of them calls the service."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from google.api import field_behavior_pb2  # type: ignore[import-untyped]

from likeness.app.development_certificates import Made, make
from likeness.v1 import matching_pb2 as matching
from tests.certificates import ServerFiles, authority
from tests.contract.conftest import Served, modality, prepare
from tests.waiting import PATIENCE

__all__ = ["modality", "prepare"]  # the fixtures of a server

PROTOS = Path(__file__).parents[2] / "protos"
GOOGLE = Path(field_behavior_pb2.__file__).parents[2]
NODE = Path(__file__).parent / "node"
PACKAGES = NODE / "node_modules"


def tool(name: str, *folders: Path) -> str:
    """The path of a program, or skips the test."""
    for folder in (*folders, None):
        found = shutil.which(name, path=None if folder is None else str(folder))
        if found is not None:
            return found
    pytest.skip(f"{name} is not here")


@pytest.fixture
def laid(tmp_path: Path) -> Path:
    """Our protos and those of Google's that they import, in one folder."""
    folder = tmp_path / "protos"
    folder.mkdir()
    for source in (PROTOS / "likeness", PROTOS / "buf.yaml", GOOGLE / "google"):
        (folder / source.name).symlink_to(source)
    return folder


@pytest.mark.parametrize("language", ["java", "csharp", "go", "typescript"])
def test_code_is_generated_for_other_languages(language: str, laid: Path, tmp_path: Path) -> None:
    program = {"go": "protoc-gen-go", "typescript": "protoc-gen-es"}.get(language, "protoc")
    found = tool(program, PACKAGES / ".bin")
    plugin: dict[str, object] = {"out": "."}
    if program == "protoc":
        plugin |= {"protoc_builtin": language, "protoc_path": found}
    else:
        plugin |= {"local": found} | ({"opt": "target=ts"} if language == "typescript" else {})
    out = tmp_path / "out"
    template = json.dumps({"version": "v2", "plugins": [plugin]})
    buf = tool("buf", Path(sys.executable).parent)
    generate = [buf, "generate", str(laid), "--path", str(laid / "likeness"), "--template", template]
    subprocess.run([*generate, "--output", str(out)], check=True, timeout=PATIENCE)
    made = {file.name: file for file in out.rglob("*") if file.is_file()}
    if language == "java":
        assert {f"{name}.java" for name in matching.DESCRIPTOR.message_types_by_name} <= set(made)
        assert "ObjectProto.java" in made
        assert "Object.java" not in made  # java.lang.Object
        assert "package likeness.v1;" in made["ObjectProto.java"].read_text()
    else:
        name, package = {
            "csharp": ("Matching.cs", "namespace Likeness.V1 {"),
            "go": ("matching.pb.go", "package likenessv1"),
            "typescript": ("matching_pb.ts", "export type EnrollRequest "),
        }[language]
        assert package in made[name].read_text()


@pytest.mark.parametrize("over_tls", [False, True], ids=["plaintext", "mutual TLS"])
def test_a_node_client_enrols_searches_and_reads_why_it_was_refused(
    prepare: Callable[..., Served], tmp_path: Path, over_tls: bool
) -> None:
    node = tool("node")
    if not PACKAGES.is_dir():
        pytest.skip("the packages of the Node client are not here; `make test` fetches them where npm is")
    certificates = tmp_path / "certs"
    settings: dict[str, object] = {}
    if over_tls:
        make(certificates, authority(), Made("aa", "NCB-NODE"), hosts=["127.0.0.1"])
        settings = ServerFiles(tmp_path / "tls").write().settings
    served = prepare(**settings).start()
    given = [served.address, str(certificates) if over_tls else "", str(PROTOS), str(GOOGLE)]
    run = [node, str(NODE / "client.js"), *given]
    done = subprocess.run(run, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["modality"] == "MODALITY_FACE"
    assert seen["insecure"] is not over_tls
    assert seen["found"] == seen["enrolled"]
    assert seen["fmr"] > 0
    info = {"domain": "likeness", "reason": "REQUIRED_FIELD_MISSING"}
    assert seen["refused"]["code"] == 3
    assert seen["refused"]["ErrorInfo"] == info
    assert seen["refused"]["BadRequest"]["fieldViolations"][0]["field"] == "request_id"
    enrolled, rejected = seen["items"]
    assert enrolled == "enrolled"
    assert (rejected["code"], rejected["ErrorInfo"]["reason"]) == (3, "NOT_A_VECTOR")

"""The generated protocol code is what the pinned generator makes of protos/ today."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECKED_IN = ROOT / "services" / "likeness" / "v1"
GENERATOR = ROOT / ".venv-protos" / ".tools"


def test_the_checked_in_code_is_what_the_generator_makes(tmp_path: Path) -> None:
    if not GENERATOR.exists() or shutil.which("make") is None:
        pytest.skip("the pinned generator is not here; `make protos` sets it up")
    subprocess.run(["make", "--silent", "protos", f"PROTOS_OUT={tmp_path}"], cwd=ROOT, check=True)
    made = {p.name: p.read_bytes() for p in (tmp_path / "likeness" / "v1").iterdir()}
    checked_in = {p.name: p.read_bytes() for p in CHECKED_IN.glob("*_pb2*")}
    assert sorted(made) == sorted(checked_in), "run `make protos` and remove what no longer belongs"
    changed = [name for name in made if made[name] != checked_in[name]]
    assert not changed, f"{changed} differ from protos/; run `make protos`"


def test_the_checked_in_code_covers_every_proto_file() -> None:
    sources = {p.stem for p in (ROOT / "protos" / "likeness" / "v1").glob("*.proto")}
    generated = {p.name.removesuffix("_pb2.py") for p in CHECKED_IN.glob("*_pb2.py")}
    assert generated == sources

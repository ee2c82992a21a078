from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from likeness.cli.failures import Exit
from likeness.cli.main import app


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path))
    monkeypatch.delenv("LIKENESS_CONFIG", raising=False)


def test_each_setting_is_shown_with_its_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "likeness.toml"
    file.write_text('[grpc]\naddress = "127.0.0.1:6000"\nqueue = 7\n')
    monkeypatch.setenv("LIKENESS_GRPC_QUEUE", "8")
    result = CliRunner().invoke(app, ["config", "show", "--set", "grpc.workers=3"])
    shown = json.loads(result.stdout)
    assert result.exit_code == 0
    assert shown["grpc"]["address"] == {"value": "127.0.0.1:6000", "origin": str(file)}
    assert shown["grpc"]["queue"] == {"value": 8, "origin": "LIKENESS_GRPC_QUEUE"}
    assert shown["grpc"]["workers"] == {"value": 3, "origin": "command line"}
    assert shown["grpc"]["max_k"]["origin"] == "default"


def test_only_what_was_changed() -> None:
    result = CliRunner().invoke(app, ["config", "show", "--changed", "--set", "grpc.workers=3"])
    shown = json.loads(result.stdout)
    assert (sorted(shown), sorted(shown["grpc"])) == (["grpc", "home"], ["workers"])


def test_a_table_names_value_and_origin() -> None:
    result = CliRunner().invoke(app, ["config", "show", "--table", "--set", "grpc.workers=3"])
    line = next(line for line in result.stdout.splitlines() if line.startswith("  workers"))
    assert "3" in line
    assert "command" in line
    lines = [line.split()[0] for line in result.stdout.splitlines() if line.strip()]
    assert lines.index("[grpc]") < lines.index("workers") < lines.index("[metrics]") < lines.index("[face]")


@pytest.mark.parametrize(
    ("argument", "message"),
    [("adress=x:1", "did you mean 'grpc.address'"), ("grpc.queue=-1", "grpc.queue"), ("queue", "NAME=VALUE")],
)
def test_what_is_not_a_setting_is_refused_in_one_line(argument: str, message: str) -> None:
    result = CliRunner().invoke(app, ["config", "show", "--set", argument])
    assert result.exit_code == Exit.USAGE
    assert result.stdout == ""
    assert message in result.stderr
    assert result.stderr.count("\n") == 1

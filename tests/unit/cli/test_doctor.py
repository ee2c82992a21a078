from __future__ import annotations

import json
import os
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from likeness.cli.failures import Exit
from likeness.cli.main import app
from likeness.rpc.compose import key_file
from likeness.rpc.settings import load
from likeness.store.opening import DATABASE
from likeness.store.store import Store


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def home(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("LIKENESS_HOME", str(home))
    monkeypatch.setenv("LIKENESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LIKENESS_ADDRESS", f"127.0.0.1:{port}")
    return home


def examined(*words: str) -> tuple[int, dict[str, dict[str, Any]]]:
    result = CliRunner().invoke(app, ["doctor", *words])
    checks = json.loads(result.stdout)["checks"]
    return result.exit_code, {check["name"]: check for check in checks}


def make_store(home: Path) -> Path:
    key = key_file(load(environment={}, overrides={"home": home}))
    Store.open(home, key_file=key).close()
    return key


def test_models_that_are_not_built_are_red_with_the_command_that_builds_them(home: Path) -> None:
    code, checks = examined()
    assert code == Exit.PARTLY
    assert checks["recogniser"]["state"] == "red"
    assert "likeness models build" in checks["recogniser"]["fix"]
    assert checks["store"]["state"] == checks["key ring"]["state"] == checks["home"]["state"] == "green"


def test_nothing_is_written(home: Path) -> None:
    examined()
    assert not home.exists()


def test_a_broken_setting_is_red_and_named(home: Path) -> None:
    code, checks = examined("--set", "queue=-1")
    assert code == Exit.PARTLY
    assert "queue" in checks["settings"]["found"]


def test_a_sound_store_is_green_also_while_it_is_open(home: Path) -> None:
    key = make_store(home)
    with Store.open(home, key_file=key):
        _, checks = examined("--full")
    assert checks["store"]["state"] == "green"
    assert "every link" in checks["store"]["found"]


def test_a_key_ring_open_to_others_is_red_with_the_fix(home: Path) -> None:
    make_store(home).chmod(0o644)
    _, checks = examined()
    assert checks["key ring"]["state"] == "red"
    assert "chmod 600" in checks["key ring"]["found"]


def test_a_lost_key_ring_is_red(home: Path) -> None:
    make_store(home).unlink()
    _, checks = examined()
    assert checks["key ring"]["state"] == checks["store"]["state"] == "red"


def test_a_damaged_store_is_red(home: Path) -> None:
    make_store(home)
    with sqlite3.connect(home / DATABASE) as connection:
        connection.execute("DROP TABLE audit")
    connection.close()
    _, checks = examined()
    assert checks["store"]["state"] == "red"


@pytest.fixture
def stranger(port: int) -> Iterator[None]:
    """Something that listens on the port and is no gRPC server."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        yield


def test_a_port_held_by_something_else_is_red(
    home: Path, stranger: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("likeness.cli.doctor.HEALTH_TIMEOUT", 0.3)
    _, checks = examined()
    assert checks["server"]["state"] == "red"
    assert "ss -ltnp" in checks["server"]["fix"]


def test_a_table_has_the_fix_under_its_line(home: Path) -> None:
    result = CliRunner().invoke(app, ["doctor", "--table"], env={"COLUMNS": "140"})
    assert "fix: run: likeness models build face-embed-dlib-resnet29" in result.stdout
    assert "must be mended" in result.stdout


def test_a_home_that_a_process_holds_is_not_called_stopped(home: Path) -> None:
    with Store.open(home, key_file=make_store(home)):
        _, checks = examined()
    assert checks["server"]["state"] == "yellow"
    assert f"process {os.getpid()} holds {home}" in checks["server"]["found"]
    assert "--set address" in checks["server"]["fix"]
    _, checks = examined()
    assert checks["server"]["state"] == "green"
    assert "not running" in checks["server"]["found"]

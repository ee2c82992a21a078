from __future__ import annotations

import json
import os
import socket
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from likeness.app.composition import key_file
from likeness.app.settings import load
from likeness.cli.failures import Exit
from likeness.cli.main import app
from likeness.engine.opening import open_engine
from likeness.store.places import SNAPSHOTS, WITNESS
from likeness.store.sqlite.files import DATABASE
from likeness.store.store import Store
from likeness.store.vault import KeyRing
from likeness.testing.vectors import VectorModality
from tests.certificates import ServerFiles, authority
from tests.support import Bench
from tests.unit.access.hub import DIRECTORY
from tests.unit.store.writes import act

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


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
    monkeypatch.setenv("LIKENESS_GRPC_ADDRESS", f"127.0.0.1:{port}")
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
    code, checks = examined("--set", "grpc.queue=-1")
    assert code == Exit.PARTLY
    assert "queue" in checks["settings"]["found"]


def test_a_sound_store_is_green_also_while_it_is_open(home: Path) -> None:
    key = make_store(home)
    with Store.open(home, key_file=key):
        _, checks = examined("--full")
    assert checks["store"]["state"] == "green"
    assert "every link" in checks["store"]["found"]


@pytest.fixture
def hub(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> ServerFiles:
    """The files of a service with mutual TLS and a directory."""
    files = ServerFiles(tmp_path / "tls").write()
    (tmp_path / "directory.toml").write_text(DIRECTORY)
    (tmp_path / "federated").mkdir()
    values = {
        **files.settings,
        "tls.federated": tmp_path / "federated",
        "access.directory": tmp_path / "directory.toml",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"LIKENESS_{name.upper().replace('.', '_')}", str(value))
    return files


def test_a_service_with_mutual_tls_and_a_directory_is_green(hub: ServerFiles) -> None:
    _, checks = examined()
    assert checks["tls"]["state"] == checks["access"]["state"] == "green", checks
    assert "3 entities" in checks["access"]["found"]


def test_without_tls_an_address_that_others_reach_is_red(home: Path, port: int) -> None:
    _, checks = examined("--set", f"grpc.address=0.0.0.0:{port}")
    assert checks["tls"]["state"] == "red"
    _, checks = examined()
    assert checks["tls"]["state"] == "green"


def test_a_certificate_that_is_not_to_be_served_is_red(hub: ServerFiles) -> None:
    hub.write(authority().server(["localhost"], begins=LONG_AGO, ends=LONG_AGO + timedelta(days=1)))
    _, checks = examined()
    assert (checks["tls"]["state"], "expired" in checks["tls"]["found"]) == ("red", True)
    key = (hub.folder / "tls.key").read_bytes()
    hub.write()
    (hub.folder / "tls.key").write_bytes(key)
    _, checks = examined()
    assert "is not the key of" in checks["tls"]["found"]
    _, checks = examined("--set", "tls.trust_domain=")
    assert "tls.trust_domain" in checks["tls"]["found"]


def test_a_federated_folder_that_is_not_there_is_red(hub: ServerFiles, tmp_path: Path) -> None:
    (tmp_path / "federated").rmdir()
    _, checks = examined()
    assert checks["tls"]["state"] == "red"
    assert "tls.federated" in checks["tls"]["found"]


def test_a_directory_or_policies_that_are_not_taken_are_red(hub: ServerFiles, tmp_path: Path) -> None:
    (tmp_path / "own.cedar").write_text("permit (")
    _, checks = examined("--set", f"access.policies={tmp_path / 'own.cedar'}")
    assert checks["access"]["state"] == "red"
    assert "own.cedar" in checks["access"]["found"]
    (tmp_path / "directory.toml").write_text(DIRECTORY + "[entities.X]\nbureau = 'NOWHERE'\n")
    code, checks = examined()
    assert (code, checks["access"]["state"]) == (Exit.PARTLY, "red")
    assert "NOWHERE" in checks["access"]["found"]


def test_a_key_ring_open_to_others_is_red_with_the_fix(home: Path) -> None:
    make_store(home).chmod(0o644)
    _, checks = examined()
    assert checks["key ring"]["state"] == "red"
    assert "chmod 600" in checks["key ring"]["found"]


def test_a_lost_key_ring_is_red(home: Path) -> None:
    make_store(home).unlink()
    _, checks = examined()
    assert checks["key ring"]["state"] == checks["store"]["state"] == "red"


def test_one_cause_is_counted_once_and_carries_its_own_remedy(home: Path) -> None:
    make_store(home).unlink()
    KeyRing.create(key_file(load(environment={}, overrides={"home": home})))
    _, checks = examined()
    found = {checks[name]["found"] for name in ("key ring", "store", "history")}
    assert len(found) == 1, "another store's ring is no damage of the data"
    assert "put back the key file" in found.pop()
    assert checks["store"]["fix"] == ""
    shown = CliRunner().invoke(app, ["doctor", "--table"], env={"COLUMNS": "140"}).stdout
    assert "as for key ring" in shown
    assert "see what was found" not in shown


def test_a_metrics_port_held_by_something_else_is_red(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        _, checks = examined("--set", f"metrics.address={address}")
    assert checks["metrics page"]["state"] == "red"
    assert address in checks["metrics page"]["found"]
    _, checks = examined("--set", "metrics.address=")
    assert checks["metrics page"]["state"] == "green"


def test_a_damaged_store_is_red(home: Path) -> None:
    make_store(home)
    with sqlite3.connect(home / DATABASE) as connection:
        connection.execute("DROP TABLE audit")
    connection.close()
    _, checks = examined()
    assert checks["store"]["state"] == "red"


def test_a_database_without_its_witness_is_red_with_the_remedy(home: Path) -> None:
    with Store.open(home, key_file=make_store(home)) as store:
        _, checks = examined()
        assert checks["history"]["state"] == "green"
        store.audit(act(1))
    (home / WITNESS).unlink()
    code, checks = examined()
    assert (code, checks["history"]["state"]) == (Exit.PARTLY, "red")
    assert str(home / WITNESS) in checks["history"]["found"]
    assert "audit.expected_head" in checks["history"]["found"]


def test_an_entry_that_is_expected_and_not_there_is_red(home: Path) -> None:
    make_store(home)
    expected = f"audit.expected_head=1:{'ab' * 32}"
    _, checks = examined("--set", expected)
    assert checks["history"]["state"] == "red"
    _, checks = examined("--set", "audit.expected_head=1")
    assert checks["settings"]["state"] == "red"
    assert "POSITION:DIGEST" in checks["settings"]["found"]


def test_a_snapshot_ahead_of_the_log_is_red_also_of_a_modality_that_is_not_served(home: Path) -> None:
    key = make_store(home)
    newer = home.parent / "newer"
    with Store.open(newer, key_file=key) as store:
        running = open_engine(VectorModality(), store, home / SNAPSHOTS / "face")
        Bench(VectorModality(), store).enrol("1,0")
        running.close()
    _, checks = examined("--set", "modalities=object")
    assert checks["history"]["state"] == "red"
    assert "face index is at log position 1, but the log ends at 0" in checks["history"]["found"]


def test_a_home_without_its_database_is_red_where_something_was_made_from_it(home: Path) -> None:
    make_store(home)
    (home / DATABASE).unlink()
    (home / WITNESS).unlink()
    _, checks = examined()
    assert checks["key ring"]["state"] == "yellow"
    assert checks["store"]["state"] == "green"
    (home / SNAPSHOTS / "face").mkdir(parents=True)
    (home / SNAPSHOTS / "face" / "1.snapshot").write_bytes(b"x")
    _, checks = examined()
    assert checks["store"]["state"] == checks["history"]["state"] == "red"
    assert "1.snapshot" in checks["store"]["found"]


def test_files_open_to_others_are_named_with_the_fix(home: Path) -> None:
    make_store(home)
    _, checks = examined()
    assert checks["privacy"]["state"] == "green"
    home.chmod(0o755)
    _, checks = examined()
    assert checks["privacy"]["state"] == "yellow"
    (home / DATABASE).chmod(0o644)
    code, checks = examined()
    assert (code, checks["privacy"]["state"]) == (Exit.PARTLY, "red")
    assert f"{home / DATABASE} (mode 0644) and " in checks["privacy"]["found"]
    assert checks["privacy"]["fix"].startswith(f"run: chmod go= {home} {home / DATABASE}")


def test_a_reserve_that_is_not_held_is_red_with_the_room_that_it_needs(home: Path) -> None:
    _, checks = examined()
    assert checks["reserve"]["state"] == "green"
    key = make_store(home)
    wanted = "audit.reserve_bytes=1048576"
    code, checks = examined("--set", wanted)
    assert (code, checks["reserve"]["state"]) == (Exit.PARTLY, "red")
    assert "have 2 MiB free" in checks["reserve"]["fix"]
    Store.open(home, key_file=key, reserve_bytes=1 << 20).close()
    _, checks = examined("--set", wanted)
    assert (checks["reserve"]["state"], checks["privacy"]["state"]) == ("green", "green")
    _, checks = examined("--set", "audit.reserve_bytes=0")
    assert checks["reserve"]["state"] == "yellow"


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
    monkeypatch.setattr("likeness.cli.commands.doctor.HEALTH_TIMEOUT", 0.3)
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
    assert "--set grpc.address" in checks["server"]["fix"]
    _, checks = examined()
    assert checks["server"]["state"] == "green"
    assert "not running" in checks["server"]["found"]

"""The process: signals, exit codes, and the one line that says where it serves."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from likeness.client import LikenessClient
from tests.contract.conftest import PATIENCE

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys
from pathlib import Path
from likeness.rpc.server import serve
from likeness.rpc.settings import load
from tests.contract.conftest import HoldingModality, build

settings = load(overrides={"home": Path(sys.argv[1]), "address": sys.argv[2], "metrics_address": "127.0.0.1:0"})
modality = HoldingModality()
inside = modality.inside.release
modality.inside.release = lambda: (inside(), print("inside", flush=True))
serve(settings, lambda given: build(modality, given.home), announce=lambda at: print(at, flush=True))
"""

Launch = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    running: list[subprocess.Popen[str]] = []

    def start(address: str = "127.0.0.1:0") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "home"), address],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(("services", "."))},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def address_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_ends_with_0_and_the_log_tells_the_story(
    launch: Launch, number: signal.Signals
) -> None:
    process = launch()
    address = address_of(process)
    with LikenessClient(address, entity="NCB-AA", timeout=PATIENCE) as client:
        client.wait_ready(PATIENCE)
        client.face.enroll(b"1,0,0")
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    told = [json.loads(line) for line in errors.splitlines()]
    assert [line["event"] for line in told] == ["serving", "rpc", "draining", "stopped"]
    assert told[0]["address"] == address
    assert told[1]["method"] == "Enroll"


def test_a_second_signal_ends_the_process_at_once(launch: Launch) -> None:
    process = launch()
    with LikenessClient(address_of(process), entity="NCB-AA", retries=0) as client:
        held = client.face.enroll_many([])
        assert list(held) == []
        call = client._channel.unary_unary("/likeness.v1.FaceService/Analyze")
        request = client.face._requests.analyze(b"1,0,0|hold")
        call.future(request.SerializeToString(), timeout=PATIENCE)
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "inside"
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        while json.loads(process.stderr.readline())["event"] != "draining":
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 128 + signal.SIGINT


def test_a_taken_port_ends_the_start_with_the_remedy(launch: Launch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = launch(f"127.0.0.1:{taken.getsockname()[1]}")
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert "set address to another one" in errors

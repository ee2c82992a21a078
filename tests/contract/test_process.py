"""The process: signals, exit codes, and the one line that says where it serves."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from likeness.client import LikenessClient
from likeness.rpc.server import is_no_departure
from likeness.v1 import face_pb2_grpc
from likeness.v1 import matching_pb2 as matching
from tests.contract.http2 import GOAWAY, PING, PREFACE, SETTINGS, frame
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys
from pathlib import Path
from likeness.rpc.server import serve
from likeness.app.settings import load
from tests.contract.conftest import HoldingModality, composing

home, address = sys.argv[1:3]
settings = load(overrides={"home": Path(home), "grpc.address": address, "metrics.address": "127.0.0.1:0",
    "health.address": "127.0.0.1:0"})
modality = HoldingModality()
inside = modality.inside.release
modality.inside.release = lambda: (inside(), print("inside", flush=True))
serve(settings, composing(modality), announce=lambda at: print(at, flush=True))
"""

Launch = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    running: list[subprocess.Popen[str]] = []
    watchdogs: list[threading.Timer] = []  # so that a read from a process that hangs comes to an end

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
        watchdogs.append(threading.Timer(2 * PATIENCE, process.kill))
        watchdogs[-1].start()
        return process

    yield start
    for watchdog in watchdogs:
        watchdog.cancel()
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
    events = [json.loads(line) for line in errors.splitlines()]
    assert [line["event"] for line in events] == ["serving", "rpc", "draining", "stopped"]
    assert events[0]["address"] == address
    assert events[1]["method"] == "Enroll"


def test_a_second_signal_ends_the_process_at_once(launch: Launch) -> None:
    process = launch()
    request = matching.AnalyzeRequest()
    request.caller.entity = "NCB-AA"
    request.sample.data = b"1,0,0|hold"
    with grpc.insecure_channel(address_of(process)) as channel:
        call = face_pb2_grpc.FaceServiceStub(channel).Analyze.future(request, timeout=PATIENCE)
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "inside"
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert [json.loads(process.stderr.readline())["event"] for _ in range(2)] == ["serving", "draining"]
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 128 + signal.SIGINT
        assert call.exception() is not None


def test_a_taken_port_ends_the_start_with_its_reason_and_the_remedy(launch: Launch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = launch(f"127.0.0.1:{taken.getsockname()[1]}")
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    (line,) = (json.loads(line) for line in errors.splitlines() if line.startswith("{"))
    assert (line["event"], line["reason"]) == ("not served", "ADDRESS_UNAVAILABLE")
    assert "set address to another one" in errors


def test_what_a_peer_says_as_it_leaves_forges_no_line_of_the_log(launch: Launch) -> None:
    process = launch()
    host, _, port = address_of(process).rpartition(":")
    forged = b'\n{"level": "INFO", "event": "forged"}\n'
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as peer:
        peer.sendall(PREFACE + frame(SETTINGS, b""))
        peer.sendall(frame(GOAWAY, bytes(4) + (2).to_bytes(4, "big") + forged))
        peer.sendall(frame(PING, b"12345678"))
        seen = b""
        while b"12345678" not in seen and (more := peer.recv(65536)):
            seen += more
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=PATIENCE)
    events = [json.loads(line) for line in errors.splitlines()]
    assert {line["event"] for line in events} <= {
        "serving",
        "libraries wrote to standard error",
        "draining",
        "stopped",
    }


@pytest.mark.parametrize(
    ("message", "is_written"),
    [
        ("ExecuteBatchError raised in core by servicer method [/likeness.v1.FaceService/Search]", False),
        ("Unexpected [LookupError] raised by servicer method [/likeness.v1.FaceService/Search]", True),
    ],
)
def test_a_client_that_left_is_no_error_of_the_log(message: str, is_written: bool) -> None:
    record = logging.makeLogRecord({"name": "grpc._cython.cygrpc", "msg": message, "levelno": logging.ERROR})
    assert is_no_departure(record) is is_written

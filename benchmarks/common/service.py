"""Starts the real service in a process of its own, on a home folder that is thrown away."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from likeness.domain.quotas import LIMITS

START_SECONDS = 120.0
STOP_SECONDS = 60.0


def free_address() -> str:
    """A loopback address that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@contextmanager
def running_service(
    *,
    home: Path | None = None,
    settings: Mapping[str, str] | None = None,
    start_seconds: float = START_SECONDS,
) -> Iterator[str]:
    """Yield the address of a service that is SERVING; it is stopped at the end.

    Args:
        home: its data folder; None makes one that is removed afterwards.
        settings: further LIKENESS_* variables.
        start_seconds: how long it may take until it serves.
    """
    with tempfile.TemporaryDirectory(prefix="likeness-bench-") as scratch:
        address, health = free_address(), free_address()
        environment = {
            **os.environ,
            "LIKENESS_HOME": str(home or Path(scratch) / "home"),
            "LIKENESS_GRPC_ADDRESS": address,
            "LIKENESS_METRICS_ADDRESS": "",
            "LIKENESS_HEALTH_ADDRESS": health,
            "LIKENESS_LOG_LEVEL": "WARNING",
            **{f"LIKENESS_QUOTAS_{name.upper()}": "1000000000" for name in LIMITS},
            **(settings or {}),
        }
        command = [sys.executable, "-m", "likeness.cli", "serve"]
        process = subprocess.Popen(command, env=environment)
        try:
            _wait_until_serving(health, process, start_seconds)
            yield address
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_serving(address: str, process: subprocess.Popen[bytes], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise SystemExit(f"the service ended with exit code {process.returncode} before it served")
            try:
                answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=1.0)
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
            except grpc.RpcError:
                pass
            time.sleep(0.1)
    raise SystemExit(f"the service was not serving within {seconds:.0f} seconds")

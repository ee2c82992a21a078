"""The metrics are exposed under their names, and the labels in force replace those before."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
import threading
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

import likeness
from likeness.domain.errors import Precondition
from likeness.telemetry import build, http, metrics
from likeness.telemetry.http import MetricsPage
from tests.waiting import PATIENCE, eventually


def value(name: str, **labels: str) -> float | None:
    return metrics.REGISTRY.get_sample_value(name, labels)


def test_a_new_generation_withdraws_the_one_before() -> None:
    metrics.generation("test-a", "g1", "flat")
    metrics.generation("test-b", "g9", "flat")
    metrics.generation("test-a", "g2", "hnsw")
    name = "likeness_index_generation_info"
    assert value(name, modality="test-a", generation="g1", kind="flat") is None
    assert value(name, modality="test-a", generation="g2", kind="hnsw") == 1
    assert value(name, modality="test-b", generation="g9", kind="flat") == 1


def test_a_commit_records_its_entries_and_its_time() -> None:
    metrics.committed("test-chain", 3, 0.2)
    assert value("likeness_commit_group_size_sum", chain="test-chain") == 3
    assert value("likeness_commit_duration_seconds_bucket", chain="test-chain", le="0.1") == 0
    assert value("likeness_commit_duration_seconds_bucket", chain="test-chain", le="0.25") == 1


def test_recall_is_reported_with_its_sample() -> None:
    metrics.index_recall("test-a", 0.995, 256)
    assert value("likeness_index_recall_ratio", modality="test-a") == 0.995
    assert value("likeness_index_recall_sample_vectors", modality="test-a") == 256


@pytest.mark.parametrize(
    "name",
    [
        "likeness_store_free_bytes",
        "likeness_audit_position",
        "likeness_log_position",
        "likeness_memory_limit_bytes",
    ],
)
def test_a_gauge_is_not_on_the_page_before_its_value_is_known(name: str) -> None:
    """0 would read as a full disk, and as a log that was rolled back."""
    look = (
        "import sys; from likeness.telemetry import metrics;"
        f"sys.exit(metrics.REGISTRY.get_sample_value({name!r}) is not None)"
    )
    assert subprocess.run([sys.executable, "-c", look], check=False, timeout=PATIENCE).returncode == 0


def test_what_runs_is_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(build.REVISION_VARIABLE, "0123abc")
    build.report_build()
    labels = {"version": likeness.__version__, "revision": "0123abc", "python": platform.python_version()}
    assert value("likeness_build_info", **labels) == 1


@pytest.mark.parametrize(
    ("noted", "revision"),
    [
        ('{"url": "https://example.org/x.git", "vcs_info": {"vcs": "git", "commit_id": "4e5f"}}', "4e5f"),
        ('{"url": "file:///src", "dir_info": {"editable": true}}', ""),
        (None, ""),
        ("rubbish", ""),
    ],
)
def test_a_revision_is_what_the_installer_noted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, noted: str | None, revision: str
) -> None:
    folder = tmp_path / "likeness_search-0.1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: likeness-search\nVersion: 0.1.0\n")
    if noted is not None:
        (folder / "direct_url.json").write_text(noted)
    monkeypatch.delenv(build.REVISION_VARIABLE, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert build.revision() == revision


def test_every_metric_has_the_prefix_and_a_help_text() -> None:
    metrics.stage("test-a", "decode").observe(0.001)
    ours = [m for m in metrics.REGISTRY.collect() if not m.name.startswith(("process_", "python_"))]
    assert len(ours) > 20
    assert [m.name for m in ours if not m.name.startswith("likeness_") or not m.documentation] == []


def test_the_page_shows_the_metrics_and_a_taken_port_is_a_clear_error() -> None:
    metrics.log_position(41)
    page = MetricsPage("127.0.0.1", 0)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{page.port}/metrics") as answer:
            assert b"likeness_log_position 41.0" in answer.read()
        with pytest.raises(Precondition, match=r"metrics\.address"):
            MetricsPage("127.0.0.1", page.port)
    finally:
        page.close()


def test_the_process_that_assists_is_measured_while_there_is_one() -> None:
    memory, cpu = (
        f"likeness_assistant_process_{of}" for of in ("resident_memory_bytes", "cpu_seconds_total")
    )
    record = metrics.assistant("face")
    record(os.getpid())
    assert value("likeness_assistant_up", modality="face") == 1
    assert (value(memory) or 0) > 1e6
    assert (value(cpu) or 0) > 0
    record(None)
    assert (value("likeness_assistant_up", modality="face"), value(memory), value(cpu)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /metrics HTTP/1.1", "200"),
        ("GET /metrics?name[]=x HTTP/1.1", "200"),
        ("HEAD /metrics HTTP/1.1", "200"),
        ("GET / HTTP/1.1", "404"),
        ("GET /metrics/.. HTTP/1.1", "404"),
        ("GET /etc/passwd HTTP/1.1", "404"),
        ("POST /metrics HTTP/1.1", "501"),
    ],
)
def test_the_metrics_port_answers_the_metrics_and_nothing_else(request_line: str, status: str) -> None:
    page = MetricsPage("127.0.0.1", 0)
    try:
        with socket.create_connection(("127.0.0.1", page.port)) as peer:
            peer.sendall(f"{request_line}\r\nHost: x\r\n\r\n".encode())
            answer = b"".join(iter(lambda: peer.recv(65536), b""))
    finally:
        page.close()
    assert answer.split()[1].decode() == status
    has_metrics = b"likeness_rpc_in_flight" in answer
    assert has_metrics == (status == "200" and request_line.startswith("GET"))


def test_half_requests_hold_few_threads_and_none_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_SECONDS", 0.2)
    before = threading.active_count()
    page = MetricsPage("127.0.0.1", 0)
    peers = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(3 * http.MAX_CONNECTIONS)]
    try:
        for peer in peers:
            peer.settimeout(PATIENCE)
            with suppress(OSError):  # those beyond the limit are closed at once
                peer.sendall(b"GET /metr")
        for peer in peers:
            with suppress(ConnectionResetError):
                assert peer.recv(100) == b""
        eventually(lambda: threading.active_count() <= before + 1)
        monkeypatch.setattr(http, "MAX_SECONDS", PATIENCE)  # a busy machine may take longer to answer
        assert urllib.request.urlopen(f"http://127.0.0.1:{page.port}/metrics").status == 200
    finally:
        for peer in peers:
            peer.close()
        page.close()

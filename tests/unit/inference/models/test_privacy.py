from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_loading_the_runtime_leaves_no_trace_of_usage_data(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    program = "import likeness.inference.models.runtime"
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []

"""The thread plan from made-up control groups."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from likeness.inference.concurrency import threads
from likeness.inference.concurrency.threads import available_cpus, cgroup_quota, plan_threads


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({}, math.inf),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, math.inf),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "rubbish\n"}, math.inf),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 0\n"}, math.inf),
        (
            {
                "proc/self/cgroup": "0::/pods/one\n",
                "sys/fs/cgroup/cpu.max": "max 100000\n",
                "sys/fs/cgroup/pods/cpu.max": "300000 100000\n",
                "sys/fs/cgroup/pods/one/cpu.max": "800000 100000\n",
            },
            3.0,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/one\n2:memory:/one\n",
                "sys/fs/cgroup/cpu,cpuacct/one/cpu.cfs_quota_us": "250000\n",
                "sys/fs/cgroup/cpu,cpuacct/one/cpu.cfs_period_us": "100000\n",
            },
            2.5,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/docker/abc\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            2.0,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            math.inf,
        ),
        ({"proc/self/cgroup": "0::/../../escape\n", "cpu.max": "1 100000"}, math.inf),
    ],
)
def test_the_least_quota_counts(tmp_path: Path, files: dict[str, str], cpus: float) -> None:
    assert cgroup_quota(_write(tmp_path, files)) == cpus


def test_without_a_quota_the_affinity_mask_counts(tmp_path: Path) -> None:
    assert available_cpus(tmp_path) == min(len(os.sched_getaffinity(0)), os.cpu_count() or 1)


@pytest.mark.parametrize(("cpus", "planned"), [(0.5, 1), (1.0, 1), (1.9, 1), (2.0, 2), (7.5, 7)])
def test_one_thread_for_each_whole_cpu(monkeypatch: pytest.MonkeyPatch, cpus: float, planned: int) -> None:
    monkeypatch.setattr(threads, "available_cpus", lambda: cpus)
    assert plan_threads() == plan_threads(0) == planned


def test_a_given_number_of_threads_counts() -> None:
    assert plan_threads(5) == 5

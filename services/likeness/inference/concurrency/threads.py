"""How many threads may compute at once, planned from the CPU time that this process really has.

A container limited to two CPUs on a machine of 64 still sees 64; libraries that size their pools by that number
spend their quota on contention and are then throttled. So the count comes from the control group, the affinity
mask and the machine, whichever is least; every library is set to compute in the thread that calls it.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

from likeness.inference.concurrency.control_groups import groups, read


def plan_threads(wanted: int = 0) -> int:
    """Threads that compute at once in this process: as many as wanted, or of 0 one for each whole CPU available.

    Each computes on one core: parallelism is across requests.
    """
    return max(1, wanted or math.floor(available_cpus()))


def available_cpus(root: Path = Path("/")) -> float:
    """CPUs that this process can keep busy: the least of control group quota, affinity mask and machine.

    Args:
        root: where `proc` and `sys` are looked for.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else math.inf
    return min(cgroup_quota(root), affinity, os.cpu_count() or 1)


def cgroup_quota(root: Path = Path("/")) -> float:
    """CPUs that the control groups (version 2 or 1) of this process allow; infinity where they set no limit.

    Limits are inherited, so every group from the process's own up to the root is read and the least one counts.
    """
    found = groups(root, "cpu")
    limits = [_quota_v2(group.folder) if group.version == 2 else _quota_v1(group.folder) for group in found]
    return min(limits, default=math.inf)


def _quota_v2(folder: Path) -> float:
    match read(folder / "cpu.max").split():
        case [quota, period] if quota.isdigit() and period.isdigit() and int(period) > 0 and int(quota) > 0:
            return int(quota) / int(period)
    return math.inf


def _quota_v1(folder: Path) -> float:
    try:
        quota = int(read(folder / "cpu.cfs_quota_us"))
        period = int(read(folder / "cpu.cfs_period_us"))
    except ValueError:
        return math.inf
    return math.inf if quota <= 0 or period <= 0 else quota / period

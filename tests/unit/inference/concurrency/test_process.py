"""The settings of the process, seen from a fresh one: they cannot be taken back in this one."""

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from tests.waiting import PATIENCE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux schedules and allocates so")

POLICY = "print(os.sched_getscheduler(0))"
THREAD_POLICY = """
seen = []
thread = threading.Thread(target=lambda: seen.append(os.sched_getscheduler(0)))
thread.start(); thread.join(); print(seen[0])
"""
FAULTS = """
def work():
    for _ in range(200):
        [bytearray(2_000_000) for _ in range(3)]  # cleared, so that every page is touched
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
threads = [threading.Thread(target=work) for _ in range(2)]
before = faults()
[t.start() for t in threads]; [t.join() for t in threads]
print(faults() - before)
"""


def answer_of(
    script: str, *, tuned: bool = True, before: str = "", environment: Mapping[str, str] | None = None
) -> int:
    """The number that a script prints in a process that was tuned first, or not."""
    call = (
        "from likeness.inference.concurrency.process import favour_throughput; favour_throughput()"
        if tuned
        else ""
    )
    program = f"import os, resource, threading\n{before}\n{call}\n{script}"
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**inherited, **(environment or {})},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    return int(done.stdout)


def test_threads_do_not_preempt_the_one_that_wakes_them() -> None:
    assert answer_of(POLICY) == answer_of(THREAD_POLICY) == os.SCHED_BATCH


def test_a_policy_that_was_chosen_stays() -> None:
    idle = "os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))"
    assert answer_of(POLICY, before=idle) == os.SCHED_IDLE


def test_a_sandbox_that_forbids_the_calls_is_no_error() -> None:
    forbid = "import errno\ndef no(*_): raise OSError(errno.ENOSYS, 'no')\nos.sched_getscheduler = no"
    assert answer_of("print(7)", before=forbid) == 7


def glibc() -> bool:
    return "CS_GNU_LIBC_VERSION" in os.confstr_names


@pytest.mark.skipif(not glibc(), reason="only the GNU C library has these settings")
def test_freed_memory_is_used_again_instead_of_fetched() -> None:
    # 1200 blocks of 489 pages each: most fault without, and with it only those of the first few.
    assert answer_of(FAULTS, tuned=False) > 100_000
    assert answer_of(FAULTS) < 10_000


@pytest.mark.skipif(not glibc(), reason="only the GNU C library has these settings")
def test_an_allocator_that_was_set_up_stays_so() -> None:
    assert answer_of(FAULTS, environment={"MALLOC_MMAP_THRESHOLD_": "131072"}) > 100_000

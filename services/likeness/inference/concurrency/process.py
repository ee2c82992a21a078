"""Settings of the whole process that suit a service of a few busy threads that share the interpreter's lock.

**Scheduling.** A thread that is woken may preempt the thread that woke it. Here that one mostly holds the
interpreter's lock, which the woken thread then waits for: two switches for nothing. Linux's SCHED_BATCH (sched(7))
spares them, and needs no privilege. It preempts threads of other processes as little: where those keep all
processors busy, a request waits for the end of a time slice, some milliseconds.

**Memory.** The C library gives each thread a heap of its own and hands large blocks back to the kernel as soon as
they are freed, so every photograph's arrays are fetched and cleared page by page again. One heap that keeps what it
has (mallopt(3)) spares that. The price: `RETAINED_BYTES` at its end, and whatever lies under a block still in use,
stay with the process, so it may hold the most it ever needed until it ends.

`benchmarks/serving.py` shows what both are worth.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

RETAINED_BYTES = 256 * 2**20
"""Free memory at the top of the heap that is retained rather than returned."""
LARGEST_ON_HEAP = 32 * 2**20
"""Bytes of the largest block that comes from the heap; the most that the GNU C library allows."""

# From malloc.h of the GNU C library.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def favour_throughput() -> None:
    """Apply both, where the system knows them and whoever started the process has not chosen otherwise.

    Call before any thread is started: threads inherit the scheduling policy of the one that starts them.
    """
    _batch()
    _keep_memory()


def _batch() -> None:
    if not hasattr(os, "SCHED_BATCH"):
        return
    # A sandbox may forbid the calls, and musl does not have them; the service is merely slower.
    with suppress(OSError):
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _keep_memory() -> None:
    chosen = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if chosen or mallopt is None:
        return
    mallopt(_M_ARENA_MAX, 1)
    mallopt(_M_TRIM_THRESHOLD, RETAINED_BYTES)
    mallopt(_M_MMAP_THRESHOLD, LARGEST_ON_HEAP)

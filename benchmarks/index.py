"""Recall, latency, build time and memory of the vector index, compared with plain faiss, hnswlib and usearch.

    python benchmarks/index.py [--quick] [--data FOLDER] [--seed 0] [--json FILE]

Vectors have the structure of embeddings of faces (`common/embeddings.py`), or come from the .npy files in --data.
Every search is one probe on one thread; a probe is answered by every system before the next is asked, so that
what else the machine does falls on all of them equally. Peers with a knob between speed and recall are turned up
until their recall reaches the bar, so latencies compare at equal recall. Graphs take minutes per million vectors
to build, so they run at --peer-size, with our index at that size. `x` is a system's median latency over that of
the kind that our index chooses at the same size: above 1 is slower than ours.

Bar: recall@10 of at least 0.99 at 1,000,000 x 128 and 200,000 x 512, and filtered to 0.1, 1, 10 and 100%.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.common.embeddings import Embeddings, loaded, synthetic
from benchmarks.common.index_peers import EFFORTS, Positions, Search, System, Vectors, graphs, ours, scans
from benchmarks.common.table import Row, parser, print_table, write_json
from likeness.domain.references import Facets, Restrictions
from likeness.index import Columns, Snapshot, Snapshots, VectorIndex, measure_recall
from likeness.index.scan import scan
from likeness.store.vault import KeyRing, KeyUse

K = 10
BAR = 0.99
SHARES = (0.001, 0.01, 0.1, 1.0)
PROBES = 200
WARM = 10
"""Searches of each system before any is timed."""
OWNERS = 196
"""Owners among the facets that the columns are timed with, each with a dozen combinations of other facets."""


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    console = Console(width=max(120, Console().width))
    rows: list[Row] = []
    for title, section in _sections(arguments):
        console.print()
        print_table(title, section, console=console, by_what=True)
        rows += section
    if arguments.json is not None:
        write_json(arguments.json, rows)


def _arguments() -> argparse.Namespace:
    made = parser("Measure the vector index and its peers.")
    made.add_argument("--sizes", nargs="+", default=["1000000x128", "200000x512"], metavar="NxD")
    made.add_argument(
        "--peer-size", type=int, default=100_000, help="vectors of 128 that graphs are built of"
    )
    made.add_argument(
        "--quick", action="store_true", help="50,000 x 128 and 20,000 x 512, to see that it runs"
    )
    arguments = made.parse_args()
    if arguments.quick:
        arguments.sizes, arguments.peer_size = ["50000x128", "20000x512"], 10_000
    return arguments


def _sections(arguments: argparse.Namespace) -> Iterator[tuple[str, list[Row]]]:
    for embeddings in _embeddings(arguments):
        count, dimension = embeddings.stored.shape
        size = f"{count:,} x {dimension}"
        flat, _ = ours(embeddings.stored, flat=True)
        large, index = ours(embeddings.stored, flat=False)
        peers = [build(embeddings.stored) for build in scans()]
        yield f"{size}, {embeddings.source}", _compared(embeddings, [large, flat, *peers])
        del flat, peers
        yield f"{size}, filtered", list(_filtered(embeddings, index, np.random.default_rng(arguments.seed)))
        yield f"{size}, during the search", list(_concurrent(index, size))
        few = embeddings.first(arguments.peer_size * 128 // dimension)
        systems = [ours(few.stored, flat=False)[0], ours(few.stored, flat=True)[0]]
        for build in graphs():
            try:
                systems.append(build(few.stored))
            except ImportError as error:
                print(f"left out, not installed: {error.name}")
        yield f"{len(few.stored):,} x {dimension}, graphs", _compared(few, systems)


def _embeddings(arguments: argparse.Namespace) -> Iterator[Embeddings]:
    if arguments.data is not None:
        yield loaded(arguments.data, PROBES, arguments.seed)
        return
    for size in arguments.sizes:
        count, dimension = (int(number) for number in size.split("x"))
        yield synthetic(count, dimension, PROBES, arguments.seed)


def _compared(embeddings: Embeddings, systems: Sequence[System]) -> list[Row]:
    """Recall, latency, build time and memory of every system, and the latency over that of our choice."""
    count, dimension = embeddings.stored.shape
    true = _true(embeddings.stored, embeddings.probes)
    settings = [_tuned(system, embeddings.probes, true) for system in systems]
    timed = _timed([system.search for system in systems], embeddings.probes, true)
    chosen = next(n for n, system in enumerate(systems) if "chosen" in system.name)
    rows = []
    for system, setting, (recall, latency) in zip(systems, settings, timed, strict=True):
        what = f"{system.name}{setting}, {count:,} x {dimension}"
        rows += [
            Row(what, "recall@10", recall),
            Row(what, "p50", float(np.percentile(latency, 50)), "ms"),
            Row(what, "p95", float(np.percentile(latency, 95)), "ms"),
            Row(what, "x", float(np.median(latency) / np.median(timed[chosen][1]))),
            Row(what, "build", system.build_seconds, "s"),
            Row(what, "memory", system.nbytes / count, "B/vector"),
        ]
    return rows


def _filtered(embeddings: Embeddings, index: VectorIndex, random: np.random.Generator) -> Iterator[Row]:
    """Recall and latency where only a share of the rows is allowed, compared with a flat scan of just those
    rows."""
    count, dimension = embeddings.stored.shape
    for share in SHARES:
        allowed = random.random(count) < share
        rows = np.flatnonzero(allowed)
        left = embeddings.stored[rows]
        true = rows[_true(left, embeddings.probes)]
        searches: list[Search] = [
            lambda q, k, allowed=allowed: index.search(q, k, allowed)[1],  # type: ignore[misc]
            lambda q, k, left=left, rows=rows: rows[scan(q, left, k)[1]],  # type: ignore[misc]
        ]
        (recall, ours_ms), (_, flat_ms) = _timed(searches, embeddings.probes, true)
        what = f"{share:.1%} of {count:,} x {dimension} allowed"
        yield Row(what, "recall@10", recall)
        yield Row(what, "p50", float(np.percentile(ours_ms, 50)), "ms")
        yield Row(what, "p95", float(np.percentile(ours_ms, 95)), "ms")
        yield Row(what, "p50 of a flat scan of just these", float(np.percentile(flat_ms, 50)), "ms")


def _concurrent(index: VectorIndex, size: str) -> Iterator[Row]:
    """What surrounds the search: columns, the gauge, and snapshots under AES-256-GCM."""
    columns = Columns()
    for n in range(OWNERS * 12):
        limits = Restrictions(denied_entities=frozenset({f"NCB-{n // OWNERS}"}))
        facets = Facets(f"NCB-{n % OWNERS}", restrictions=limits, expires_at=2_000_000_000 + n)
        columns.append(facets, len(index) // (OWNERS * 12))
    columns.append(Facets("NCB-0"), len(index) - len(columns))

    def masked(key: str | None) -> Callable[[], object]:
        return lambda: columns.mask(lambda facets: facets.owner != "NCB-7", 2_000_001_000, key=key)

    yield Row(f"mask of {size}, {columns.distinct:,} combinations", "time", _best(masked(None)) * 1e3, "ms")
    yield Row(f"mask of {size}, the same caller again", "time", _best(masked("again")) * 1e3, "ms")
    gauge = measure_recall(index, sample=100)
    yield Row(f"recall gauge of {size}, {gauge.sample} probes", "recall@10", gauge.recall)
    yield Row(
        f"recall gauge of {size}, {gauge.sample} probes",
        "time",
        _best(lambda: measure_recall(index, sample=100), 1) * 1e3,
        "ms",
    )
    with tempfile.TemporaryDirectory() as folder:
        ring = KeyRing.load_or_create(Path(folder) / "keys.json")
        snapshots = Snapshots(Path(folder) / "snapshots", ring.vault(KeyUse.SNAPSHOTS))
        started = time.perf_counter()
        snapshots.save(Snapshot(1, index.capture(), columns.capture()))
        yield Row(f"snapshot of {size}, saved", "time", (time.perf_counter() - started) * 1e3, "ms")
        started = time.perf_counter()
        read = snapshots.newest().snapshot
        assert read is not None  # noqa: S101
        restored = VectorIndex.restore(read.index)
        Columns.restore(read.columns)
        yield Row(
            f"snapshot of {size}, checked and restored", "time", (time.perf_counter() - started) * 1e3, "ms"
        )
        stored = sum(path.stat().st_size for path in (Path(folder) / "snapshots").iterdir())
        yield Row(f"snapshot of {size}, saved", "memory", stored / len(restored), "B/vector")


def _true(stored: Vectors, probes: Vectors) -> Positions:
    """The exact best K positions of each probe, all probes at once."""
    return scan(probes, stored, K)[1]


def _tuned(system: System, probes: Vectors, true: Positions) -> str:
    """Turn a system's knob up until it reaches the bar; says how far."""
    if system.tune is None:
        return ""
    for effort in EFFORTS:
        system.tune(effort)
        if _recall(system.search(probes, K), true) >= BAR:
            break
    return f" at {effort}"


def _timed(
    searches: Sequence[Search], probes: Vectors, true: Positions
) -> list[tuple[float, NDArray[np.float64]]]:
    """Recall of each search, and the milliseconds of every one of its calls."""
    for search in searches:
        for probe in probes[:WARM]:
            search(probe[None], K)
    taken = np.empty((len(searches), len(probes)))
    found = np.empty((len(searches), len(probes), K), np.int64)
    for n, probe in enumerate(probes):
        for s, search in enumerate(searches):
            started = time.perf_counter()
            found[s, n] = search(probe[None], K)[0]
            taken[s, n] = (time.perf_counter() - started) * 1e3
    return [(_recall(at, true), milliseconds) for at, milliseconds in zip(found, taken, strict=True)]


def _recall(found: Positions, true: Positions) -> float:
    return float(np.mean([np.isin(t, f).mean() for t, f in zip(true, found, strict=True)]))


def _best(work: Callable[[], object], times: int = 5) -> float:
    """Seconds of the quickest of several runs."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken)


if __name__ == "__main__":
    main()

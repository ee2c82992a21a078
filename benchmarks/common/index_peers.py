"""The systems that `index.py` sets side by side, each behind the same three calls."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from likeness.index import VectorIndex
from likeness.index.kinds import FLAT_COMPONENTS

Vectors = NDArray[np.float32]
Positions = NDArray[np.int64]
Search = Callable[[Vectors, int], Positions]

CORES = os.cpu_count() or 1
"""Threads that a peer may build with; every search uses one."""
EFFORTS = (32, 64, 128, 256, 512, 1024, 2048)
"""Settings tried, in order, of a peer's knob between speed and recall (efSearch, nprobe, expansion)."""
LINKS = 32
"""Links per vector in a graph: faiss's HNSW32, M in hnswlib and connectivity in usearch."""
CONSTRUCTION = 100
"""How widely a graph looks for those links while it is built."""
CELLS = 1024


@dataclass(frozen=True, slots=True)
class System:
    """A filled index: `search` takes probes [q, d] and k and returns positions [q, k] from one thread.

    `tune` sets its knob, None where it has none.
    """

    name: str
    search: Search
    build_seconds: float
    nbytes: int
    tune: Callable[[int], None] | None = None


def ours(stored: Vectors, *, flat: bool) -> tuple[System, VectorIndex]:
    """Our index, as one generation of one kind; built by one thread."""
    count, dimension = stored.shape
    index = VectorIndex(dimension, space="benchmark/1", flat_components=stored.size if flat else 1)
    index.add(stored)
    started = time.perf_counter()
    kind = index.build(0).kind
    taken = time.perf_counter() - started
    default = "flat" if count * dimension <= FLAT_COMPONENTS else "fourbit"
    chosen = ", chosen" if kind == default else ""
    return System(f"likeness {kind}{chosen}", lambda q, k: index.search(q, k)[1], taken, index.nbytes), index


def faiss_flat(stored: Vectors) -> System:
    """Plain faiss, every vector at float32."""
    return _faiss("faiss Flat", faiss.IndexFlatIP(stored.shape[1]), stored)


def faiss_sq8(stored: Vectors) -> System:
    """Plain faiss, every vector at 8 bits per dimension, not ranked again."""
    return _faiss(
        "faiss SQ8", faiss.index_factory(stored.shape[1], "SQ8", faiss.METRIC_INNER_PRODUCT), stored
    )


def faiss_ivf(stored: Vectors) -> System:
    """Inverted lists of 8-bit vectors, ranked again at float16."""
    cells = min(CELLS, max(16, len(stored) // 64))
    name = f"IVF{cells},SQ8,Refine(SQfp16)"
    index: Any = faiss.index_factory(stored.shape[1], name, faiss.METRIC_INNER_PRODUCT)
    index.k_factor = 4
    lists: Any = faiss.extract_index_ivf(index)
    lists.cp.max_points_per_centroid = 64
    lists.cp.niter = 10

    def tune(effort: int) -> None:
        lists.nprobe = effort

    return _faiss(f"faiss {name}", index, stored, tune)


def faiss_hnsw(stored: Vectors) -> System:
    """A graph over 8-bit vectors, ranked again at float16."""
    name = f"HNSW{LINKS}_SQ8,Refine(SQfp16)"
    index: Any = faiss.index_factory(stored.shape[1], name, faiss.METRIC_INNER_PRODUCT)
    index.k_factor = 4
    graph: Any = faiss.downcast_index(index.base_index)
    graph.hnsw.efConstruction = CONSTRUCTION

    def tune(effort: int) -> None:
        graph.hnsw.efSearch = effort

    return _faiss(f"faiss {name}", index, stored, tune)


def hnswlib(stored: Vectors) -> System:
    """hnswlib, a graph over float32 vectors."""
    import hnswlib as library  # noqa: PLC0415 an optional peer

    index: Any = library.Index(space="ip", dim=stored.shape[1])
    started = time.perf_counter()
    index.init_index(max_elements=len(stored), M=LINKS // 2, ef_construction=CONSTRUCTION)
    index.add_items(stored, num_threads=CORES)
    taken = time.perf_counter() - started

    def search(probes: Vectors, k: int) -> Positions:
        found: Positions = index.knn_query(probes, k=k, num_threads=1)[0].astype(np.int64)
        return found

    return System(f"hnswlib M={LINKS // 2}", search, taken, index.index_file_size(), index.set_ef)


def usearch(stored: Vectors) -> System:
    """usearch, a graph over half-precision vectors."""
    from usearch.index import Index  # noqa: PLC0415 an optional peer

    index: Any = Index(
        ndim=stored.shape[1], metric="ip", dtype="f16", connectivity=LINKS // 2, expansion_add=CONSTRUCTION
    )
    started = time.perf_counter()
    index.add(np.arange(len(stored)), stored, threads=CORES)
    taken = time.perf_counter() - started

    def search(probes: Vectors, k: int) -> Positions:
        found: Positions = index.search(probes, k, threads=1).keys.reshape(len(probes), -1).astype(np.int64)
        return found

    def tune(effort: int) -> None:
        index.expansion_search = effort

    return System(f"usearch f16 connectivity={LINKS // 2}", search, taken, index.serialized_length, tune)


def scans() -> Iterator[Callable[[Vectors], System]]:
    """Peers that build fast enough for a full-sized gallery."""
    yield from (faiss_flat, faiss_sq8, faiss_ivf)


def graphs() -> Iterator[Callable[[Vectors], System]]:
    """Peers whose build takes minutes per million vectors."""
    yield from (faiss_hnsw, hnswlib, usearch)


def _faiss(name: str, index: Any, stored: Vectors, tune: Callable[[int], None] | None = None) -> System:
    faiss.omp_set_num_threads(CORES)
    started = time.perf_counter()
    if not index.is_trained:
        index.train(stored)
    index.add(stored)
    taken = time.perf_counter() - started
    faiss.omp_set_num_threads(1)

    def search(probes: Vectors, k: int) -> Positions:
        faiss.omp_set_num_threads(1)
        found: Positions = index.search(probes, k)[1]
        return found

    return System(name, search, taken, faiss.serialize_index(index).nbytes, tune)

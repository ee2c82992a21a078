"""How fast a finger is found among many, and whether its mate is among those that are found.

    python benchmarks/fingerprint_speed.py --data FOLDER [--references 10000 100000 1000000] [--drawn 20000]

FOLDER holds SET/FINGER_IMPRESSION.fmr. Gallery: impression 1 of every finger in FOLDER among drawn fingers. Up to
--drawn of these are drawn as minutiae and embedded; vectors beyond them are drawn from the normal distribution with
the mean and covariance of the embedded ones, since embedding a million fingers takes most of an hour. Probes: all
other impressions in FOLDER. --threads searches run beside each other, each on one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from _table import Row, parser, print_table, write_json
from fingerprint_shortlist import read_templates
from likeness.fingerprint.minutiae import Minutiae
from likeness.fingerprint.shortlist import Shortlister
from likeness.fingerprint.synthesis import draw, thinned
from likeness.index import VectorIndex
from likeness.index.fourbit import FourBit

Vectors = NDArray[np.float32]

COUNTS = (35, 55, 90)
"""Minutiae of the impressions that embedding is timed with."""
DEPTHS = (100, 1000, 4000)
"""Lengths of the shortlists that are timed and whose mates are counted."""
TIMED = 40
"""Probes that are timed."""
FITTED = 65_536
"""Vectors that codes are fitted to, at most."""
BLOCK = 20_000
"""Vectors added to the index at once."""


def embedding(shortlister: Shortlister, seed: int) -> Iterator[Row]:
    """Time to embed one impression alone, as a probe is, by its number of minutiae."""
    many = draw(500, seed)
    for count in COUNTS:
        sample = thinned(many, count)[:50]
        shortlister.embed(sample[:5])
        taken = []
        for one in sample:
            started = time.perf_counter()
            shortlister.embed([one])
            taken.append(time.perf_counter() - started)
        yield Row(f"{count} minutiae", "embedding, p50", 1000 * float(np.median(taken)), "ms")


class Strangers:
    """Vectors of fingers that no probe is of."""

    def __init__(self, shortlister: Shortlister, drawn: int, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        pieces = [
            shortlister.embed(draw(min(1000, drawn - at), seed + 1 + at)) for at in range(0, drawn, 1000)
        ]
        self._embedded = np.concatenate(pieces)
        self._mean = self._embedded.mean(axis=0)
        spread, axes = np.linalg.eigh(np.cov(self._embedded.T))
        self._axes = (axes * np.sqrt(np.maximum(spread, 0))).T.astype(np.float32)

    def blocks(self, count: int) -> Iterator[Vectors]:
        """`count` unit vectors, those of drawn fingers first, in blocks."""
        first = self._embedded[:count]
        yield first
        for at in range(len(first), count, BLOCK):
            shape = (min(BLOCK, count - at), len(self._mean))
            block = self._random.standard_normal(shape, np.float32) @ self._axes + self._mean
            yield (block / np.linalg.norm(block, axis=1, keepdims=True)).astype(np.float32)


@dataclass(frozen=True)
class System:
    """One way to scan a gallery. `search(probe [1, d], depth)` gives rows int64 [1, depth], best first."""

    name: str
    search: Callable[[Vectors, int], NDArray[np.int64]]
    nbytes: int


def product(gallery: Vectors) -> System:
    """The product's index, which ranks at 16 bits what its codes find."""
    index = VectorIndex(gallery.shape[1], space="benchmark")
    for at in range(0, len(gallery), BLOCK):
        index.add(gallery[at : at + BLOCK])
    index.build(position=0)
    return System("index", lambda probe, depth: index.search(probe, depth)[1], index.nbytes)


def four_bits(gallery: Vectors) -> System:
    """The codes of the product's index alone."""
    codes = FourBit.train(gallery[:FITTED], radius=1.0)
    for at in range(0, len(gallery), BLOCK):
        codes.add(gallery[at : at + BLOCK])
    return System("four-bit codes", lambda probe, depth: codes.nearest(probe, depth, None), codes.nbytes)


def eight_bits(gallery: Vectors) -> System:
    """A flat scan of eight bits a component."""
    index: Any = faiss.IndexScalarQuantizer(
        gallery.shape[1], faiss.ScalarQuantizer.QT_8bit_uniform, faiss.METRIC_INNER_PRODUCT
    )
    index.train(gallery[:FITTED])
    index.add(gallery)

    def search(probe: Vectors, depth: int) -> NDArray[np.int64]:
        faiss.omp_set_num_threads(1)
        return np.asarray(index.search(probe, depth)[1], np.int64)

    return System("eight bits", search, gallery.size)


def searching(
    size: int,
    enrolled: Vectors,
    probes: Vectors,
    mates: NDArray[np.int64],
    strangers: Strangers,
    threads: int,
) -> Iterator[Row]:
    """Latency, memory and the share of mates found in a gallery of `size`; row i of it is finger i of FOLDER."""
    gallery = np.concatenate([enrolled, *strangers.blocks(size - len(enrolled))])
    for build in (product, four_bits, eight_bits):
        system = build(gallery)
        what = f"{system.name}, {size:,}"
        for depth in DEPTHS:
            taken = _timed(system, probes[:TIMED], depth, threads)
            yield Row(what, f"p50, {depth} deep", 1000 * float(np.percentile(taken, 50)), "ms")
        yield Row(what, "memory", system.nbytes / size, "B/reference")
        found = np.concatenate([system.search(probe[None], DEPTHS[-1]) for probe in probes])
        for depth in DEPTHS:
            there = (found[:, :depth] == mates[:, None]).any(axis=1)
            yield Row(what, f"mates, {depth} deep", 100 * float(there.mean()), "%")


def _timed(system: System, probes: Vectors, depth: int, threads: int) -> list[float]:
    """Seconds of one search for each probe, `threads` of them beside each other."""

    def some(part: Vectors) -> list[float]:
        taken = []
        for probe in part:
            started = time.perf_counter()
            system.search(probe[None], depth)
            taken.append(time.perf_counter() - started)
        return taken

    with ThreadPoolExecutor(threads) as pool:
        return list(chain(*pool.map(some, [probes[start::threads] for start in range(threads)])))


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--references", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    arguments.add_argument("--drawn", type=int, default=20_000, help="fingers drawn as minutiae")
    arguments.add_argument("--threads", type=int, default=2)
    chosen = arguments.parse_args()
    if chosen.data is None:
        arguments.error("--data FOLDER is needed")
    shortlister = Shortlister()
    timed = list(embedding(shortlister, chosen.seed))
    rows: list[Row] = []
    templates = read_templates(chosen.data)
    first: list[Minutiae] = [one for (_, impression), one in templates.items() if impression == 1]
    order = {finger: i for i, (finger, impression) in enumerate(k for k in templates if k[1] == 1)}
    rest = [(order[key[0]], one) for key, one in templates.items() if key[1] != 1 and key[0] in order]
    enrolled = shortlister.embed(first)
    probes = shortlister.embed([one for _, one in rest])
    mates = np.array([number for number, _ in rest], np.int64)
    strangers = Strangers(shortlister, min(chosen.drawn, max(chosen.references)), chosen.seed + 1)
    for size in chosen.references:
        if size < max(DEPTHS):
            arguments.error(f"--references must be at least {max(DEPTHS)}")
        rows.extend(searching(size, enrolled, probes, mates, strangers, chosen.threads))
    print_table("Embedding", timed)
    print_table("Search", rows, by_what=True)
    if chosen.json is not None:
        write_json(chosen.json, [*timed, *rows])


if __name__ == "__main__":
    main()

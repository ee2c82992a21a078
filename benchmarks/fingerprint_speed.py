"""How fast a finger is found among many, and whether its mate is among those that are found.

    python benchmarks/fingerprint_speed.py --data FOLDER [--references 10000 1000000] [--drawn 20000] [--kinds]

FOLDER holds SET/FINGER_IMPRESSION.fmr. Gallery: impression 1 of every finger in FOLDER among drawn fingers. Up to
--drawn of these are drawn as minutiae and embedded; vectors beyond them are drawn from the normal distribution with
the mean and covariance of the embedded ones, since embedding a million fingers takes most of an hour. Probes: all
other impressions in FOLDER. --threads searches run at the same time, each on one thread.

Whole searches embed and prepare the probe, scan the index, and compare what is found exactly, through the cascade;
a reference of which there is only a vector is compared as one of the drawn fingers. Rank 1: the mate was found and
scores above all others that were. Comparisons per second count the time of one thread's processor, strangers only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.common.fingerprints import read_templates
from benchmarks.common.table import Row, parser, print_table, write_json
from likeness.fingerprint.fusion import fusion
from likeness.fingerprint.matcher import Matcher, cascade, measures
from likeness.fingerprint.minutiae import Minutiae
from likeness.fingerprint.prepared import PreparedFinger, prepare
from likeness.fingerprint.shortlist import Shortlister
from likeness.fingerprint.synthesis import draw, thinned
from likeness.index import VectorIndex
from likeness.index.fourbit import FourBit

Vectors = NDArray[np.float32]

COUNTS = (35, 55, 90)
"""Minutiae of the impressions that embedding is timed with."""
DEPTHS = (100, 400, 1000, 4000)
"""Lengths of the shortlists that are timed and whose mates are counted."""
TIMED = 40
"""Probes that are timed."""
FITTED = 65_536
"""Vectors that codes are fitted to, at most."""
EXACT = 2_000
"""Drawn fingers that stand for all strangers in exact comparisons."""
DENSE = 8_000
"""Fingers drawn for exact comparisons, so that enough of them have 90 minutiae: one in 16."""
COMPARED, LISTED = 60, 400
"""Impressions of each size that are compared with a list of others, and its length, that of a shortlist."""
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


def comparing(seed: int) -> Iterator[Row]:
    """Comparisons of strangers per second of one processor, by number of minutiae."""
    many, fused = draw(DENSE, seed + 7), fusion()
    for count in COUNTS:
        sample = [prepare(one) for one in thinned(many, count)[: LISTED + 1]]
        ways: dict[str, Callable[[PreparedFinger, Sequence[PreparedFinger]], object]] = {
            "cascade": lambda one, others: cascade(one, others, fused),
            "full comparison": measures,
        }
        for what, compare in ways.items():
            compare(sample[0], sample[1:3])
            done, started = 0, time.thread_time()
            for i, one in enumerate(sample[:COMPARED]):
                others = sample[:i] + sample[i + 1 :]
                compare(one, others)
                done += len(others)
            rate, note = done / (time.thread_time() - started), f"in lists of {len(sample) - 1}"
            yield Row(f"{count} minutiae", what, rate, "1/s", note)


class Strangers:
    """Vectors of fingers that no probe is of."""

    def __init__(self, shortlister: Shortlister, drawn: int, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        pieces = [
            shortlister.embed(draw(min(1000, drawn - at), seed + 1 + at)) for at in range(0, drawn, 1000)
        ]
        self._embedded = np.concatenate(pieces)
        self.prepared = [prepare(one) for one in draw(min(EXACT, drawn), seed + 1)]
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


def whole(
    size: int,
    first: Sequence[Minutiae],
    probes: Sequence[tuple[int, Minutiae]],
    strangers: Strangers,
    threads: int,
) -> Iterator[Row]:
    """Latency of whole searches in a gallery of `size`, and the share of mates in the shortlist and at rank 1."""
    shortlister, matcher = Shortlister(), Matcher()
    enrolled = [prepare(one) for one in first]
    gallery = np.concatenate([shortlister.embed(first), *strangers.blocks(size - len(first))])
    system = product(gallery)
    del gallery
    stand_ins = strangers.prepared

    def search(probe: tuple[int, Minutiae], depth: int) -> tuple[float, bool, bool]:
        mate, minutiae = probe
        started = time.perf_counter()
        rows = system.search(shortlister.embed([minutiae]), depth)[0]
        held = [enrolled[row] if row < len(enrolled) else stand_ins[row % len(stand_ins)] for row in rows]
        scores = np.array([found.score for found in matcher.compare(prepare(minutiae), held)])
        taken = time.perf_counter() - started
        own = rows == mate
        return taken, bool(own.any()), bool(own.any() and scores[own].max() > scores[~own].max())

    for depth in DEPTHS:
        with ThreadPoolExecutor(threads) as pool:
            found = list(pool.map(partial(search, depth=depth), probes))
        taken, there, leading = (np.array(column) for column in zip(*found, strict=True))
        what = f"{size:,}, {depth} deep"
        yield Row(what, "p50", 1000 * float(np.percentile(taken, 50)), "ms")
        yield Row(what, "mates in the shortlist", 100 * float(there.mean()), "%")
        yield Row(what, "mates at rank 1", 100 * float(leading.mean()), "%")
        yield Row(what, "memory", system.nbytes / size, "B/reference")


def _timed(system: System, probes: Vectors, depth: int, threads: int) -> list[float]:
    """Seconds of one search for each probe, `threads` of them at the same time."""

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
    arguments.add_argument("--kinds", action="store_true", help="also time the kinds of index apart")
    chosen = arguments.parse_args()
    if chosen.data is None:
        arguments.error("--data FOLDER is needed")
    shortlister = Shortlister()
    timed = [*comparing(chosen.seed), *embedding(shortlister, chosen.seed)]
    print_table("One comparison, one embedding", timed)
    searched: list[Row] = []
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
        searched.extend(whole(size, first, rest, strangers, chosen.threads))
        if chosen.kinds:
            rows.extend(searching(size, enrolled, probes, mates, strangers, chosen.threads))
    print_table("Whole searches", searched, by_what=True)
    if rows:
        print_table("Scans of the index", rows, by_what=True)
    if chosen.json is not None:
        write_json(chosen.json, [*timed, *searched, *rows])


if __name__ == "__main__":
    main()

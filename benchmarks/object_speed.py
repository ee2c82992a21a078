"""Speed and memory of object search: of one photograph, and of a search as the references grow.

    python benchmarks/object_speed.py --data FOLDER [--references 10000 50000] [--seed N] [--json FILE]

A photograph is decoded, described (details) and embedded by one thread. References beyond the photographs in FOLDER
are made of theirs: the details of a reference are drawn from three photographs and each code is moved by noise, its
vectors are mixtures of those of three. Statistics of words and distances thus stay those of photographs; the noise
is `NOISE` units of codes, less than between a photograph and its compressed copy, so that lists are no easier than
real ones. Searches are whole: extraction, both ways to candidates, verification of the shortlist; one at a time,
and two at the same time. Probes are attacked photographs that are not enrolled, the most expensive case: nothing
ends early.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks.common.object_attacks import ATTACKS, load, probe
from benchmarks.common.table import Row, finish, parser
from likeness.domain.samples import Mode, Sample, Template
from likeness.index.vectors import VectorIndex
from likeness.inference.concurrency.turns import Turns
from likeness.inference.models.pictures import PictureEmbedder
from likeness.object import views
from likeness.object.detail_votes import DetailVotes
from likeness.object.local import Details, coded, raw
from likeness.object.matcher import PreparedObject
from likeness.object.modality import MODEL, ObjectModality

SEARCHES = 60
PHOTOGRAPHS = 300
"""Of FOLDER, that references are made of; the rest are searched with."""
NOISE = 6
"""Units of codes, standard deviation."""
K = 10


def milliseconds(work: Callable[[], object], times: int = 30) -> float:
    """The median time of a call."""
    work()
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - begun))
    return float(np.median(taken))


def photograph_rows(files: Sequence[bytes]) -> list[Row]:
    """What one photograph costs on one thread, by part."""
    embedder = PictureEmbedder.shipped(MODEL)
    images = [load(data) for data in files[:30]]
    squares = [np.stack(views.of_reference(image, embedder.side)) for image in images]
    turn = {"n": 0}

    def next_of(count: int) -> int:
        turn["n"] += 1
        return turn["n"] % count

    modality = ObjectModality.load(calibration=None, turns=Turns(1))
    whole = {
        mode: milliseconds(lambda m=mode: modality.extract([Sample(files[next_of(30)], "one")], m))  # type: ignore[misc]
        for mode in (Mode.ENROL, Mode.PROBE)
    }
    return [
        Row(
            "one photograph",
            "embedding, of the whole",
            milliseconds(lambda: embedder.embed(squares[next_of(30)][:1])),
            "ms",
        ),
        Row(
            "one photograph",
            "embedding",
            milliseconds(lambda: embedder.embed(squares[next_of(30)])),
            "ms",
            f"bar 10; all {views.REFERENCE} squares of a reference",
        ),
        Row("one photograph", "details", milliseconds(lambda: coded(*raw(images[next_of(30)]), 1, 1)), "ms"),
        Row("one photograph", "enrolment, without the store", whole[Mode.ENROL], "ms"),
        Row("one photograph", "probe", whole[Mode.PROBE], "ms"),
    ]


class Maker:
    """Makes references out of those of photographs."""

    def __init__(self, templates: Sequence[Template], seed: int) -> None:
        self._templates = templates
        self._details = [PreparedObject.from_bytes(t.detail).details for t in templates]
        self._random = np.random.default_rng(seed)

    def make(self) -> Template:
        """A reference of its own."""
        chosen = self._random.choice(len(self._templates), 3, replace=False)
        parts = [self._details[n] for n in chosen]
        vectors = sum(self._random.uniform(0.2, 1.0) * self._templates[n].vectors for n in chosen)
        vectors = vectors + self._random.normal(0, 0.02, self._templates[0].vectors.shape)
        size = int(np.median([len(part) for part in parts]))
        taken = [self._random.permutation(len(part))[: -(-size // 3)] for part in parts]

        def joined(name: str) -> NDArray[np.float32]:
            return np.concatenate([getattr(part, name)[t] for part, t in zip(parts, taken, strict=True)])

        codes = joined("codes") + np.rint(self._random.normal(0, NOISE, joined("codes").shape))
        details = Details(
            np.clip(codes, 0, 255).astype(np.uint8),
            joined("words").astype(np.int64),
            np.column_stack(
                [self._random.uniform(0, 400, len(codes)), self._random.uniform(0, 400, len(codes))]
            ),
            joined("turn"),
            joined("octave"),
            400,
            400,
        )
        one = self._templates[0]
        unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        return Template(one.space, one.model, unit, PreparedObject(details).to_bytes())


class Gallery:
    """Templates in memory with both ways to candidates, as the engine's fold has them; all of one shape."""

    def __init__(self, modality: ObjectModality) -> None:
        self._modality = modality
        companion = modality.companion()
        if not isinstance(companion, DetailVotes):
            raise SystemExit("the second way to candidates is not by votes")
        self._companion = companion
        self._index = VectorIndex(modality.space.dimension, space=modality.space.space_id)
        self._templates: list[Template] = []

    def add(self, template: Template) -> None:
        """Take in a reference."""
        self._companion.add(self._index.add(template.vectors), template)
        self._templates.append(template)

    def seal(self) -> None:
        """Build the index of the vectors, as the engine does once many rows were added."""
        self._index.build(position=0)

    @property
    def bytes_per_reference(self) -> float:
        """Memory of the votes' index and of the vectors; stored templates are on disk."""
        return (self._companion.index.nbytes + self._index.nbytes) / len(self._templates)

    @property
    def stored_per_reference(self) -> float:
        """Bytes of a stored template."""
        return float(np.mean([len(t.to_bytes()) for t in self._templates[:200]]))

    def search(self, data: bytes) -> dict[str, float]:
        """Milliseconds of each stage of one search, and of all."""
        begun = time.perf_counter()
        asked = self._modality.extract([Sample(data, "probe")], Mode.PROBE)[0].findings[0].template
        if asked is None:
            raise SystemExit("a probe got no template")
        extracted = time.perf_counter()
        count, mask = self._modality.shortlist(K), np.ones(len(self._index), np.bool_)
        each = len(self._templates[0].vectors)
        scores, rows = self._index.search(asked.vectors, count * each, mask)
        above = scores - self._modality.levels(asked)[:, None]
        best = rows.reshape(-1)[np.argsort(-above, axis=None, kind="stable")] // each
        near = list(dict.fromkeys(best[best >= 0].tolist()))[:count]
        vectors = time.perf_counter()
        found = self._companion.search(asked, count, mask)
        voted = [row // each for row in found.rows]
        votes = time.perf_counter()
        shortlist = [self._templates[n] for n in dict.fromkeys([*near, *voted])]
        self._modality.compare(asked, shortlist, clutter=found.clutter)
        ended = time.perf_counter()
        return {
            "extraction": 1000 * (extracted - begun),
            "vectors": 1000 * (vectors - extracted),
            "votes": 1000 * (votes - vectors),
            "verification": 1000 * (ended - votes),
            "search": 1000 * (ended - begun),
        }


def search_rows(gallery: Gallery, probes: Sequence[bytes], references: int) -> list[Row]:
    """Latency one at a time, throughput by two, and memory."""
    gallery.search(probes[0])
    taken = [gallery.search(data) for data in probes]
    begun = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        in_parallel = [one["search"] for one in pool.map(gallery.search, probes)]
    per_second = len(probes) / (time.perf_counter() - begun)
    what = f"{references:,} references"
    whole = [one["search"] for one in taken]
    rows = [
        Row(what, f"{stage}, median", float(np.median([one[stage] for one in taken])), "ms")
        for stage in taken[0]
    ]
    rows += [
        Row(
            what,
            "search p50",
            float(np.percentile(whole, 50)),
            "ms",
            "bar 500" if references == 50_000 else "",
        ),
        Row(what, "search p95", float(np.percentile(whole, 95)), "ms"),
        Row(what, "search p50, two at the same time", float(np.percentile(in_parallel, 50)), "ms"),
        Row(what, "searches, two at the same time", per_second, "1/s"),
        Row(what, "memory per reference", gallery.bytes_per_reference, "bytes"),
        Row(what, "stored per reference", gallery.stored_per_reference, "bytes"),
    ]
    return rows


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__ or "")
    arguments.formatter_class = argparse.RawDescriptionHelpFormatter
    arguments.add_argument("--references", type=int, nargs="+", default=[10_000, 50_000])
    chosen = arguments.parse_args()
    if chosen.data is None:
        arguments.error("--data FOLDER is needed")
    random = np.random.default_rng(chosen.seed)
    paths = sorted(Path(chosen.data).glob("*.jpg"))
    order = random.permutation(len(paths))
    files = [paths[n].read_bytes() for n in order[: PHOTOGRAPHS + SEARCHES]]
    rows = photograph_rows(files)
    modality = ObjectModality.load(calibration=None, turns=Turns(2))
    own, others = files[:PHOTOGRAPHS], files[PHOTOGRAPHS:]
    attacks = list(ATTACKS.values())
    probes = [
        probe(attacks[n % len(attacks)], load(data), random, load(own[n])) for n, data in enumerate(others)
    ]
    found = modality.extract([Sample(data, "one") for data in own], Mode.ENROL)
    templates = [e.findings[0].template for e in found if e.findings]
    made = [template for template in templates if template is not None]
    gallery, maker, held = Gallery(modality), Maker(made, chosen.seed), 0
    for references in sorted(chosen.references):
        for n in track(range(held, references), f"{references:,} references"):
            gallery.add(made[n] if n < len(made) else maker.make())
        held = references
        gallery.seal()
        rows += search_rows(gallery, probes, references)
    finish("Object search: speed", rows, chosen)


if __name__ == "__main__":
    main()

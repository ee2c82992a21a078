"""Accuracy of object search on attacked photographs and on real ones, through the engine, compared with its peers.

    python benchmarks/object_accuracy.py --data FOLDER [--seed N] [--probes N] [--json FILE]
    python benchmarks/object_accuracy.py --products FOLDER --shelf FOLDER --distractors FOLDER

Attacks: of the photographs in FOLDER, shuffled with the seed, half are sources; a quarter are distractors, enrolled
with them; the last quarter stay out and are the negatives. For each attack `--probes` sources are searched with
after the attack, and as many negatives after the same attack. R@1: share of sources found first. micro-AP: average
precision over the candidates of all probes together, those of negatives included, as in the Image Similarity
Challenge 2021; recall @P90 is read from the same list. Peers rank the same references for the same probes: PDQ,
pHash and a plain SIFT-VLAD; `embedding` is our vectors alone, those of the whole and of parts (`object/views.py`).
The last two are also shown with their scores normalised: of ours each cosine by how near its two squares are to
photographs at random, as in the product, and then both by the mean of the 3 references that follow the best, after
SSCD's evaluation.

Real photographs: every product picture is enrolled, and every distractor; each shelf photograph searches for the
product that its folder is named after.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks.common.object_attacks import ATTACKS, load, probe
from benchmarks.common.object_clutter import as_png, kinds
from benchmarks.common.object_engine import Service, service
from benchmarks.common.object_peers import Vlad, normalised, pdq, phash
from benchmarks.common.table import Row, parser, print_table, write_json
from likeness.domain.answers import Candidate, Likelihood
from likeness.object.similarity import cosines

Floats = NDArray[np.float32]

CANDIDATES = 10
"""Candidates of a probe that enter the micro-AP."""
CLUTTERED, CLUTTER_PROBES = 24, 16
"""References that share one clutter, and probes of other objects with it."""
VLAD_PHOTOGRAPHS = 200
"""Distractors that the centres of SIFT-VLAD are learnt from."""
OURS = "Likeness"
BARS = {"R@1": 0.95, "micro-AP": 0.93, "recall @P90": 0.90, "worst attack R@1": 0.85, "mirror R@1": 0.95}


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched with: after which attack, from which photograph, and whether that one is enrolled."""

    attack: str
    name: str
    mated: bool
    seed: tuple[int, int, int]


@dataclass(frozen=True, eq=False, slots=True)
class Ranked:
    """The first `CANDIDATES` of one system for one probe: which are the mate, with what score, best first."""

    mate: NDArray[np.bool_]
    scores: NDArray[np.float64]

    @property
    def first(self) -> bool:
        """Whether the mate came first."""
        return bool(len(self.mate) and self.mate[0])


@dataclass(eq=False)
class Outcome:
    """The answers of every system to every query."""

    queries: list[Query] = field(default_factory=list)
    ranked: dict[str, list[Ranked]] = field(default_factory=dict)
    bands: list[str] = field(default_factory=list)
    """The likelihood of our first candidate, by query."""


def micro_ap(ranked: Sequence[Ranked], mated: int) -> tuple[float, float]:
    """Average precision over all candidates together, and the highest recall at which precision is 90%."""
    scores = np.concatenate([one.scores for one in ranked])
    correct = np.concatenate([one.mate for one in ranked])[np.argsort(-scores, kind="stable")]
    hits = np.cumsum(correct)
    precision = hits / np.arange(1, len(correct) + 1)
    enough = np.flatnonzero(precision >= 0.9)
    return float((precision * correct).sum() / mated), float(hits[enough[-1]] / mated) if len(enough) else 0.0


class Peers:
    """Vectors of every reference by every peer, and their rankings."""

    def __init__(self, vlad: Vlad) -> None:
        self._makers = {"PDQ": pdq, "pHash": phash, "SIFT-VLAD": vlad.of}
        self._names: list[str] = []
        self._vectors: dict[str, list[Floats]] = {}
        self._ours: list[Floats] = []

    def enrol(self, name: str, data: bytes, embeddings: Floats) -> None:
        """Take in a reference; `embeddings` float32 [r, d] are those of our template."""
        self._names.append(name)
        self._ours.append(embeddings)
        for peer, vector in self._of(data).items():
            self._vectors.setdefault(peer, []).append(vector)

    def rank(self, data: bytes, embeddings: Floats, mate: str) -> dict[str, Ranked]:
        """The ranking of each peer for a probe; `embeddings` float32 [v, d] are those of our template."""
        found = {peer: np.stack(self._vectors[peer]) @ vector for peer, vector in self._of(data).items()}
        found["SIFT-VLAD, normalised"] = normalised(found["SIFT-VLAD"])
        found["embedding"], above = cosines(embeddings, self._ours)
        found["embedding, normalised"] = normalised(above)
        return {peer: self._ranked(scores, mate) for peer, scores in found.items()}

    def _of(self, data: bytes) -> dict[str, Floats]:
        image = load(data)
        return {peer: make(image) for peer, make in self._makers.items()}

    def _ranked(self, scores: Floats, mate: str) -> Ranked:
        best = np.argsort(-scores, kind="stable")[:CANDIDATES]
        return Ranked(np.array([self._names[n] == mate for n in best]), scores[best].astype(np.float64))


def attacks(data: Path, seed: int, probes: int, limit: int | None) -> tuple[Outcome, int]:
    """Every query answered by every system; and how many references were enrolled."""
    paths = sorted(path for path in data.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    order = np.random.default_rng(seed).permutation(len(paths))[:limit]
    names = [paths[n].name for n in order]
    half, quarter = len(names) // 2, len(names) // 4
    sources, distractors, withheld = names[:half], names[half : half + quarter], names[half + quarter :]
    if min(len(sources), len(withheld)) < 2:
        raise SystemExit(f"{data} holds {len(names)} photographs; at least 8 are needed")
    files = {name: (data / name).read_bytes() for name in names}
    vlad = Vlad([load(files[name]) for name in distractors[:VLAD_PHOTOGRAPHS]], seed)
    queries = list(_queries(sources, withheld, probes, seed))
    with service() as ours, ThreadPoolExecutor(2) as pool:
        peers = Peers(vlad)
        enrolled = [*sources, *distractors]
        made = pool.map(lambda name: ours.enrol(name, files[name]), enrolled)
        for name, template in zip(enrolled, track(made, "enrolling", len(enrolled)), strict=True):
            peers.enrol(name, files[name], template.vectors)

        def answer(query: Query) -> tuple[dict[str, Ranked], str]:
            random = np.random.default_rng(query.seed)
            scene = load(files[withheld[int(random.integers(len(withheld)))]])
            asked = probe(ATTACKS[query.attack], load(files[query.name]), random, scene)
            return _answer(asked, query, ours, peers)

        outcome = Outcome()
        answers = track(pool.map(answer, queries), "searching", len(queries))
        for query, (found, band) in zip(queries, answers, strict=True):
            outcome.queries.append(query)
            outcome.bands.append(band)
            for system, ranked in found.items():
                outcome.ranked.setdefault(system, []).append(ranked)
    return outcome, len(enrolled)


def _queries(sources: Sequence[str], withheld: Sequence[str], probes: int, seed: int) -> Iterable[Query]:
    for number, attack in enumerate(ATTACKS):
        random = np.random.default_rng((seed, number))
        for mated, names in ((True, sources), (False, withheld)):
            # Where there are fewer photographs than probes are asked for, they come again, changed otherwise.
            chosen = [names[n % len(names)] for n in range(probes)]
            if probes <= len(names):
                chosen = [names[n] for n in random.permutation(len(names))[:probes]]
            for n, name in enumerate(chosen):
                yield Query(attack, name, mated, (seed, number, 2 * n + mated))


def _answer(asked: bytes, query: Query, ours: Service, peers: Peers) -> tuple[dict[str, Ranked], str]:
    answer = ours.search(asked, CANDIDATES).probes[0]
    mate = query.name if query.mated else ""
    template = answer.finding.template
    if template is None:
        raise SystemExit("a probe got no template")
    found = {OURS: _ours(answer.candidates, mate, ours.names), **peers.rank(asked, template.vectors, mate)}
    return found, (answer.candidates[0].score.likelihood or "") if answer.candidates else ""


def _ours(candidates: Sequence[Candidate], mate: str, names: Mapping[str, str]) -> Ranked:
    return Ranked(
        np.array([names[c.reference.reference_id] == mate for c in candidates], np.bool_),
        np.array([c.score.value for c in candidates]),
    )


def attack_rows(outcome: Outcome, references: int) -> list[Row]:
    """The figures of every system, then ours by attack and by band."""
    mated = np.array([query.mated for query in outcome.queries])
    rows = []
    for system, ranked in outcome.ranked.items():
        firsts = np.array([one.first for one in ranked])
        ap, recall = micro_ap(ranked, int(mated.sum()))
        by_attack = {
            attack: float(np.mean([f for f, q in zip(firsts, outcome.queries, strict=True)
                                   if q.mated and q.attack == attack]))
            for attack in ATTACKS
        }  # fmt: skip
        figures = {
            "R@1": float(firsts[mated].mean()),
            "micro-AP": ap,
            "recall @P90": recall,
            "worst attack R@1": min(by_attack.values()),
            "mirror R@1": by_attack["mirror"],
        }
        for metric, value in figures.items():
            note = f"bar {BARS[metric]}" if system == OURS else ""
            if system == OURS and metric == "R@1":
                note += (
                    f"; {int(mated.sum()):,} probes with a mate, {int((~mated).sum()):,} without, "
                    f"{references:,} references"
                )
            rows.append(Row(system, metric, value, note=note))
        rows += [Row(system, attack, value) for attack, value in by_attack.items()]
    return rows


def band_rows(bands: Sequence[str], firsts: Sequence[bool], mated: Sequence[bool], what: str) -> list[Row]:
    """How often the first candidate reaches each band: of probes with a mate and of those without."""
    rows = []
    upper = {
        "probable or strong": (str(Likelihood.PROBABLE), str(Likelihood.STRONG)),
        "strong": (str(Likelihood.STRONG),),
    }
    for name, within in upper.items():
        reached = np.array([band in within for band in bands])
        right, has = np.array(firsts), np.array(mated)
        if has.any():
            rows.append(Row(what, f"mate first and {name}", float((reached & right)[has].mean())))
            rows.append(
                Row(what, f"mated probe, stranger first and {name}", float((reached & ~right)[has].mean()))
            )
        if (~has).any():
            note = "bar: at most 0.01" if name.startswith("probable") else ""
            rows.append(Row(what, f"no mate, yet {name}", float(reached[~has].mean()), note=note))
    return rows


def cluttered(data: Path, seed: int) -> list[Row]:
    """Other objects with the same clutter: how often a stranger reaches probable, and whether mates are found."""
    paths = sorted(path for path in data.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    random = np.random.default_rng((seed, 99))
    order = random.permutation(len(paths))
    scene, *things = (load(paths[n].read_bytes()) for n in order[: 1 + CLUTTERED + CLUTTER_PROBES])
    enrolled, others = things[:CLUTTERED], things[CLUTTERED:]
    rows = []
    for kind, clutter in kinds(scene).items():
        with service() as ours:
            for n, thing in enumerate(enrolled):
                ours.enrol(str(n), as_png(clutter(thing, n)))
            strangers = [ours.search(as_png(clutter(o, 500 + n))) for n, o in enumerate(others)]
            mates = [
                ours.search(as_png(clutter(t, 900 + n))) for n, t in enumerate(enrolled[:CLUTTER_PROBES])
            ]
        reached = [a.probes[0].candidates[0].score.likelihood != Likelihood.SIMILAR for a in strangers]
        firsts = [
            ours.names[a.probes[0].candidates[0].reference.reference_id] == str(n)
            for n, a in enumerate(mates)
        ]
        note = (
            f"{CLUTTERED} references with it, {CLUTTER_PROBES} probes of other objects, as many of the same"
        )
        rows.append(Row(kind, "no mate, yet probable or strong", float(np.mean(reached)), note=note))
        rows.append(Row(kind, "mate first", float(np.mean(firsts))))
    return rows


def shelves(products: Path, shelf: Path, distractors: Path | None, limit: int | None) -> list[Row]:
    """Product pictures found by photographs of shelves."""
    listed = sorted(products.glob("*.jpg"))
    others = sorted(distractors.glob("*.jpg"))[:limit] if distractors is not None else []
    probes = sorted(shelf.glob("*/*.jpg"))
    with service() as ours, ThreadPoolExecutor(2) as pool:
        enrolled = [
            (path.stem if path in listed else f"distractor {path.name}", path) for path in [*listed, *others]
        ]
        made = pool.map(lambda entry: ours.enrol(entry[0], entry[1].read_bytes()), enrolled)
        list(track(made, "enrolling", len(enrolled)))
        answers = list(
            track(pool.map(lambda path: ours.search(path.read_bytes()), probes), "searching", len(probes))
        )
    ranks, bands = [], []
    for path, answer in zip(probes, answers, strict=True):
        candidates = answer.probes[0].candidates
        names = [ours.names[c.reference.reference_id] for c in candidates]
        ranks.append(names.index(path.parent.name) + 1 if path.parent.name in names else 0)
        bands.append((candidates[0].score.likelihood or "") if candidates else "")
    placed = np.array(ranks)
    what = "products on shelves"
    note = f"bar 0.75; {len(probes)} photographs, {len(enrolled):,} references"
    return [
        Row(what, "R@1", float((placed == 1).mean()), note=note),
        Row(what, "R@10", float(((placed >= 1) & (placed <= 10)).mean()), note="bar 0.88"),
        *band_rows(bands, [rank == 1 for rank in ranks], [True] * len(ranks), what),
    ]


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__ or "")
    arguments.formatter_class = argparse.RawDescriptionHelpFormatter
    arguments.add_argument(
        "--probes", type=int, default=60, help="of each attack with a mate; as many without"
    )
    arguments.add_argument(
        "--limit", type=int, help="photographs used of --data or --distractors, for a quick run"
    )
    for name, what in (
        ("products", "pictures to enrol, NAME.jpg"),
        ("shelf", "photographs to search with, NAME/*.jpg"),
        ("distractors", "further pictures to enrol"),
    ):
        arguments.add_argument(f"--{name}", type=Path, metavar="FOLDER", help=what)
    chosen = arguments.parse_args()
    if chosen.data is None and (chosen.products is None or chosen.shelf is None):
        arguments.error("--data FOLDER is needed, or --products and --shelf")
    rows: list[Row] = []
    if chosen.data is not None:
        outcome, references = attacks(chosen.data, chosen.seed, chosen.probes, chosen.limit)
        found = attack_rows(outcome, references)
        print_table("Object search: attacked photographs", found, by_what=False)
        firsts = [one.first for one in outcome.ranked[OURS]]
        banded = band_rows(outcome.bands, firsts, [q.mated for q in outcome.queries], OURS)
        print_table("Likelihood of the first candidate", banded, by_what=False)
        shared = cluttered(chosen.data, chosen.seed)
        print_table("Other objects with the same clutter", shared, by_what=False)
        rows += [*found, *banded, *shared]
    if chosen.products is not None and chosen.shelf is not None:
        found = shelves(chosen.products, chosen.shelf, chosen.distractors, chosen.limit)
        print_table("Object search: real photographs", found, by_what=False)
        rows += found
    if chosen.json is not None:
        write_json(chosen.json, rows)


if __name__ == "__main__":
    main()

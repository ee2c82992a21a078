"""Fits `object-fusion/fusion.json` and draws `background.npz` there; run it again whenever the embedder changes.

    python object_fusion.py --data GALLERY --background images.zip --into models --seed 101

Photographs of GALLERY are enrolled, and others are left out. Attacked photographs (object_attacks.py in
benchmarks/common) search; their mates, and the strangers that either way to candidates puts first, are measured as
in a comparison of two alone. With --products and --shelf every second photograph of a shelf searches for its
product as well. Further strangers are other objects with the same clutter (object_clutter.py). A logistic
regression gives the weights. The bands begin where the best stranger of a probe without a mate, measured on probes
that were not fitted on, is that rare. The background is a sample of embeddings of `--background`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.object_attacks import ATTACKS, load, probe
from benchmarks.common.object_clutter import as_png, kinds
from benchmarks.common.photographs import drawn
from likeness.domain.samples import Mode, Sample, Template
from likeness.inference.concurrency.turns import Turns
from likeness.inference.models.pictures import PictureEmbedder
from likeness.object import background as backgrounds
from likeness.object import fusion as fusions
from likeness.object import views
from likeness.object.background import Background
from likeness.object.fusion import FEATURES, Fusion, Measures, features
from likeness.object.matcher import measured
from likeness.object.modality import MODEL, ObjectModality
from likeness.object.similarity import cosines

Floats = NDArray[np.float64]

RIDGE = 1.0
SHELVED_FROM = 1_000_000
"""Number of the first probe from a shelf."""
SHELF_DISTRACTORS = 150
"""Photographs that are enrolled in addition to the products."""
BACKGROUND = 1000
"""Photographs of the background."""
HARDEST = 4
"""Strangers of a probe that are measured, of each way to candidates."""
CLUTTER_COUNTS = 4.0
"""Pairs for which one with clutter counts: they are few among all."""
PROBABLE_RATE, STRONG_RATE = 0.005, 0.001
"""Share of probes without a mate that may reach the bands; half of what is promised, since the sample is small."""
PROBABLE_LEAST = 1.0
"""Score under which nothing is probable: other objects before one background reach 0.83 in a search among 24
of them (`benchmarks/object_accuracy.py`), and few of the probes without a mate show such a scene."""
STRONG_LEAST = 2.1
"""Score under which nothing is strong: of 3,120 probes without a mate nine exceeded 1.4 and three this, nearly all
because a coin of the same design, or the same thing in another photograph, was enrolled."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One comparison: which probe, whether the probe has a mate and this is it, whether it is clutter."""

    probe: int
    mated: bool
    mate: bool
    clutter: bool
    measured: Measures


def draw_background(archive: Path, seed: int) -> Background:
    """Embeddings of a sample of the photographs of a zip."""
    embedder = PictureEmbedder.shipped(MODEL)
    squares = [views.square(image, embedder.side) for image in drawn(archive, BACKGROUND, seed)]
    return Background(embedder.embed(np.stack(squares)))


class Trial:
    """An enrolled gallery in memory, and the ways to candidates over it."""

    def __init__(self, modality: ObjectModality, photographs: Sequence[bytes]) -> None:
        self._modality = modality
        self.templates = [self.extract(data, Mode.ENROL) for data in photographs]
        companion = modality.companion()
        if companion is None:
            raise SystemExit("the object modality has no second way to candidates")
        self._companion = companion
        for row, template in enumerate(self.templates):
            companion.add(row, template)

    def extract(self, data: bytes, mode: Mode) -> Template:
        """The template of a photograph."""
        extraction = self._modality.extract([Sample(data, "a photograph")], mode)[0]
        template = extraction.findings[0].template if extraction.findings else None
        if template is None:
            raise SystemExit(f"a photograph was rejected: {extraction.rejection}")
        return template

    def hardest(self, template: Template, without: int) -> list[int]:
        """The rows that either way puts first, but one."""
        _, above = cosines(template.vectors, [t.vectors for t in self.templates])
        order = np.argsort(-above)[: HARDEST + 1].tolist()
        voted = self._companion.search(template, HARDEST + 1, np.ones(len(self.templates), np.bool_))
        return [row for row in dict.fromkeys([*order, *voted.rows]) if row != without]

    def measure(self, template: Template, row: int) -> Measures:
        """What is measured between a probe and a row, as in a comparison of two alone."""
        return measured(template, [self.templates[row]])[0]


def attacked(
    trial: Trial, photographs: Sequence[bytes], withheld: Sequence[bytes], count: int, seed: int
) -> Iterator[Pair]:
    """Pairs of `count` probes with a mate and as many without, for each attack."""
    random = np.random.default_rng(seed)
    number = 0
    for name, attack in ATTACKS.items():
        chosen = random.choice(len(photographs), count, replace=False)
        jobs = [(int(n), photographs[n]) for n in chosen]
        jobs += [
            (-1, withheld[n]) for n in random.choice(len(withheld), min(count, len(withheld)), replace=False)
        ]
        for row, data in jobs:
            scene = load(withheld[int(random.integers(len(withheld)))])
            template = trial.extract(probe(attack, load(data), random, scene), Mode.PROBE)
            if row >= 0:
                yield Pair(number, True, True, False, trial.measure(template, row))
            for other in trial.hardest(template, row):
                yield Pair(number, row >= 0, False, False, trial.measure(template, other))
            number += 1
        print(f"  {name}: {number} probes so far", flush=True)


def shelved(
    products: Path, shelf: Path, distractors: Sequence[bytes], modality: ObjectModality
) -> Iterator[Pair]:
    """Pairs of every second photograph of a shelf with its product, and with its hardest strangers."""
    listed = sorted(products.glob("*.jpg"))
    trial = Trial(modality, [*(path.read_bytes() for path in listed), *distractors])
    names = [path.stem for path in listed]
    for number, path in enumerate(sorted(shelf.glob("*/*.jpg"))[::2], start=SHELVED_FROM):
        asked, row = trial.extract(path.read_bytes(), Mode.PROBE), names.index(path.parent.name)
        yield Pair(number, True, True, False, trial.measure(asked, row))
        for other in trial.hardest(asked, row):
            yield Pair(number, True, False, False, trial.measure(asked, other))


def cluttered(trial: Trial, withheld: Sequence[bytes], count: int, seed: int) -> Iterator[Pair]:
    """Pairs of other objects with the same clutter, and of one object twice in it."""
    random = np.random.default_rng(seed)
    number = -1
    for n in range(count):
        scene, one, other = (load(withheld[i]) for i in random.choice(len(withheld), 3, replace=False))
        for clutter in kinds(scene).values():
            asked = trial.extract(as_png(clutter(one, 3 * n)), Mode.PROBE)
            for thing, mate in ((one, True), (other, False)):
                template = trial.extract(as_png(clutter(thing, 3 * n + 1)), Mode.ENROL)
                yield Pair(number, mate, mate, True, measured(asked, [template])[0])
            number -= 1


def sensible(columns: Floats, mates: NDArray[np.bool_], each: Floats) -> tuple[Floats, float]:
    """As `fit`, but evidence never speaks against: a feature whose weight would be negative is left out.

    Only being mirrored may lower a score, since few photographs of one object are.
    """
    used = np.ones(columns.shape[1], np.bool_)
    may_lower = np.array([name == "mirrored" for name in FEATURES])
    while True:
        weights, bias = fit(columns * used, mates, each)
        wrong = (weights < 0) & ~may_lower & used
        if not wrong.any():
            return weights * used, bias
        used[int(np.argmin(np.where(wrong, weights, 0.0)))] = False


def fit(columns: Floats, mates: NDArray[np.bool_], each: Floats) -> tuple[Floats, float]:
    """Weights float64 [d] and bias of a logistic regression by Newton's method with a ridge; `each` pair counts."""
    middle, spread = columns.mean(0), columns.std(0) + 1e-9
    z = np.column_stack([(columns - middle) / spread, np.ones(len(columns))])
    ridge = RIDGE * np.r_[np.ones(z.shape[1] - 1), 1e-6]
    w = np.zeros(z.shape[1])
    for _ in range(50):
        share = 1 / (1 + np.exp(-np.clip(z @ w, -30, 30)))
        slope = z.T @ (each * (share - mates)) + ridge * w
        curve = (z * (each * share * (1 - share))[:, None]).T @ z + np.diag(ridge)
        w -= np.linalg.solve(curve, slope)
    weights = w[:-1] / spread
    return weights, float(w[-1] - weights @ middle)


def best_strangers(pairs: Sequence[Pair], scores: Floats) -> Floats:
    """The best score with inliers beyond chance of each probe that has no mate."""
    best: dict[int, float] = {}
    for pair, score in zip(pairs, scores.tolist(), strict=True):
        if not pair.mated and not pair.clutter:
            best[pair.probe] = max(
                best.get(pair.probe, -np.inf), score if pair.measured.beyond_chance else -np.inf
            )
    return np.array(list(best.values()))


def crossed(pairs: Sequence[Pair], columns: Floats, mates: NDArray[np.bool_], each: Floats) -> Floats:
    """Scores by weights that were fitted on the other half of the probes."""
    odd = np.array([pair.probe % 2 == 1 for pair in pairs])
    scores = np.zeros(len(pairs))
    for half in (odd, ~odd):
        weights, bias = sensible(columns[half], mates[half], each[half])
        scores[~half] = columns[~half] @ weights + bias
    return scores


def main() -> None:
    """Read the command line, measure, fit and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of photographs, jpg")
    parser.add_argument(
        "--background", type=Path, help="zip of photographs; the shipped one stays without it"
    )
    parser.add_argument("--products", type=Path, help="folder of NAME.jpg, for real photographs as well")
    parser.add_argument("--shelf", type=Path, help="folder of NAME/*.jpg, photographs of those products")
    parser.add_argument("--into", type=Path, required=True, help="the folder of models")
    parser.add_argument("--seed", type=int, default=101)
    parser.add_argument(
        "--probes", type=int, default=60, help="with a mate, for each attack; as many without"
    )
    parser.add_argument("--limit", type=int, default=1200, help="photographs that are used")
    parser.add_argument("--version", default="1")
    options = parser.parse_args()
    if options.background is not None:
        draw_background(options.background, options.seed).write(options.into / backgrounds.FILE)
    paths = sorted(options.data.glob("*.jpg"))
    order = np.random.default_rng(options.seed).permutation(len(paths))[: options.limit]
    photographs = [paths[n].read_bytes() for n in order]
    split = len(photographs) * 3 // 4
    modality = ObjectModality.load(calibration=None, turns=Turns(1))
    trial = Trial(modality, photographs[:split])
    pairs = list(attacked(trial, photographs[:split], photographs[split:], options.probes, options.seed))
    pairs += cluttered(trial, photographs[split:], options.probes, options.seed)
    if options.products is not None and options.shelf is not None:
        pairs += shelved(options.products, options.shelf, photographs[:SHELF_DISTRACTORS], modality)
    columns = np.stack([features(pair.measured) for pair in pairs])
    mates = np.array([pair.mate for pair in pairs])
    each = np.where([pair.clutter for pair in pairs], CLUTTER_COUNTS, 1.0)
    scores = crossed(pairs, columns, mates, each)
    strangers = best_strangers(pairs, scores)
    weights, bias = sensible(columns, mates, each)
    made = Fusion(
        weights,
        bias,
        strong_from=max(STRONG_LEAST, float(np.quantile(strangers, 1 - STRONG_RATE))),
        probable_from=max(PROBABLE_LEAST, float(np.quantile(strangers, 1 - PROBABLE_RATE))),
        version=options.version,
        fitted_on=f"{len(pairs)} comparisons of {len(photographs)} photographs, seed {options.seed}"
        + (", and of every second photograph of a shelf" if options.shelf is not None else ""),
    )
    made.write(options.into / fusions.FILE)
    report(made, pairs, scores, strangers)


def report(made: Fusion, pairs: Sequence[Pair], scores: Floats, strangers: Floats) -> None:
    """Print weights and how mates, strangers and clutter fare by the weights of the other half."""
    for name, weight in zip(FEATURES, made.weights, strict=True):
        print(f"{name:>14} {weight:8.3f}")
    print(f"{'bias':>14} {made.bias:8.3f}")
    print(f"probable from {made.probable_from:.2f}, strong from {made.strong_from:.2f}")
    for what, of in (
        ("mates", [p.mate and not p.clutter for p in pairs]),
        ("strangers", [not p.mate and not p.clutter for p in pairs]),
        ("mates in clutter", [p.mate and p.clutter for p in pairs]),
        ("strangers in clutter", [not p.mate and p.clutter for p in pairs]),
    ):
        chosen = scores[np.array(of)]
        print(
            f"{what:>22}: {len(chosen):,}; {np.mean(chosen >= made.probable_from):.2%} reach probable, "
            f"{np.mean(chosen >= made.strong_from):.2%} strong"
        )
    print(f"{len(strangers)} probes without a mate: best {np.sort(strangers)[-8:].round(2)}")


if __name__ == "__main__":
    main()

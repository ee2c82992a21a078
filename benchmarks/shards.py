"""Whether a gallery that is divided over several shards answers as one that is not.

    python benchmarks/shards.py [--fingers 600] [--things 150] [--probes 30] [--data FOLDER] [--seed N]

Everything is enrolled in one store and searched over 1, 2 and 4 shards of its log, with the same templates as
probes, INTERACTIVE (by shortlist) and EXHAUSTIVE. Fingers are drawn; things are drawn, or photographs in FOLDER;
each thing is searched with after an attack of the object benchmark, in turn. Printed, against the answers over one
shard: the share of probes whose list of `CANDIDATES` is the same, references and scores to the last bit; the share
whose first candidate is the same, with the same score; the largest difference between two scores of one pair among
the candidates of both lists.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from rich.progress import track

from benchmarks.common.object_attacks import ATTACKS, Pixels, load, probe
from benchmarks.common.object_clutter import as_png
from benchmarks.common.object_engine import CALLER
from benchmarks.common.table import Row, finish, parser
from likeness.domain.changes import RequestKey
from likeness.domain.deadline import NO_DEADLINE
from likeness.domain.modality import Modality
from likeness.domain.references import Facets, Reference
from likeness.domain.samples import Mode, Sample, Template
from likeness.domain.scope import Scope
from likeness.engine.engine import Engine
from likeness.engine.local_shard import LocalShard
from likeness.engine.memory import Memory
from likeness.engine.merge import Shards
from likeness.engine.shard import Scored, Shard, ShardQuery, part_of
from likeness.fingerprint.formats import Standard, write
from likeness.fingerprint.modality import FingerprintModality
from likeness.fingerprint.synthesis import impressions, record_of
from likeness.imaging.opencv import cv2
from likeness.inference.concurrency.turns import Turns
from likeness.object.modality import ObjectModality
from likeness.store.store import Store

CANDIDATES = 10
SHARDS = (1, 2, 4)
NOW = 1_800_000_000
"""Unix seconds of every search; nothing here expires."""
Answers = list[Sequence[Scored]]
"""The first `CANDIDATES` of every probe."""


def fingers(count: int, probes: int, seed: int) -> tuple[list[bytes], list[bytes]]:
    """Records of one impression each of `count` drawn fingers; and of a second one of the first `probes`."""
    drawn = [
        [write(record_of(one, 1), Standard.ISO_2005) for one in both] for both in impressions(count, 2, seed)
    ]
    return [first for first, _ in drawn], [second for _, second in drawn[:probes]]


def things(data: Path | None, count: int, probes: int, seed: int) -> tuple[list[bytes], list[bytes]]:
    """At most `count` photographs, and the first `probes` of them after attacks."""
    random = np.random.default_rng(seed)
    if data is None:
        images = [thing(random) for _ in range(count)]
    else:
        paths = sorted(path for path in data.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
        images = [load(paths[n].read_bytes()) for n in random.permutation(len(paths))[:count]]
    attacks = list(ATTACKS.values())
    attacked = [
        probe(attacks[n % len(attacks)], image, random, images[-1 - n])
        for n, image in enumerate(images[:probes])
    ]
    return [as_png(image) for image in images], attacked


def thing(random: np.random.Generator) -> Pixels:
    """Polygons and letters on a shaded ground: uint8 [260, 320, 3] RGB."""
    ramp = np.linspace(60, 200, 320)[None, :, None] * random.uniform(0.6, 1.2, 3)
    image = np.repeat(ramp, 260, axis=0).clip(0, 255).astype(np.uint8)
    for _ in range(25):
        colour, other = random.integers(0, 256, (2, 3)).tolist()
        at = random.integers(0, (320, 260))
        corners = at + random.integers(-36, 36, (int(random.integers(3, 6)), 2))
        cv2.fillPoly(image, [corners.astype(np.int32)], colour, cv2.LINE_AA)
        letters = "".join(chr(code) for code in random.integers(65, 91, 4))
        x, y = random.integers(0, (300, 260)).tolist()
        cv2.putText(image, letters, (x, y), cv2.FONT_HERSHEY_DUPLEX, 0.7, other, 2, cv2.LINE_AA)
    return image


def divided(modality: Modality, store: Store, count: int) -> Shard:
    """The whole log over so many shards."""
    parts = [LocalShard.folded(modality, store, holds=part_of(number, count)) for number in range(count)]
    return parts[0] if count == 1 else Shards(parts)


def enrol(modality: Modality, store: Store, references: Iterable[bytes]) -> None:
    """Each as a subject of its own."""
    engine = Engine(modality, store, divided(modality, store, 1), Memory(store))
    for number, data in enumerate(references):
        key = RequestKey(CALLER.entity, str(number), hashlib.sha256(data).digest())
        described = Reference("", modality.name, Facets(owner=CALLER.entity), subject_id=str(number))
        engine.enrol(CALLER, key, described, Sample(data, str(number)), override="benchmark")


def templates(modality: Modality, probes: Iterable[bytes]) -> list[Template]:
    """Those of the probes; a probe without one is left out."""
    extracted = (modality.extract([Sample(data, "probe")], Mode.PROBE)[0] for data in probes)
    return [f.template for one in extracted for f in one.findings[:1] if f.template is not None]


def answers(modality: Modality, shard: Shard, asked: Sequence[Template], exhaustive: bool) -> Answers:
    """The candidates of every probe."""
    count = modality.shortlist(CANDIDATES)
    queries = (ShardQuery(Scope(CALLER), NOW, (one,), count, exhaustive) for one in asked)
    return [shard.search(query, NO_DEADLINE).scored[0][:CANDIDATES] for query in queries]


def compared(what: str, whole: Answers, several: Answers, note: str) -> list[Row]:
    """How the answers over several shards differ from those over one."""

    def plain(scored: Sequence[Scored]) -> list[tuple[str, float]]:
        return [(reference_id, score.value) for reference_id, score in scored]

    pairs = [(plain(one), plain(other)) for one, other in zip(whole, several, strict=True)]
    apart = [
        abs(score - dict(other)[reference_id])
        for one, other in pairs
        for reference_id, score in one
        if reference_id in dict(other)
    ]
    return [
        Row(what, "list the same", float(np.mean([one == other for one, other in pairs])), note=note),
        Row(what, "first the same", float(np.mean([one[:1] == other[:1] for one, other in pairs]))),
        Row(what, "largest difference", max(apart, default=float("nan"))),
    ]


def measure(modality: Modality, references: Sequence[bytes], probes: Sequence[bytes]) -> list[Row]:
    """The figures of one modality."""
    with tempfile.TemporaryDirectory(prefix="likeness-bench-") as scratch:
        folder = Path(scratch)
        with Store.open(folder / "data", key_file=folder / "keys.json") as store:
            enrol(modality, store, track(references, f"enrolling {modality.name}"))
            asked = templates(modality, track(probes, "extracting probes"))
            shards = {count: divided(modality, store, count) for count in SHARDS}
            note = f"{len(references)} references, {len(asked)} probes"
            rows = []
            for profile, exhaustive in (("INTERACTIVE", False), ("EXHAUSTIVE", True)):
                found = {
                    count: answers(modality, shard, asked, exhaustive)
                    for count, shard in track(shards.items(), f"searching, {profile}")
                }
                for count in SHARDS[1:]:
                    what = f"{modality.name}, {profile}, {count} shards"
                    rows += compared(what, found[1], found[count], note)
            return rows


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--fingers", type=int, default=600, help="drawn fingers that are enrolled")
    arguments.add_argument("--things", type=int, default=150, help="photographs of things that are enrolled")
    arguments.add_argument("--probes", type=int, default=30, help="probes of each modality")
    chosen = arguments.parse_args()
    turns = Turns(2)
    rows = measure(
        FingerprintModality.load(calibration=None, turns=turns),
        *fingers(chosen.fingers, chosen.probes, chosen.seed),
    )
    rows += measure(
        ObjectModality.load(calibration=None, turns=turns),
        *things(chosen.data, chosen.things, chosen.probes, chosen.seed),
    )
    finish("Several shards against one", rows, chosen)


if __name__ == "__main__":
    main()

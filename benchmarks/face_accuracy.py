"""Accuracy of face comparison and identification, measured through the real service.

    python benchmarks/face_accuracy.py --data FOLDER [--model MODEL] [--detector MODEL] [--plot det.png]

FOLDER holds one folder of photographs per person. Every photograph is enrolled over gRPC, every score comes
out of Search and Compare, and a photograph that cannot be enrolled or searched counts against us.

1:1 - strangers: the first photographs of all people, each pair once. Mates: all pairs of photographs of one
person. TAR at an FMR: share of mates above the score that this share of strangers exceeds.
1:N - gallery: the second photograph of everyone with two or more, and the only photograph of half of the others
(shuffled with --seed). Mated probes: the first photographs of those with two or more; non-mated probes: the
other half. FNIR at an FPIR: share of mated probes whose mate is not first and above the score that lets that
share of non-mated probes through. See ISO/IEC 19795-1.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.progress import track

from benchmarks.common.biometrics import (
    NO_SCORE,
    Identification,
    Scores,
    Strangers,
    det_points,
    fnir_at_fpir,
    plot_det,
    rank_one,
    true_match_rate,
)
from benchmarks.common.people import Person, read_people
from benchmarks.common.service import running_service
from benchmarks.common.table import Row, finish, parser
from likeness.client import InvalidArgument, LikenessClient, metadata, reference, sample
from likeness.v1 import common_pb2 as common

FMRS = (1e-2, 1e-3, 1e-4)
FPIRS = (0.10, 0.01)
STRANGERS = "strangers"
IDENTIFICATION = "identification"
NEAREST = 400
"""Strangers asked for per photograph: enough that every pair above the thresholds of interest is among them,
which is checked."""

A = TypeVar("A")
B = TypeVar("B")


def central(photograph: Path) -> common.Sample:
    """A photograph whose subject is the face nearest to its centre."""
    return sample(photograph, selection=common.Selection(pick=common.PICK_MOST_CENTRAL))


class Trial:
    """The measurement: who is enrolled where, and what the service answers."""

    def __init__(self, client: LikenessClient, people: Sequence[Person], seed: int, callers: int) -> None:
        self._client = client
        self._people = people
        self._callers = callers
        singles = [p for p in people if len(p.photographs) == 1]
        random.Random(seed).shuffle(singles)
        self._enrolled_singles = {p.name for p in singles[: len(singles) // 2]}
        self._non_mated = singles[len(singles) // 2 :]
        self._mated = [p for p in people if len(p.photographs) > 1]
        self._owner: dict[str, int] = {}
        self.failed_probes = 0
        self.refused: Counter[str] = Counter()

    def _each(self, what: str, work: Callable[[A], B], items: Sequence[A]) -> Iterable[B]:
        with ThreadPoolExecutor(self._callers) as pool:
            yield from track(pool.map(work, items), description=what, total=len(items))

    def enrol(self) -> int:
        """Enrol every photograph; returns how many could not be."""
        jobs = [(n, i) for n, p in enumerate(self._people) for i in range(len(p.photographs))]
        for person in self._people:
            person.references = [None] * len(person.photographs)
        for (n, i), enrolled in zip(jobs, self._each("enrol  ", self._enrol_one, jobs), strict=True):
            self._people[n].references[i] = enrolled
            if enrolled is not None:
                self._owner[enrolled] = n
        return sum(r is None for p in self._people for r in p.references)

    def _enrol_one(self, job: tuple[int, int]) -> str | None:
        n, i = job
        person = self._people[n]
        galleries = [STRANGERS] if i == 0 else []
        if i == 1 or (i == 0 and person.name in self._enrolled_singles):
            galleries.append(IDENTIFICATION)
        try:
            answer = self._client.face.enroll(
                central(person.photographs[i]), metadata=metadata(galleries=galleries)
            )
        except InvalidArgument as error:
            self.refused[error.reason] += 1
            return None
        return answer.reference.reference_id

    def mates(self) -> Scores:
        """The scores of all pairs of photographs of one person."""
        pairs = [pair for p in self._people for pair in combinations(p.references, 2)]
        return np.fromiter(self._each("mates  ", self._mate_score, pairs), np.float64, len(pairs))

    def _mate_score(self, pair: tuple[str | None, str | None]) -> float:
        one, other = pair
        if one is None or other is None:
            return NO_SCORE
        return self._client.face.compare(reference(one), reference(other)).score.value

    def strangers(self) -> Strangers:
        """The pairs of first photographs, from one search each for the best `NEAREST` of the others."""
        usable = [n for n, p in enumerate(self._people) if p.references[0] is not None]
        scores: dict[tuple[int, int], float] = {}
        unseen = NO_SCORE
        answers = self._each("strangers", self._nearest, usable)
        for n, found in zip(usable, answers, strict=True):
            scores |= {(min(n, other), max(n, other)): score for other, score in found if other != n}
            if len(found) < len(usable):
                unseen = max(unseen, min((score for _, score in found), default=np.inf))
        pairs = len(usable) * (len(usable) - 1) // 2
        return Strangers(np.array(list(scores.values())), pairs, unseen)

    def _nearest(self, n: int) -> list[tuple[int, float]]:
        return self._search(self._people[n].photographs[0], STRANGERS, NEAREST)

    def mated(self) -> list[Identification]:
        """One search per mated probe."""
        return list(self._each("mated  ", self._identify, self._mated))

    def _identify(self, person: Person) -> Identification:
        found = self._search(person.photographs[0], IDENTIFICATION, 10)
        for rank, (other, score) in enumerate(found, start=1):
            if self._people[other] is person:
                return Identification(score, rank)
        return Identification(NO_SCORE, 0)

    def non_mated(self) -> Scores:
        """The best score that each non-mated probe found."""
        found = self._each(
            "others ", lambda p: self._search(p.photographs[0], IDENTIFICATION, 1), self._non_mated
        )
        return np.array([max((score for _, score in answer), default=NO_SCORE) for answer in found])

    def _search(self, photograph: Path, gallery: str, k: int) -> list[tuple[int, float]]:
        try:
            answer = self._client.face.search(central(photograph), galleries=[gallery], k=k)
        except InvalidArgument as error:
            self.refused[error.reason] += 1
            self.failed_probes += 1
            return []
        return [
            (self._owner[c.reference.reference_id], c.score.value)
            for found in answer.answers
            for c in found.candidates
        ]


def measure(trial: Trial, label: str, plot: Path | None) -> list[Row]:
    """Run the whole protocol."""
    failed = trial.enrol()
    mates = trial.mates()
    strangers = trial.strangers()
    mated, non_mated = trial.mated(), trial.non_mated()
    reasons = ", ".join(f"{reason} {count}" for reason, count in trial.refused.most_common())
    rows = [
        Row(label, "failed to enrol", failed, "photographs", reasons),
        Row(label, "failed to search", trial.failed_probes, "photographs"),
        Row(label, "rank-1", rank_one(mated), "", f"{len(mated)} mated probes"),
    ]
    for fmr in FMRS:
        threshold = strangers.threshold(fmr)
        note = f"score above {threshold:.3f}; {len(mates)} mates, {strangers.pairs} strangers"
        rows.append(Row(label, f"TAR@FMR {fmr:.0e}", true_match_rate(mates, threshold), "", note))
    for fpir in FPIRS:
        value = fnir_at_fpir(mated, non_mated, fpir)
        rows.append(Row(label, f"FNIR@FPIR {fpir:.0%}", value, "", f"{len(non_mated)} non-mated probes"))
    if plot is not None:
        plot_det(plot, {label: det_points(mates, strangers)}, "Face comparison, 1:1")
    return rows


def model_settings(arguments: argparse.Namespace, home: Path) -> dict[str, str]:
    """The settings that make the service use the models asked for.

    A bare graph gets a drafted manifest; how its input is prepared is found out on photographs of the data.
    """
    chosen = {"LIKENESS_FACE_RECOGNISER": arguments.model, "LIKENESS_FACE_DETECTOR": arguments.detector}
    settings = {}
    for variable, model in chosen.items():
        if model and model.endswith(".onnx"):
            name = variable.removeprefix("LIKENESS_").lower()
            add = [sys.executable, "-m", "likeness.cli", "models", "add", model, "--id", name]
            subprocess.run(
                [*add, "--home", str(home), "--faces", str(arguments.data)],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            settings[variable] = name
        elif model:
            settings[variable] = str(Path(model).resolve()) if model.endswith(".toml") else model
    return settings


def main() -> None:
    """Run the benchmark."""
    flags = parser(__doc__ or "")
    flags.formatter_class = argparse.RawDescriptionHelpFormatter
    flags.set_defaults(seed=11)
    flags.add_argument(
        "--model", metavar="MODEL", help="recogniser: an id, a manifest (.toml) or a graph (.onnx)"
    )
    flags.add_argument("--detector", metavar="MODEL", help="detector, likewise")
    flags.add_argument("--plot", type=Path, metavar="FILE", help="write the DET curve to this PNG")
    flags.add_argument("--callers", type=int, default=4, help="concurrent callers (default 4)")
    flags.add_argument("--limit", type=int, default=0, help="use the first so many people only (0: all)")
    arguments = flags.parse_args()
    if arguments.data is None:
        flags.error("--data FOLDER is needed: one folder of photographs per person")
    people = read_people(arguments.data)[: arguments.limit or None]
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        settings = model_settings(arguments, home) | {
            "LIKENESS_MODALITIES": "face",
            "LIKENESS_GRPC_MAX_K": str(NEAREST),
        }
        with (
            running_service(home=home, settings=settings) as address,
            LikenessClient(address, entity="BENCH", purpose="system_test", timeout=60) as client,
        ):
            label = Path(arguments.model).stem if arguments.model else "default"
            rows = measure(Trial(client, people, arguments.seed, arguments.callers), label, arguments.plot)
    finish("Face accuracy through the service", rows, arguments)


if __name__ == "__main__":
    main()

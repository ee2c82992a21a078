"""Throughput of the service over a bare loop of the same models, side by side in the same run.

    python benchmarks/serving.py --data FOLDER [--callers 1 4 16] [--with-policy]

FOLDER holds photographs, in folders or not. The bare loop decodes, detects, aligns and embeds with the very
sessions that the service uses and searches a plain FAISS index (or adds to one), in as many threads as there are
callers, but no more than the service computes with; it measures no quality, keeps nothing, answers nobody and
writes no audit entry. The service does all of that over gRPC, on the same cores as its clients here, in a process
of its own with an assistant (LIKENESS_FACE_ASSISTANT=false measures it without one); it lends idle cores
to a lone request, which a plain loop does not. Rounds of the two take turns, and the ratio is the median over the
rounds, since machines are noisy.

With `--with-policy` the service takes turns with another one instead, which answers over mutual TLS, judges every
call by the policies that ship, publishes scores in steps and counts quotas by subject and by probe: what identity,
policy and quotas cost.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks.common.service import running_service
from benchmarks.common.table import Row, finish, parser
from likeness.app.authority import Authority
from likeness.app.development_certificates import TRUST_DOMAIN, Made, make
from likeness.app.loading import load as load_modality
from likeness.app.settings import load
from likeness.client import LikenessClient, Tls, metadata, sample
from likeness.domain.access import Role
from likeness.domain.samples import Mode, Pick, Sample, Selection, Severity
from likeness.face.entry import ENTRY as FACE
from likeness.face.modality import FaceModality
from likeness.imaging.decode import decode
from likeness.inference.concurrency.threads import plan_threads
from likeness.inference.concurrency.turns import Turns
from likeness.v1 import common_pb2 as common

ENTITY = "BENCH"
SUFFIXES = {".jpg", ".jpeg", ".png"}
Work = Callable[[bytes], None]


class Bare:
    """The loop that the service is measured against: the same sessions, nothing else."""

    def __init__(self, modality: FaceModality) -> None:
        self._modality = modality
        self._embedder = modality.embedder.alone()
        self._index = faiss.IndexFlatIP(modality.space.dimension)
        self._lock = threading.Lock()

    def _embed(self, data: bytes) -> NDArray[np.float32]:
        """The embedding of the face nearest to the centre, float32 [1, d]."""
        image = decode(Sample(data))
        faces = self._modality.detector.detect(image)
        middle = np.array([image.shape[1], image.shape[0]]) / 2
        face = min(faces, key=lambda f: float(np.hypot(*(np.array(f.box.centre) - middle))))
        return self._embedder.embed(self._modality.align(image, face)[None])

    def enrol(self, data: bytes) -> None:
        """Embed and add."""
        vector = self._embed(data)
        with self._lock:
            self._index.add(vector)

    def search(self, data: bytes) -> None:
        """Embed and search for ten."""
        faiss.omp_set_num_threads(1)
        self._index.search(self._embed(data), 10)


class Served:
    """The same work asked of the service, by whom may enrol and whom may search."""

    def __init__(self, client: LikenessClient, owner: LikenessClient | None = None) -> None:
        self._client = client
        self._owner = owner or client
        self._selection = common.Selection(pick=common.PICK_MOST_CENTRAL)

    def enrol(self, data: bytes) -> None:
        """Enrol; durable on return."""
        chosen = sample(data, selection=self._selection)
        self._owner.face.enroll(chosen, metadata=metadata(galleries=["bench"]))

    def search(self, data: bytes) -> None:
        """Search for ten; recorded in the audit chain on return."""
        self._client.face.search(sample(data, selection=self._selection), galleries=["bench"], k=10)


def rate(work: Work, photographs: Sequence[bytes], callers: int) -> float:
    """Photographs per second with that many concurrent callers."""
    with ThreadPoolExecutor(callers) as pool:
        started = time.perf_counter()
        for _ in pool.map(work, photographs):
            pass
        return len(photographs) / (time.perf_counter() - started)


def usable(modality: FaceModality, folder: Path, count: int, seed: int) -> list[bytes]:
    """Photographs that can be enrolled, drawn at random, so that both sides do the same work."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    random.Random(seed).shuffle(paths)
    chosen: list[bytes] = []
    for path in paths:
        data = path.read_bytes()
        found = modality.extract([Sample(data, selection=Selection(Pick.MOST_CENTRAL))], Mode.ENROL)[0]
        bad = any(i.severity is Severity.REJECT for finding in found.findings for i in finding.issues)
        if found.findings and not bad:
            chosen.append(data)
        if len(chosen) == count:
            return chosen
    if not chosen:
        raise SystemExit(f"{folder} holds no photograph with a usable face")
    return chosen


def measure(
    bare: Bare, served: Served, photographs: Sequence[bytes], arguments: argparse.Namespace, threads: int
) -> list[Row]:
    """Both verbs at every number of callers, in turns."""
    rows = []
    for verb in ("enrol", "search"):
        for callers in arguments.callers:
            turns = [
                (
                    rate(getattr(bare, verb), photographs, min(callers, threads)),
                    rate(getattr(served, verb), photographs, callers),
                )
                for _ in range(arguments.rounds)
            ]
            what = f"{verb}, {callers} callers"
            rows += [
                Row(what, "bare loop", statistics.median(b for b, _ in turns), "1/s"),
                Row(what, "service", statistics.median(s for _, s in turns), "1/s"),
                Row(what, "ratio", statistics.median(s / b for b, s in turns), "", "bar: 0.85"),
                Row(what, "lowest ratio", min(s / b for b, s in turns), ""),
            ]
    return rows


def measure_policy(
    plain: Served, judged: Served, photographs: Sequence[bytes], arguments: argparse.Namespace
) -> list[Row]:
    """Both services at both verbs, in turns; then one search at a time, photograph by photograph."""
    rows = []
    for verb in ("enrol", "search"):
        for callers in arguments.callers:
            turns = [
                in_turn(turn, partial(rate_of, verb, photographs, callers), plain, judged)
                for turn in range(arguments.rounds)
            ]
            what = f"{verb}, {callers} callers"
            rows += [
                Row(what, "without policy", statistics.median(p for p, _ in turns), "1/s"),
                Row(what, "with policy", statistics.median(j for _, j in turns), "1/s"),
                Row(what, "ratio", statistics.median(j / p for p, j in turns), "", "bar: 0.9"),
            ]
    alone = ("without policy", "with policy")
    seconds: dict[str, list[float]] = {name: [] for name in alone}
    for turn, data in enumerate(photographs * arguments.rounds):
        both = in_turn(turn, partial(taken, data), plain, judged)
        for name, value in zip(alone, both, strict=True):
            seconds[name].append(value)
    middle = {name: 1000 * statistics.median(each) for name, each in seconds.items()}
    rows += [Row("one search at a time", name, value, "ms") for name, value in middle.items()]
    more = 1000 * statistics.median(j - p for p, j in zip(*seconds.values(), strict=True))
    rows.append(Row("one search at a time", "median difference", more, "ms", "bar: at most 1"))
    return rows


def in_turn(
    turn: int, measured: Callable[[Served], float], one: Served, other: Served
) -> tuple[float, float]:
    """What is measured of both; at every other turn of the other first, so that neither gains by its place."""
    if turn % 2:
        last = measured(other)
        return measured(one), last
    return measured(one), measured(other)


def rate_of(verb: str, photographs: Sequence[bytes], callers: int, side: Served) -> float:
    """Photographs per second that a service enrols or searches for."""
    return rate(getattr(side, verb), photographs, callers)


def taken(data: bytes, side: Served) -> float:
    """Seconds that one search takes."""
    started = time.perf_counter()
    side.search(data)
    return time.perf_counter() - started


@contextmanager
def service_with_policy() -> Iterator[Served]:
    """A service over mutual TLS with the policies that ship, and clients with the certificates of two roles."""
    with tempfile.TemporaryDirectory(prefix="likeness-bench-") as scratch:
        folder = Path(scratch)
        whose = Made("xx", ENTITY)
        make(folder, Authority(TRUST_DOMAIN), whose, hosts=("127.0.0.1",))
        settings = {"LIKENESS_CONFIG": str(folder / "likeness.toml")}
        with running_service(settings=settings) as address, ExitStack() as open_clients:
            clients = [
                open_clients.enter_context(
                    LikenessClient(
                        address,
                        entity=ENTITY,
                        purpose="system_test",
                        tls=Tls(folder / "authority.crt", folder / f"{role}.crt", folder / f"{role}.key"),
                    )
                )
                for role in (Role.EXAMINER, Role.DATA_OWNER)
            ]
            yield Served(*clients)


def main() -> None:
    """Run the benchmark."""
    flags = parser(__doc__ or "")
    flags.formatter_class = argparse.RawDescriptionHelpFormatter
    flags.add_argument("--callers", type=int, nargs="+", default=[1, 4, 16], help="concurrent callers")
    flags.add_argument("--photographs", type=int, default=200, help="photographs per round (default 200)")
    flags.add_argument("--rounds", type=int, default=5, help="turns of each side (default 5)")
    flags.add_argument("--with-policy", action="store_true", help="measure what policy costs instead")
    arguments = flags.parse_args()
    if arguments.data is None:
        flags.error("--data FOLDER is needed: a folder of photographs of faces")
    threads = plan_threads()
    modality = load_modality(FACE, load(None), Turns(threads))
    modality.warm()
    photographs = usable(modality, arguments.data, arguments.photographs, arguments.seed)
    with (
        running_service() as address,
        LikenessClient(address, entity=ENTITY, purpose="system_test") as client,
        ExitStack() as further,
    ):
        served = Served(client)
        judged = further.enter_context(service_with_policy()) if arguments.with_policy else None
        other: Bare | Served = judged or Bare(modality)
        for data in track(photographs, description="filling"):
            other.enrol(data)
            served.enrol(data)
        if judged is not None:
            rows = measure_policy(served, judged, photographs, arguments)
            finish("Service with policy over the service without", rows, arguments)
        elif isinstance(other, Bare):
            rows = measure(other, served, photographs, arguments, threads)
            finish(f"Service over a bare loop on {threads} threads", rows, arguments)


if __name__ == "__main__":
    main()

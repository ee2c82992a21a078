"""Whether a caller can tell by the clock what it may not know of: hidden references against ones that do not exist.

    python benchmarks/hidden_timing.py [--rounds 1000] [--references 1000] [--margin 0.02] [--seed N] [--json FILE]

A service in a process of its own, with the policies that ship and a small modality that costs next to nothing, so
that what it decides and reads is not lost in the time of a model. In every round each method is called, in an order
drawn anew, about a hidden reference, about one that does not exist, and about another that does not exist: the last
two measure what the noise of the machine alone makes of the same test. Get, Update, Expunge and Compare name an
identifier; "in a gallery" names a gallery that hidden references alone are in, each once; "of all" compares three
services of their own in the same process, of which one has the hidden references and the others have not.

Printed for each: the median for what is absent, by how much more a hidden one takes in the median, from where to
where at 90%, the odds that a hidden one takes longer (0.5 tells nothing), p of a two-sided rank test, and whether
the interval lies within --margin of the median time (1: it does), which is a test of equivalence at 5%. A smaller
difference than the margin is not excluded: with enough calls anything is measured.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import grpc
import numpy as np
from rich.console import Console
from rich.progress import track

from benchmarks.common.equivalence import Difference, difference
from benchmarks.common.table import Row, parser, print_table, write_json
from likeness.access.judging import CedarAccess
from likeness.access.sources import Sources
from likeness.app.settings import load
from likeness.domain.access import Principal
from likeness.domain.changes import RequestKey
from likeness.domain.errors import LikenessError
from likeness.domain.ids import new_id
from likeness.domain.quotas import QuotaLimits
from likeness.domain.references import Caller, Facets, Reference, Restrictions
from likeness.domain.samples import Sample
from likeness.engine.engine import Engine, Enrolled, Enrolment
from likeness.rpc.identity import AuthContext, Metadata
from likeness.testing.composition import LocalComposition
from likeness.testing.server import LocalServer
from likeness.testing.vectors import VectorModality
from likeness.v1 import common_pb2 as common
from likeness.v1 import face_pb2_grpc
from likeness.v1 import matching_pb2 as matching

DIRECTORY = """
[countries.AA]
[countries.BB]
[bureaus.NCB-AA]
country = "AA"
[bureaus.NCB-BB]
country = "BB"
[entities.AA-POLICE]
bureau = "NCB-AA"
[entities.BB-POLICE]
bureau = "NCB-BB"
[principals."spiffe://hub.test/bb"]
entities = ["BB-POLICE"]
roles = ["supervisor", "data_owner"]
"""
OWNER, CALLER, UNLISTED = "AA-POLICE", "BB-POLICE", "GONE"
UNLIMITED = QuotaLimits(hour=10**9, day=10**9, subject=10**9, probe=10**9)
CONTEXT = common.CallerContext(entity=CALLER, purpose=common.PURPOSE_WANTED_PERSON)
PROBE = common.Sample(data=b"1,0")
WARM = 50
"""Rounds before those that are counted."""
WIDTH = 132
"""Characters of the table, whose columns would else be cut."""
ARMS = ("hidden", "absent", "absent again")
WORLDS = {"named": True, **{arm: arm == "hidden" for arm in ARMS}}
"""Whether there is something hidden in each. "Of all" has worlds of its own, each of which is asked as often."""


@dataclass(frozen=True, slots=True)
class Named:
    """What calls are about: an identifier, and a gallery, which is in use for hidden references or not at all."""

    reference_id: str
    gallery: str


@dataclass(frozen=True, slots=True)
class World:
    """Where a service listens, and what is hidden in it."""

    port: int
    hidden: tuple[Named, ...]


Stub = face_pb2_grpc.FaceServiceStub
Call = Callable[[Stub, Named], object]
CALLS: dict[str, Call] = {
    "Get": lambda stub, named: stub.Get(matching.GetRequest(caller=CONTEXT, reference_id=named.reference_id)),
    "Update": lambda stub, named: stub.Update(
        matching.UpdateRequest(
            caller=CONTEXT,
            request_id=f"update-{new_id()}",
            reference_id=named.reference_id,
            metadata=common.ReferenceMetadata(subject_id="mine"),
        )
    ),
    "Expunge": lambda stub, named: stub.Expunge(
        matching.ExpungeRequest(
            caller=CONTEXT, request_id=f"expunge-{new_id()}", reference_id=named.reference_id
        )
    ),
    "Compare": lambda stub, named: stub.Compare(
        matching.CompareRequest(
            caller=CONTEXT,
            probe=matching.Comparand(sample=PROBE),
            candidate=matching.Comparand(reference_id=named.reference_id),
        )
    ),
    "List in a gallery": lambda stub, named: stub.List(
        matching.ListRequest(caller=CONTEXT, galleries=[named.gallery])
    ),
    "Search in a gallery": lambda stub, named: stub.Search(
        matching.SearchRequest(
            caller=CONTEXT, probe=PROBE, options=common.SearchOptions(galleries=[named.gallery])
        )
    ),
}
OF_ALL: dict[str, Callable[[Stub], object]] = {
    "List of all": lambda stub: stub.List(matching.ListRequest(caller=CONTEXT)),
    "Search of all": lambda stub: stub.Search(matching.SearchRequest(caller=CONTEXT, probe=PROBE)),
}


class _Unobserved:
    """Implements `likeness.access.judging.Observer`: the rules do not change."""

    def taken(self, digest: str) -> None:
        """Nothing to do."""

    def refused(self, digest: str, error: LikenessError) -> None:
        """Nothing to do."""

    def suspensions_taken(self, digest: str) -> None:
        """Nothing to do."""

    def failed(self, errors: tuple[str, ...]) -> None:
        """Nothing to do."""


def _proven(auth_context: AuthContext, metadata: Metadata) -> Principal:
    del auth_context, metadata
    return Principal("spiffe://hub.test/bb")


def _described(number: int, *, hidden: bool) -> Reference:
    """Every other hidden one is hidden by its owner, the rest by the policy."""
    limits = Restrictions(denied_entities=frozenset({CALLER})) if hidden and number % 2 else Restrictions()
    gallery = f"hidden-{number:07}" if hidden else "open"
    owner = OWNER if not hidden or number % 2 else UNLISTED
    return Reference("", "face", Facets(owner, frozenset({gallery}), restrictions=limits))


def _enrolled(engine: Engine, count: int, seed: int, *, hidden: bool) -> Iterator[Named]:
    drawn = np.random.default_rng([seed, hidden]).normal(size=(count, 8))
    described = [_described(number, hidden=hidden) for number in range(count)]
    enrolments = (
        Enrolment(
            Caller(one.facets.owner),
            RequestKey(one.facets.owner, f"{hidden}-{number}", hashlib.sha256(b"").digest()),
            one,
            Sample(",".join(f"{value:.6f}" for value in vector).encode()),
        )
        for number, (one, vector) in enumerate(zip(described, drawn, strict=True))
    )
    for made in engine.enrol_many(enrolments):
        if not isinstance(made, Enrolled):
            raise made
        yield Named(made.reference.reference_id, next(iter(made.reference.facets.galleries)))


def serve(pipe: Connection, home: Path, open_ones: int, hidden_ones: int, seed: int) -> None:
    """Serve all worlds until something is sent."""
    (home / "directory.toml").write_text(DIRECTORY)
    access = CedarAccess(Sources(home / "directory.toml", None, home / "suspended.json"), _Unobserved())
    with ExitStack() as stack:
        worlds = []
        for name, has_hidden in WORLDS.items():
            given = {"home": home / name, "address": "127.0.0.1:0", "quotas.refusals": UNLIMITED.hour}
            settings = load(environment={}, overrides=given)
            server = stack.enter_context(
                LocalServer(
                    settings,
                    lambda made: LocalComposition.open(made.home, VectorModality(), limits=UNLIMITED),
                    access=access,
                    prove=_proven,
                )
            )
            engine = server.composition.engines["face"]
            hidden = tuple(_enrolled(engine, hidden_ones if has_hidden else 0, seed, hidden=True))
            list(_enrolled(engine, open_ones, seed, hidden=False))
            worlds.append(World(server.server.port, hidden))
        pipe.send(worlds)
        pipe.recv()


@dataclass
class Times:
    """Seconds of every call, by what was called and by arm."""

    seconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def take(self, what: str, arm: str, call: Callable[[], object]) -> None:
        """Time a call, answered or refused."""
        begun = time.perf_counter()
        try:
            call()
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
        took = time.perf_counter() - begun
        self.seconds.setdefault(what, {}).setdefault(arm, []).append(took)

    def compared(self, what: str, arm: str, other: str) -> Difference:
        """One arm against another, without the first rounds."""
        first, second = (np.array(self.seconds[what][name][WARM:]) for name in (arm, other))
        return difference(first, second)


def measure(worlds: Sequence[World], rounds: int, seed: int) -> Times:
    """Call every method in every round about each arm, in an order drawn anew."""
    times, draw = Times(), random.Random(seed)
    channels = [grpc.insecure_channel(f"127.0.0.1:{world.port}") for world in worlds]
    named, *twins = map(face_pb2_grpc.FaceServiceStub, channels)
    stubs = dict(zip(ARMS, twins, strict=True))
    hidden = draw.sample(worlds[0].hidden, rounds)
    absent = [Named(new_id(), f"absent-{number:07}") for number in range(2 * rounds)]
    for number in track(range(rounds), description="calling"):
        abouts = dict(zip(ARMS, (hidden[number], *absent[2 * number : 2 * number + 2]), strict=True))
        for what, arm in draw.sample([(what, arm) for what in CALLS for arm in ARMS], len(CALLS) * len(ARMS)):
            times.take(what, arm, partial(CALLS[what], named, abouts[arm]))
        for what, arm in draw.sample(
            [(what, arm) for what in OF_ALL for arm in ARMS], len(OF_ALL) * len(ARMS)
        ):
            times.take(what, arm, partial(OF_ALL[what], stubs[arm]))
    for channel in channels:
        channel.close()
    return times


def rows(times: Times, margin: float) -> list[Row]:
    """The figures of each method; `margin` as a share of its median."""
    made = []
    for what in (*CALLS, *OF_ALL):
        found, noise = (
            times.compared(what, "hidden", "absent"),
            times.compared(what, "absent again", "absent"),
        )
        limit = margin * found.other
        made += [
            Row(what, "absent", found.other * 1e3, "ms"),
            Row(what, "more", found.shift * 1e6, "µs"),
            Row(what, "from", found.low * 1e6, "µs"),
            Row(what, "to", found.high * 1e6, "µs"),
            Row(what, "odds", found.odds),
            Row(what, "p", found.p),
            Row(what, "margin", limit * 1e6, "µs"),
            Row(what, "equal", found.is_within(limit)),
            Row(what, "more by noise", noise.shift * 1e6, "µs"),
            Row(what, "p of noise", noise.p),
        ]
    return made


def main() -> None:
    """Run the benchmark."""
    flags = parser(__doc__ or "")
    flags.formatter_class = argparse.RawDescriptionHelpFormatter
    flags.add_argument("--rounds", type=int, default=1000, help="calls of each kind (default 1000)")
    flags.add_argument(
        "--references",
        type=int,
        default=1000,
        help="that the caller sees; as many as rounds are hidden (default 1000)",
    )
    flags.add_argument(
        "--margin",
        type=float,
        default=0.02,
        help="of the median, within which times are equal (default 0.02)",
    )
    arguments = flags.parse_args()
    rounds = arguments.rounds + WARM
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    with tempfile.TemporaryDirectory(prefix="likeness-hidden-") as scratch:
        given = (theirs, Path(scratch), arguments.references, rounds, arguments.seed)
        service = spawn.Process(target=serve, args=given, daemon=True)
        service.start()
        theirs.close()
        times = measure(ours.recv(), rounds, arguments.seed)
        ours.send(None)
        service.join()
    found = rows(times, arguments.margin)
    print_table("Hidden against absent", found, by_what=True, console=Console(width=WIDTH))
    if arguments.json is not None:
        write_json(arguments.json, found)


if __name__ == "__main__":
    main()

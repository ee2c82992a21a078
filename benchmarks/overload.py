"""What callers see when far more is asked than the service can do, and when a peer begins calls and resets them.

    python benchmarks/overload.py [--data FOLDER] [--times 10] [--seconds 15]

The capacity is measured first, with as many callers as the service computes with. Then searches arrive at `--times`
that rate for `--seconds`, evenly, whatever becomes of the earlier ones, over eight connections and without retries,
from a process of its own. Reported: what was answered a second, how long answers and rejections took, with which
status rejections came and whether they stated when to come back, and how long a health check took meanwhile.

The last part is a rapid reset: one connection begins searches and resets each at once for `--seconds`, while
callers on connections of their own ask at half the capacity; they should not notice. Photographs come from FOLDER,
or are textures drawn at random; they are searched for among objects.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.common.service import running_service
from benchmarks.common.table import Row, finish, parser
from likeness.client.errors import from_rpc
from likeness.inference.concurrency.threads import plan_threads
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching
from likeness.v1 import object_pb2_grpc

CONNECTIONS = 8
PATIENCE = 60.0
"""Seconds that a caller waits for an answer."""

PHOTOGRAPHS = 16
SIDE = 640
"""Pixels of a drawn texture."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One call: `code` its status, `seconds` until it was known, `comes_back` whether it stated when to try
    again."""

    code: str
    seconds: float
    comes_back: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """Searches at `rate` a second for `seconds`."""

    address: str
    photographs: Sequence[bytes]
    rate: float
    seconds: float


Measured = tuple[list[Outcome], list[Outcome], float]


def photographs(arguments: argparse.Namespace) -> list[bytes]:
    """What is searched for: files of the folder, or textures drawn at random."""
    if arguments.data is not None:
        paths = sorted(p for p in arguments.data.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
        random.Random(arguments.seed).shuffle(paths)
        return [path.read_bytes() for path in paths[:PHOTOGRAPHS]]
    random_numbers = np.random.default_rng(arguments.seed)
    drawn = []
    for _ in range(PHOTOGRAPHS):
        small = random_numbers.integers(0, 256, (SIDE // 8, SIDE // 8, 3), dtype=np.uint8)
        drawn.append(bytes(cv2.imencode(".jpg", cv2.resize(small, (SIDE, SIDE)))[1]))
    return drawn


def request(photograph: bytes) -> matching.SearchRequest:
    """A search for ten."""
    return matching.SearchRequest(
        caller=common.CallerContext(entity="BENCH", purpose=common.PURPOSE_SYSTEM_TEST),
        probe=common.Sample(data=photograph),
        options=common.SearchOptions(k=10),
    )


def _channel(address: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])


async def _search(stub: object_pb2_grpc.ObjectServiceAsyncStub, asked: matching.SearchRequest) -> Outcome:
    begun = time.perf_counter()
    try:
        await stub.Search(asked, timeout=PATIENCE)
    except grpc.RpcError as error:
        failed = from_rpc(error)
        return Outcome(failed.code.name, time.perf_counter() - begun, failed.is_transient)
    return Outcome("OK", time.perf_counter() - begun)


async def _capacity(address: str, data: Sequence[bytes], callers: int, seconds: float) -> float:
    """Searches a second of so many callers, each of whom asks again when answered."""
    channels = [_channel(address) for _ in range(callers)]
    ends = time.perf_counter() + seconds
    asked = [request(photograph) for photograph in data]

    async def ask(channel: grpc.aio.Channel) -> int:
        stub, done = object_pb2_grpc.ObjectServiceStub(channel), 0
        while time.perf_counter() < ends:
            await stub.Search(asked[done % len(asked)], timeout=PATIENCE)
            done += 1
        return done

    begun = time.perf_counter()
    done = await asyncio.gather(*(ask(channel) for channel in channels))
    rate = sum(done) / (time.perf_counter() - begun)
    await asyncio.gather(*(channel.close(None) for channel in channels))
    return rate


async def _health(address: str, over: asyncio.Event) -> list[Outcome]:
    """Five checks a second."""
    found = []
    async with _channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while not over.is_set():
            begun = time.perf_counter()
            try:
                await stub.Check(health_pb2.HealthCheckRequest(service="live"), timeout=PATIENCE)
                found.append(Outcome("OK", time.perf_counter() - begun))
            except grpc.RpcError as error:
                found.append(Outcome(error.code().name, time.perf_counter() - begun))
            await asyncio.sleep(0.2)
    return found


async def _reset(address: str, asked: matching.SearchRequest, over: asyncio.Event) -> int:
    """Begin calls on one connection and reset each at once, as fast as this process can."""
    begun = 0
    async with _channel(address) as channel:
        stub = object_pb2_grpc.ObjectServiceStub(channel)
        while not over.is_set():
            calls = [stub.Search(asked) for _ in range(50)]
            await asyncio.sleep(0)
            for call in calls:
                call.cancel()
            begun += len(calls)
            await asyncio.sleep(0.001)
    return begun


async def _arriving(load: Load) -> Measured:
    """Outcomes of the searches and of the health checks, and the seconds until the last."""
    channels = [_channel(load.address) for _ in range(CONNECTIONS)]
    stubs = [object_pb2_grpc.ObjectServiceStub(channel) for channel in channels]
    asked = [request(photograph) for photograph in load.photographs]
    over = asyncio.Event()
    checks = asyncio.create_task(_health(load.address, over))
    calls = []
    begun = time.perf_counter()
    for number in range(int(load.rate * load.seconds)):
        await asyncio.sleep(max(0.0, begun + number / load.rate - time.perf_counter()))
        calls.append(asyncio.create_task(_search(stubs[number % len(stubs)], asked[number % len(asked)])))
    found = await asyncio.gather(*calls)
    seconds = time.perf_counter() - begun
    over.set()
    healthy = await checks
    await asyncio.gather(*(channel.close(None) for channel in channels))
    return found, healthy, seconds


def _run_load(load: Load) -> Measured:
    return asyncio.run(_arriving(load))


def _run_resets(address: str, photograph: bytes, seconds: float) -> int:
    async def run() -> int:
        over = asyncio.Event()
        asyncio.get_running_loop().call_later(seconds, over.set)
        return await _reset(address, request(photograph), over)

    return asyncio.run(run())


def _times(what: str, outcomes: Sequence[Outcome], name: str) -> list[Row]:
    if not outcomes:
        return [Row(what, f"{name}, number", 0)]
    seconds = sorted(outcome.seconds for outcome in outcomes)
    return [
        Row(what, f"{name}, number", len(seconds)),
        Row(what, f"{name}, median", statistics.median(seconds) * 1000, "ms"),
        Row(what, f"{name}, 99%", seconds[min(len(seconds) - 1, int(len(seconds) * 0.99))] * 1000, "ms"),
        Row(what, f"{name}, longest", seconds[-1] * 1000, "ms"),
    ]


def rows(what: str, found: Sequence[Outcome], healthy: Sequence[Outcome], seconds: float) -> list[Row]:
    """The figures of one load."""
    answered = [outcome for outcome in found if outcome.code == "OK"]
    refused = [outcome for outcome in found if outcome.code != "OK"]
    codes = Counter(outcome.code for outcome in refused)
    silent = sum(not outcome.comes_back for outcome in refused)
    return [
        Row(
            what,
            "answered",
            len(answered) / seconds,
            "1/s",
            "statuses of the rest: " + (str(dict(codes)) or "none"),
        ),
        *_times(what, answered, "answers"),
        *_times(what, refused, "rejections"),
        Row(what, "rejections not to be retried", silent),
        *_times(what, healthy, "health checks"),
    ]


def main() -> None:
    """Run the benchmark."""
    flags = parser(__doc__ or "")
    flags.formatter_class = argparse.RawDescriptionHelpFormatter
    flags.add_argument("--times", type=float, default=10.0, help="load, in capacities (default 10)")
    flags.add_argument("--seconds", type=float, default=15.0, help="of each load (default 15)")
    arguments = flags.parse_args()
    data = photographs(arguments)
    spawn = multiprocessing.get_context("spawn")
    with running_service() as address, spawn.Pool(2) as pool:
        capacity = asyncio.run(_capacity(address, data, plan_threads(), arguments.seconds))
        made = [Row("capacity", "answered", capacity, "1/s")]
        load = Load(address, data, capacity * arguments.times, arguments.seconds)
        made += rows(f"{arguments.times:g} times the capacity", *pool.apply(_run_load, (load,)))
        calm = Load(address, data, capacity / 2, arguments.seconds)
        made += rows("half the capacity", *pool.apply(_run_load, (calm,)))
        resets = pool.apply_async(_run_resets, (address, data[0], arguments.seconds))
        made += rows("half, during a rapid reset", *pool.apply(_run_load, (calm,)))
        made.append(Row("half, during a rapid reset", "calls reset", resets.get() / arguments.seconds, "1/s"))
    finish("Overload", made, arguments)


if __name__ == "__main__":
    main()

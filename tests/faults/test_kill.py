"""SIGKILL at random points under mixed writes: nothing acknowledged is lost, nothing expunged comes back.

LIKENESS_FAULT_ROUNDS sets the number of kills (the suite runs a few, a release a hundred).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from likeness.client import CallFailed, LikenessClient, metadata
from likeness.client import NotFound as Missing
from likeness.v1 import common_pb2 as common
from tests.waiting import PATIENCE

ROUNDS = int(os.environ.get("LIKENESS_FAULT_ROUNDS", "5"))
WRITERS = 3
MOST_ACTS = 60
"""Of one round: the server is killed after some number of acknowledged writes up to this."""


@dataclass
class Truth:
    """What the service acknowledged. `galleries`: reference -> the gallery that it must be found in.

    A write that was under way when the server died may or may not have happened: its reference is `unsure`.
    """

    vectors: dict[str, str] = field(default_factory=dict)
    galleries: dict[str, str] = field(default_factory=dict)
    expunged: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    position: int = 0
    acknowledged: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def server(home: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "tests.faults.vector_server", str(home)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        assert address, f"the server ended with {process.wait(PATIENCE)} instead of starting"
        yield address, process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def write_until_it_dies(address: str, truth: Truth, seed: int) -> None:
    draw = random.Random(seed)
    with LikenessClient(
        address, entity="NCB-AA", purpose="system_test", retries=0, timeout=PATIENCE
    ) as client:
        mine: list[str] = []
        for _ in range(10_000):
            target = draw.choice(mine) if mine else ""
            try:
                act(client, truth, draw, target, mine)
                with truth.lock:
                    truth.acknowledged += 1
            except CallFailed:
                with truth.lock:
                    truth.unsure.add(target)
                return


def act(client: LikenessClient, truth: Truth, draw: random.Random, target: str, mine: list[str]) -> None:
    chance = draw.random()
    if not target or chance < 0.6:
        vector = ",".join(f"{draw.gauss(0, 1):.4f}" for _ in range(8))
        answer = client.face.enroll(vector.encode(), metadata=metadata(galleries=["first"]))
        with truth.lock:
            truth.vectors[answer.reference.reference_id] = vector
            truth.galleries[answer.reference.reference_id] = "first"
            truth.position = max(truth.position, answer.log_position)
        mine.append(answer.reference.reference_id)
    elif chance < 0.8:
        gallery = f"moved-{draw.randrange(3)}"
        client.face.update(target, metadata(owner="NCB-AA", galleries=[gallery], status="active"))
        with truth.lock:
            truth.galleries[target] = gallery
    else:
        mine.remove(target)
        client.face.expunge(target, "test")
        with truth.lock:
            truth.expunged.add(target)


def check(address: str, truth: Truth) -> None:
    with LikenessClient(address, entity="NCB-AA", purpose="system_test", timeout=PATIENCE) as client:
        listed = {r.reference_id: list(r.metadata.galleries) for r in client.face.list(page_size=1000)}
        for reference_id, gallery in truth.galleries.items():
            if reference_id in truth.unsure:
                continue
            if reference_id in truth.expunged:
                assert reference_id not in listed
                assert client.face.get(reference_id).metadata.status == common.STATUS_EXPUNGED
            else:
                assert listed[reference_id] == [gallery]
        certain = [r for r in truth.vectors if r not in truth.unsure]
        for reference_id in random.Random(1).sample(certain, min(25, len(certain))):
            answer = client.face.search(
                truth.vectors[reference_id].encode(), k=3, min_log_position=truth.position
            )
            found = [c.reference.reference_id for c in answer.answers[0].candidates]
            assert (reference_id in found) == (reference_id not in truth.expunged)
            assert not truth.expunged.difference(truth.unsure).intersection(found)


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_and_nothing_expunged_returns(tmp_path: Path) -> None:
    truth = Truth()
    for number in range(ROUNDS):
        with server(tmp_path) as (address, process):
            check(address, truth)
            writers = [
                threading.Thread(target=write_until_it_dies, args=(address, truth, 100 * number + i))
                for i in range(WRITERS)
            ]
            for writer in writers:
                writer.start()
            draw = random.Random(number)
            enough = truth.acknowledged + draw.randrange(3, MOST_ACTS)
            while truth.acknowledged < enough and any(writer.is_alive() for writer in writers):
                time.sleep(0.002)
            time.sleep(draw.uniform(0, 0.01))
            process.send_signal(signal.SIGKILL)
            for writer in writers:
                writer.join()
    with server(tmp_path) as (address, _):
        check(address, truth)
    assert len(truth.vectors) > ROUNDS
    assert truth.expunged - truth.unsure


def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with server(tmp_path):
        command = [sys.executable, "-m", "tests.faults.vector_server", str(tmp_path)]
        second = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert second.returncode != 0
        assert "open" in second.stderr


def test_an_expunged_reference_is_not_found(tmp_path: Path) -> None:
    with (
        server(tmp_path) as (address, _),
        LikenessClient(address, entity="NCB-AA", purpose="system_test", timeout=PATIENCE) as client,
        LikenessClient(address, entity="NCB-BB", purpose="system_test") as other,
    ):
        enrolled = client.face.enroll(b"1,0", metadata=metadata(galleries=["g"]))
        client.face.expunge(enrolled.reference.reference_id, "over")
        with pytest.raises(Missing):
            other.face.get(enrolled.reference.reference_id)

"""Streams of enrolments: every item has its outcome, whatever happens to the others or to the connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from likeness.client import (
    Enrolment,
    Internal,
    InvalidArgument,
    LikenessClient,
    Outcome,
    ResourceExhausted,
    Unavailable,
    metadata,
)
from likeness.telemetry import metrics
from tests.contract.conftest import HoldingModality, Served
from tests.waiting import PATIENCE, eventually

LABELS = {"service": "likeness.v1.FaceService", "method": "EnrollMany"}


def by_tag(outcomes: list[Outcome]) -> dict[object, Outcome]:
    found = {outcome.enrolment.tag: outcome for outcome in outcomes}
    assert len(found) == len(outcomes)
    return found


def items(count: int) -> Iterator[Enrolment]:
    for n in range(count):
        yield Enrolment(f"1,{n},0".encode(), request_id=f"item-{n}", tag=n)


def test_every_item_of_a_stream_has_its_outcome_and_a_bad_one_does_not_end_it(
    client: LikenessClient, tmp_path: Path
) -> None:
    picture = tmp_path / "ok.txt"
    picture.write_bytes(b"0,0,1")
    given = [
        Enrolment(b"1,0,0", tag="good"),
        Enrolment(b"no numbers", tag="bad sample"),
        Enrolment(b"0,1,0", metadata(owner="NCB-ZZ"), tag="not mine"),
        Enrolment(b"0,1,0", request_id="not printable\n", tag="bad id"),
        Enrolment(tmp_path / "absent.jpg", tag="absent"),
        Enrolment(picture, tag="file"),
    ]
    outcomes = by_tag(list(client.face.enroll_many(given)))
    enrolled = {tag for tag, outcome in outcomes.items() if outcome.enrolled is not None}
    assert enrolled == {"good", "file"}
    reasons = {tag: o.rejected.reason for tag, o in outcomes.items() if o.rejected is not None}
    assert reasons == {
        "bad sample": "NOT_A_VECTOR",
        "not mine": "OWNER_IS_NOT_CALLER",
        "bad id": "INVALID_INPUT",
        "absent": "UNREADABLE_FILE",
    }
    refused = outcomes["bad id"].rejected
    assert refused is not None
    assert isinstance(refused, InvalidArgument)
    assert [violation.field for violation in refused.field_violations] == ["request_id"]
    assert len(list(client.face.list())) == 2


def test_an_unexpected_fault_rejects_its_item_with_an_incident(
    client: LikenessClient, modality: HoldingModality
) -> None:
    modality.broken = True
    (outcome,) = client.face.enroll_many([Enrolment(b"1,0,0")])
    assert outcome.rejected is not None
    assert isinstance(outcome.rejected, Internal)
    assert outcome.rejected.reason == "INTERNAL"
    assert outcome.rejected.metadata["incident"] in outcome.rejected.message


def test_items_are_worked_on_at_once_within_the_window(
    prepare: Callable[..., Served], modality: HoldingModality
) -> None:
    client = prepare(stream_window=3, bulk_workers=3).start().client()
    taken = 0

    def source() -> Iterator[Enrolment]:
        nonlocal taken
        for n in range(12):
            taken += 1
            yield Enrolment(f"1,{n},0|hold".encode())

    with ThreadPoolExecutor(1) as pool:
        outcomes = pool.submit(lambda: list(client.face.enroll_many(source(), window=4)))
        modality.wait_until_inside(3)
        eventually(lambda: taken >= 4)
        assert not modality.inside.acquire(timeout=0.2)
        assert taken == 4
        modality.go_on.set()
        assert len(outcomes.result(PATIENCE)) == 12


def test_bulk_leaves_workers_for_single_requests(
    prepare: Callable[..., Served], modality: HoldingModality
) -> None:
    client = prepare(workers=3, bulk_workers=2).start().client()
    with ThreadPoolExecutor(1) as pool:
        held = (Enrolment(f"1,{n},0|hold".encode()) for n in range(8))
        outcomes = pool.submit(lambda: list(client.face.enroll_many(held)))
        modality.wait_until_inside(2)
        assert len(client.face.search(b"1,0,0").answers) == 1
        modality.go_on.set()
        assert len(outcomes.result(PATIENCE)) == 8


def test_the_same_items_again_are_replayed_and_not_looked_at_again(
    client: LikenessClient, modality: HoldingModality
) -> None:
    first = by_tag(list(client.face.enroll_many(items(20))))
    again = by_tag(list(client.face.enroll_many(items(20))))
    for tag, outcome in again.items():
        before = first[tag].enrolled
        assert outcome.enrolled is not None
        assert before is not None
        assert outcome.enrolled.replayed
        assert outcome.enrolled.reference.reference_id == before.reference.reference_id
    assert len(modality.seen) == 20


def test_a_stream_that_is_left_early_ends_and_its_workers_are_free(
    served: Served, client: LikenessClient
) -> None:
    stream = client.face.enroll_many(items(1000))
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    in_flight = "likeness_rpc_in_flight"
    eventually(lambda: metrics.REGISTRY.get_sample_value(in_flight, LABELS) == 0)
    assert len(client.face.search(b"1,0,0").answers) == 1


def test_an_error_of_the_callers_own_iterable_reaches_the_caller(client: LikenessClient) -> None:
    def source() -> Iterator[Enrolment]:
        yield Enrolment(b"1,0,0")
        raise LookupError("the list ends here")

    with pytest.raises(LookupError, match="ends here"):
        list(client.face.enroll_many(source()))


def test_streams_are_limited_apart_from_requests(
    prepare: Callable[..., Served], modality: HoldingModality
) -> None:
    served = prepare(max_streams=1).start()
    client = served.client(retries=0)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(lambda: list(client.face.enroll_many([Enrolment(b"1,0,0|hold")])))
        modality.wait_until_inside()
        with pytest.raises(ResourceExhausted, match="1 streams are open"):
            list(client.face.enroll_many([Enrolment(b"1,0,0")]))
        assert len(client.face.search(b"1,0,0").answers) == 1
        modality.go_on.set()
        assert len(first.result(PATIENCE)) == 1


def test_a_draining_service_finishes_the_items_that_had_begun_and_ends_the_stream(
    prepare: Callable[..., Served], modality: HoldingModality
) -> None:
    served = prepare(bulk_workers=2).start()
    outcomes: list[Outcome] = []

    def stream() -> None:
        held = (Enrolment(f"1,{n},0|hold".encode(), tag=n) for n in range(6))
        outcomes.extend(served.client(retries=0).face.enroll_many(held, window=2))

    with ThreadPoolExecutor(2) as pool:
        streaming = pool.submit(stream)
        modality.wait_until_inside(2)
        draining = pool.submit(served.drain)
        eventually(
            lambda: (
                metrics.REGISTRY.get_sample_value("likeness_serving", {"service": "likeness.v1.FaceService"})
                == 0
            )
        )
        modality.go_on.set()
        draining.result(PATIENCE)
        with pytest.raises(Unavailable) as caught:
            streaming.result(PATIENCE)
    assert caught.value.reason == "DRAINING"
    assert {outcome.enrolled is not None for outcome in outcomes} == {True}
    assert len(outcomes) >= 2

"""Requests are built from plain values, and what cannot be right is refused before anything is sent."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest

from likeness.client import LikenessClient, metadata, reference, sample
from likeness.client.errors import Unavailable
from likeness.client.requests import Requests
from likeness.client.retry import FIRST_PAUSE, LONGEST_PAUSE, Attempts
from likeness.v1 import common_pb2 as common

REQUESTS = Requests(common.CallerContext(entity="NCB-AA"))


def test_a_path_gives_its_bytes_and_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"photograph")
    for given in (path, str(path)):
        assert sample(given) == common.Sample(data=b"photograph", name="a.jpg")
    assert sample(path, name="mine").name == "mine"
    assert sample(b"photograph").name == ""


def test_enumerations_are_given_by_name_in_any_case() -> None:
    for name in ("wanted", "WANTED", "CATEGORY_WANTED"):
        assert metadata(category=name).category == common.CATEGORY_WANTED
    with pytest.raises(ValueError, match=r"'suspekt' is no category; known: .*suspect"):
        metadata(category="suspekt")
    with pytest.raises(ValueError, match="is no status"):
        metadata(status="asleep")
    with pytest.raises(ValueError, match="is no purpose"):
        LikenessClient("127.0.0.1:1", entity="NCB-AA", purpose="curiosity")


@pytest.mark.parametrize(
    "name",
    ["galleries", "notices", "denied_entities", "permitted_entities", "permitted_purposes"],
)
def test_one_text_is_not_taken_for_its_letters(name: str) -> None:
    with pytest.raises(TypeError, match=rf"{name} is the text 'missing_person'; give a list"):
        metadata(**{name: "missing_person"})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["galleries", "owners", "categories"])
def test_a_filter_is_a_list(name: str) -> None:
    words: Any = {name: "wanted"}
    with pytest.raises(TypeError, match=f"{name} is the text"):
        REQUESTS.list(**words)
    with pytest.raises(TypeError, match=f"{name} is the text"):
        REQUESTS.search(b"photograph", **words)
    with pytest.raises(TypeError, match="statuses is the text"):
        REQUESTS.list(statuses="active")


def test_a_time_needs_its_zone() -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    assert metadata(expire_time=moment).expire_time.ToDatetime(tzinfo=UTC) == moment
    with pytest.raises(ValueError, match="time zone"):
        metadata(expire_time=datetime(2030, 1, 1))


def test_each_write_has_a_request_id_of_its_own_unless_one_is_given() -> None:
    made = {REQUESTS.enroll(b"x").request_id for _ in range(10)}
    assert len(made) == 10
    assert REQUESTS.enroll(b"x", request_id="mine").request_id == "mine"
    assert REQUESTS.expunge("r", "why", request_id="mine").request_id == "mine"


def test_an_override_is_sent_only_where_there_is_a_reason() -> None:
    assert not REQUESTS.enroll(b"x").HasField("quality_override")
    assert REQUESTS.enroll(b"x", quality_override="only one").quality_override.reason == "only one"


def test_a_side_of_a_comparison_is_a_sample_or_a_reference() -> None:
    request = REQUESTS.compare(b"x", reference("r-1"))
    assert request.probe.sample.data == b"x"
    assert request.candidate.reference_id == "r-1"


def unavailable() -> Unavailable:
    return Unavailable("gone", code=grpc.StatusCode.UNAVAILABLE)


def test_pauses_double_up_to_the_longest_and_are_spread() -> None:
    attempts = Attempts(float("inf"), 20)
    pauses = [attempts.pause(unavailable()) for _ in range(20)]
    for number, pause in enumerate(pauses):
        full = min(LONGEST_PAUSE, FIRST_PAUSE * 2**number)
        assert full / 2 <= pause <= full
    assert len(set(pauses)) > 15


def test_a_longer_pause_that_the_service_asks_for_is_waited() -> None:
    error = Unavailable("gone", code=grpc.StatusCode.UNAVAILABLE, retry_after=9.0)
    assert Attempts(100, 1).pause(error) == 9.0


def test_success_gives_the_retries_back() -> None:
    attempts = Attempts(float("inf"), 1)
    attempts.pause(unavailable())
    attempts.succeeded()
    attempts.pause(unavailable())
    with pytest.raises(Unavailable):
        attempts.pause(unavailable())

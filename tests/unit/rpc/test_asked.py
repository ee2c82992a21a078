"""What a refused request asked for, in whatever state it came."""

from __future__ import annotations

import math

import pytest

from likeness.domain.audit import AuditEntry
from likeness.domain.references import Caller
from likeness.rpc.asked import MAX_NAME, MAX_NAMES, wanted_by
from likeness.store.audit import encode_entry
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching


def digest(data: bytes) -> str:
    return f"<{data.decode()}>"


def search(**options: object) -> matching.SearchRequest:
    sample = common.Sample(data=b"probe")
    return matching.SearchRequest(probe=sample, options=common.SearchOptions(**options))  # type: ignore[arg-type]


def test_texts_are_escaped_and_cut_and_too_many_are_left_out() -> None:
    found = wanted_by(search(galleries=["a\x1b[2J", "b" * 1000, *map(str, range(2000))]), digest)
    names = found.filters["galleries"]
    assert isinstance(names, list)
    assert len(names) == MAX_NAMES
    assert "a\\x1b[2J" in names
    assert "b" * MAX_NAME in names


def test_numbers_that_the_protocol_has_not_are_given_as_they_came() -> None:
    found = wanted_by(search(categories=[common.CATEGORY_WANTED, 99], profile=77), digest)
    assert found.filters["categories"] == ["99", "wanted"]
    assert found.options["exhaustive"] is False


@pytest.mark.parametrize("rate", [math.nan, math.inf, -math.inf])
def test_a_rate_that_is_no_number_can_stand_in_an_entry(rate: float) -> None:
    found = wanted_by(search(max_fmr=rate), digest)
    encode_entry(AuditEntry("Search", Caller("NCB-AA"), "FMR", options=found.options, filters=found.filters))
    assert found.options["max_fmr"] == str(rate)
    assert "k" not in found.options


def test_a_comparison_names_its_sides_and_a_search_its_probe() -> None:
    sample, name = (
        matching.Comparand(sample=common.Sample(data=b"one")),
        matching.Comparand(reference_id="r" * 1000),
    )
    found = wanted_by(matching.CompareRequest(probe=sample, candidate=name), digest)
    assert found.details == {"sides": ["<one>", "r" * MAX_NAME]}
    assert wanted_by(search(), digest).probe == "<probe>"

"""Whatever is done to records on their way: they are read as they were, or refused with our own error."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.domain.errors import SampleRejected
from likeness.fingerprint.formats import MAX_VIEWS, Standard, read
from likeness.fingerprint.formats.wrapping import MAX_DEPTH
from tests.unit.fingerprint.formats.records import BINARY, WRAPPERS, block_378, efs, same

RECORDS = [*BINARY.values(), efs(b"2"), block_378(b"2", b"3"), efs(b"1") + efs(b"7")]
AROUND_ANYTHING = (
    "base64",
    "base64 lines",
    "base64 of URLs",
    "hex",
    "gzip",
    "gzip in members",
    "BIR",
    "BIR prefix",
    "CDATA",
)
BLOCKS = ("BIR", "BIR prefix", "CDATA")
"""Two wrappers each: what is in a block is text."""
HEADERS = ("PIV header", "card TLV")

records = st.sampled_from(RECORDS)
wrappers = st.lists(st.sampled_from(AROUND_ANYTHING), min_size=1, max_size=3).filter(
    lambda how: sum(2 if name in BLOCKS else 1 for name in how) <= MAX_DEPTH
)
bites = st.lists(
    st.tuples(
        st.sampled_from(["change", "cut", "insert", "repeat"]), st.integers(0, 5000), st.integers(0, 255)
    ),
    min_size=1,
    max_size=4,
)


def wrapped(data: bytes, how: list[str]) -> bytes:
    for name in how:
        data = WRAPPERS[name](data)
    return data


def bitten(data: bytes, how: list[tuple[str, int, int]]) -> bytes:
    for kind, place, value in how:
        at = place % max(len(data), 1)
        match kind:
            case "change":
                data = data[:at] + bytes([value]) + data[at + 1 :]
            case "cut":
                data = data[:at] + data[at + value :]
            case "insert":
                data = data[:at] + bytes([value]) * (value % 7) + data[at:]
            case _:
                data = data + data[at : at + value]
    return data


def read_or_refused(data: bytes) -> None:
    try:
        found = read(data, "a record")
    except SampleRejected as error:
        assert error.reason in {
            "MALFORMED_RECORD",
            "UNSUPPORTED_FORMAT",
            "LIMIT_EXCEEDED",
            "SEVERAL_RECORDS",
        }
        return
    assert len(found.views) <= MAX_VIEWS
    assert all(len(view.minutiae) <= 255 for view in found.views)


@settings(max_examples=300)
@given(record=records, how=wrappers)
def test_wrappers_within_wrappers_change_nothing(record: bytes, how: list[str]) -> None:
    found = read(wrapped(record, how), "a record")
    assert same(found, read(record, "a record"))
    assert found.remarks[0].reason == "RECORD_UNWRAPPED"


@settings(max_examples=100)
@given(
    record=st.sampled_from(list(BINARY.values())),
    header=st.sampled_from([*HEADERS, "zlib", "data URI", "hex groups"]),
    how=st.lists(st.sampled_from(["base64", "hex", "gzip"]), max_size=2) | st.just(["BIR"]),
)
def test_a_header_stands_before_the_record_itself(record: bytes, header: str, how: list[str]) -> None:
    inside_text = header in ("data URI", "hex groups")
    data = wrapped(record, [*how, header] if inside_text else [header, *how])
    assert same(read(data, "a record"), read(record, "a record"))


@settings(max_examples=300)
@given(record=records, how=st.lists(st.sampled_from(sorted(WRAPPERS)), max_size=3), bites=bites)
def test_what_is_damaged_on_its_way_is_refused_or_read_within_the_limits(
    record: bytes, how: list[str], bites: list[tuple[str, int, int]]
) -> None:
    read_or_refused(bitten(wrapped(record, how), bites))
    read_or_refused(wrapped(bitten(record, bites), how))


@settings(max_examples=200)
@given(
    before=st.sampled_from(
        [b"", b"<", b"<BIR>", b"\x1f\x8b\x08", b"\x78\x9c", b"\xff\xfe", b"FMR\0 20\0", b"9.001:"]
    ),
    data=st.binary(max_size=400),
)
def test_what_is_anything_is_refused_or_read_within_the_limits(before: bytes, data: bytes) -> None:
    read_or_refused(before + data)
    read_or_refused(before + base64.b64encode(data))


@pytest.mark.parametrize("standard", BINARY)
@settings(max_examples=60)
@given(off=st.integers(-40, 40), padding=st.integers(0, 700), wrap=st.sampled_from([bytes, gzip.compress]))
def test_a_length_that_is_off_changes_no_minutia(
    standard: Standard, off: int, padding: int, wrap: Callable[[bytes], bytes]
) -> None:
    whole = bytearray(BINARY[standard])
    place = slice(8, 10) if standard is Standard.INCITS_2004 else slice(8, 12)
    declared = max(len(whole) + off, 1)
    whole[place] = declared.to_bytes(place.stop - place.start, "big")
    try:
        found = read(wrap(bytes(whole) + bytes(padding)), "a record")
    except SampleRejected as error:
        assert error.reason == "MALFORMED_RECORD"
        assert off != 0
        return
    assert same(found, read(BINARY[standard], "a record"))
    remarked = "RECORD_LENGTH_WRONG" in [remark.reason for remark in found.remarks]
    assert remarked == (declared != len(whole) + padding)


@pytest.mark.parametrize("made", [efs, block_378])
@settings(max_examples=60)
@given(off=st.integers(-60, 60), listed=st.lists(st.integers(0, 20), min_size=1, max_size=12))
def test_a_length_of_type_9_that_is_off_changes_no_minutia_and_no_finger(
    made: Callable[..., bytes], off: int, listed: list[int]
) -> None:
    whole = made(*(b"%d" % code for code in listed))
    shifted = whole.replace(b"9.001:%d" % len(whole), b"9.001:%d" % (len(whole) + off), 1)
    usual = read(whole, "a mark")
    try:
        found = read(shifted + made(b"3"), "a mark")
    except SampleRejected as error:
        assert error.reason == "MALFORMED_RECORD"
        assert abs(off) > 30
        return
    assert (len(found.views), found.views[1].position) == (2, 3)
    assert found.views[0].possible == usual.views[0].possible
    assert len(found.remarks) == (off != 0)

"""What other systems write, right or nearly: read where it is unambiguous, named where it is not."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable

import pytest

from likeness.domain.errors import SampleRejected
from likeness.fingerprint.formats import MAX_RECORD_BYTES, Standard, read, standards, write
from tests.unit.fingerprint.formats.records import (
    BINARY,
    WRAPPERS,
    bir,
    block_378,
    efs,
    iso_2005,
    same,
    type_9,
)


@pytest.mark.parametrize("made", [efs, block_378])
@pytest.mark.parametrize(
    ("listed", "position", "possible"),
    [
        ([b"07"], 7, ()),
        ([b"%02d" % finger for finger in range(1, 11)], 0, ()),
        ([b"2", b"3"], 0, (2, 3)),
        ([b"3", b"2", b"", b"3"], 0, (2, 3)),
        ([b"1", b"11"], 1, ()),
        ([b"11", b"12"], 0, (1, 6)),
        ([b"7", b"7"], 7, ()),
        ([b"7\x1fTIP", b"8\x1fTIP"], 0, (7, 8)),
        ([b"%d" % finger for finger in range(1, 10)], 0, tuple(range(1, 10))),
        ([b"0", b"3"], 0, ()),
        ([b"3", b"21"], 0, ()),
        ([b"13"], 13, ()),
        ([b""], 0, ()),
    ],
)
def test_a_mark_that_may_be_several_fingers_may_be_each(
    made: Callable[..., bytes], listed: list[bytes], position: int, possible: tuple[int, ...]
) -> None:
    found = read(made(*listed), "a mark")
    (view,) = found.views
    assert (view.position, view.possible) == (position, frozenset(possible))
    for standard in (Standard.TYPE_9_EFS, Standard.TYPE_9_INCITS):
        (again,) = read(write(found, standard), "a mark").views
        assert (again.position, again.possible) == (position, frozenset(possible))


@pytest.mark.parametrize("field", [3, 128, 129, 130, 131, 132, 133])
def test_a_field_of_one_number_that_holds_several_is_refused(field: int) -> None:
    def with_values(*values: bytes) -> bytes:
        listed = b"9.%03d:" % field + b"\x1e".join(values)
        return type_9(listed, b"9.134:2", b"9.137:1\x1f100\x1f200\x1f45\x1f1")

    with pytest.raises(SampleRejected, match=f"field 9.{field:03} holds 2 values where there is one"):
        read(with_values(b"1", b"2"), "a record")
    for values in ((b"",), (b"", b"0"), (b"0", b"0")):
        read(with_values(*values), "a record")


def test_a_quality_that_several_algorithms_reported_is_the_first_that_is_one() -> None:
    record = type_9(b"9.134:2", b"9.135:255\x1fA\x1f1\x1e60\x1fB\x1f1", b"9.137:1\x1f100\x1f200\x1f45\x1f1")
    assert read(record, "a record").views[0].quality == 60


def test_a_field_that_stands_twice_is_refused() -> None:
    row = b"9.331:508\x1f1016\x1f90\x1fE"
    with pytest.raises(SampleRejected, match=r"9\.331 stands in the record twice"):
        read(type_9(b"9.300:1524\x1f2032", row, row), "a mark")


@pytest.mark.parametrize("tag", [b"1.01:", b"1.1:", b"01.001:", b"1.0001:"])
def test_field_numbers_of_two_digits_are_read_as_those_of_three(tag: bytes) -> None:
    rest = b"\x1d1.02:0201\x1d1.03:1\x1f1\x1e9\x1f1\x1c"
    first = tag + b"%d" % (len(tag) + 2 + len(rest)) + rest
    wanted = read(efs(b"2"), "a mark")
    assert same(read(first + efs(b"2"), "a transaction"), wanted)
    short = b"9.01:61\x1d9.03:0\x1d9.300:1524\x1f2032\x1d9.302:2\x1d9.331:508\x1f1016\x1f90\x1fE\x1c"
    assert same(read(short, "a mark"), wanted)


@pytest.mark.parametrize("counted", [0, 4])
@pytest.mark.parametrize("data", [[b"abcdef"], [b"", b"abc"], [b"1234567890", b"", b"x"]])
def test_the_length_of_an_extended_block_counts_its_header_or_not(counted: int, data: list[bytes]) -> None:
    area = b"".join(b"\x02\x21" + (len(d) + counted).to_bytes(2, "big") + d for d in data)
    (view,) = read(iso_2005(area), "a record").views
    assert [block.data for block in view.extended] == data
    assert {block.identifier for block in view.extended} == {0x0221}


@pytest.mark.parametrize(
    ("area", "blocks"),
    [
        (b"\x02\x21\x00\x04\x02\x22\x00\x04", [(0x0221, b""), (0x0222, b"")]),
        (b"\x02\x21\x00\x04\x02\x22\x00\x08\x00\x01\x00\x00", [(0x0221, b""), (0x0222, b"\0\1\0\0")]),
        (b"\x02\x21\x00\x08\x01\x00\x00\x00\x02\x22\x00\x04", [(0x0221, b"\1\0\0\0"), (0x0222, b"")]),
    ],
)
def test_blocks_that_fill_their_area_in_both_readings_are_read_as_the_text_of_the_standard_says(
    area: bytes, blocks: list[tuple[int, bytes]]
) -> None:
    assert standards._blocks(area, 4) is not None
    assert standards._blocks(area, 0) is not None
    (view,) = read(iso_2005(area), "a record").views
    assert [(block.identifier, block.data) for block in view.extended] == blocks


def test_blocks_that_fill_their_area_in_neither_reading_are_refused() -> None:
    with pytest.raises(SampleRejected, match="do not fill them"):
        read(iso_2005(b"\x02\x21\x00\x09abcdef"), "a record")


@pytest.mark.parametrize("standard", BINARY)
@pytest.mark.parametrize("padding", [1, 3, 100, 4000])
def test_nuls_after_a_record_are_passed_over_with_a_remark(standard: Standard, padding: int) -> None:
    whole = BINARY[standard]
    found = read(whole + bytes(padding), "a record")
    assert found.standard == standard
    assert same(found, read(whole, "a record"))
    assert read(whole, "a record").remarks == ()
    (remark,) = found.remarks
    assert remark.reason == "RECORD_LENGTH_WRONG"
    assert f"{len(whole)} bytes and has {len(whole) + padding}" in remark.message


@pytest.mark.parametrize("standard", BINARY)
@pytest.mark.parametrize("off", [-8, -1, 1, 4])
def test_a_length_that_is_a_little_off_is_passed_over_where_the_views_fill_the_record(
    standard: Standard, off: int
) -> None:
    whole = bytearray(BINARY[standard])
    place = slice(8, 10) if standard is Standard.INCITS_2004 else slice(8, 12)
    size = place.stop - place.start
    whole[place] = (len(whole) + off).to_bytes(size, "big")
    found = read(bytes(whole), "a record")
    assert same(found, read(BINARY[standard], "a record"))
    assert found.remarks[0].reason == "RECORD_LENGTH_WRONG"


@pytest.mark.parametrize("standard", BINARY)
def test_a_length_that_fits_nothing_is_refused_with_both(standard: Standard) -> None:
    for broken in (BINARY[standard] + b"more", BINARY[standard][:-3]):
        with pytest.raises(SampleRejected) as caught:
            read(broken, "a record")
        assert caught.value.reason == "MALFORMED_RECORD"
        assert str(len(BINARY[standard])) in caught.value.message
        assert str(len(broken)) in caught.value.message


@pytest.mark.parametrize("standard", BINARY)
@pytest.mark.parametrize("beyond", [33, 40, 1000, 30_000])
def test_a_length_far_beyond_the_end_is_that_of_a_truncated_record(standard: Standard, beyond: int) -> None:
    """Even where the views happen to end with it: others may have followed."""
    whole = bytearray(BINARY[standard])
    place = slice(8, 10) if standard is Standard.INCITS_2004 else slice(8, 12)
    declared = len(whole) + beyond
    whole[place] = declared.to_bytes(place.stop - place.start, "big")
    for wrap in (bytes, gzip.compress, lambda data: bytes(90) + data):
        with pytest.raises(SampleRejected, match="so it is truncated") as caught:
            read(wrap(whole), "a record")
        assert caught.value.reason == "MALFORMED_RECORD"
        assert f"{declared} bytes and has {len(whole)}" in caught.value.message


@pytest.mark.parametrize("standard", BINARY)
@pytest.mark.parametrize("fill", [b" ", b"0", b""])
def test_a_version_is_read_however_it_is_filled_up(standard: Standard, fill: bytes) -> None:
    whole = BINARY[standard]
    number = whole[5:7]
    version = fill + number + b"\0" * (2 - len(fill))
    assert same(read(whole[:4] + version + whole[8:], "a record"), read(whole, "a record"))


@pytest.mark.parametrize("off", [-2, 0, 2])
@pytest.mark.parametrize("after", [b"", b"\n", b"\r\n", bytes(200)])
def test_a_type_9_record_ends_at_its_separator(off: int, after: bytes) -> None:
    whole = efs(b"2")
    length = b"%d" % len(whole)
    shifted = whole.replace(length, b"%d" % (len(whole) + off), 1)
    found = read(shifted + efs(b"3") + after, "a mark")
    assert same(found, read(whole + efs(b"3"), "a mark"))
    assert [remark.reason for remark in found.remarks] == ["RECORD_LENGTH_WRONG"] * (off != 0)
    assert all(f"{len(whole) + off} bytes and has {len(whole)}" in remark.message for remark in found.remarks)


def test_every_wrong_length_of_a_transaction_is_counted_in_one_remark() -> None:
    first = b"1.001:99\x1d1.002:0501\x1d1.003:1\x1f2\x1e9\x1f1\x1e9\x1f2\x1d1.004:" + b"X" * 40 + b"\x1c"
    short = efs(b"2").replace(b"9.001:%d" % len(efs(b"2")), b"9.001:%d" % (len(efs(b"2")) - 3))
    (remark,) = read(first + short + efs(b"3") + short, "a transaction").remarks
    assert (
        f"has 3 records of a wrong length, the first at byte 0: it declares 99 bytes and has {len(first)}"
        in (remark.message)
    )


def test_a_wrapped_record_has_the_remarks_of_both() -> None:
    found = read(gzip.compress(iso_2005() + bytes(9)), "a record")
    assert [remark.reason for remark in found.remarks] == ["RECORD_UNWRAPPED", "RECORD_LENGTH_WRONG"]


@pytest.mark.parametrize("standard", BINARY)
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_what_is_wrapped_in_one_certain_way_is_unwrapped_with_a_remark(
    standard: Standard, wrapper: str
) -> None:
    found = read(WRAPPERS[wrapper](BINARY[standard]), "a record")
    assert same(found, read(BINARY[standard], "a record"))
    assert [remark.reason for remark in found.remarks] == ["RECORD_UNWRAPPED"]


def test_a_transaction_may_be_wrapped_too() -> None:
    found = read(base64.b64encode(efs(b"2")), "a mark")
    assert found.standard == Standard.TYPE_9_EFS
    assert "base64 text" in found.remarks[0].message


PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (PNG, "a PNG picture"),
        (base64.b64encode(PNG), "base64 text with a PNG picture"),
        (b"\xff\xa0\xff\xa8" + bytes(30), "a WSQ picture"),
        (b"PK\x03\x04" + bytes(30), "a ZIP archive"),
        (b"\x7f\x2e\x05\x81\x03\x10\x20\x30", "compact card format"),
        (b"FIR\0" + b"010\0", "a finger image record"),
        (b'{"template": "..."}', "JSON text"),
        (b"<BIR></BIR>", "XML text"),
        (b"<!DOCTYPE html><p>", "an HTML page"),
        (b"<!doctype HTML><p>", "an HTML page"),
        (b"<HTML><p>", "an HTML page"),
        (gzip.compress(b"nothing of the kind"), "gzip data with something else"),
        (gzip.compress(b"cut short")[:-6], "gzip data"),
        (bytes(range(1, 60)), "something else"),
    ],
)
def test_what_is_no_record_is_named(data: bytes, message: str) -> None:
    with pytest.raises(SampleRejected) as caught:
        read(data, "finger.fmr")
    assert message in caught.value.message
    assert caught.value.reason == "UNSUPPORTED_FORMAT"


def test_an_xml_file_with_several_records_is_refused() -> None:
    with pytest.raises(SampleRejected, match="2 biometric data blocks"):
        read(bir(iso_2005(), more=b"<BDB>QUJD</BDB>"), "a record")


def test_what_unpacks_to_more_than_a_record_is_refused_before_it_is_unpacked() -> None:
    bomb = gzip.compress(bytes(MAX_RECORD_BYTES * 40))
    with pytest.raises(SampleRejected) as caught:
        read(bomb, "a record")
    assert caught.value.reason == "LIMIT_EXCEEDED"


def test_wrappers_have_a_depth() -> None:
    data = iso_2005()
    for _ in range(6):
        data = gzip.compress(data)
    with pytest.raises(SampleRejected, match="gzip data with gzip data"):
        read(data, "a record")

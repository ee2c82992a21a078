"""Compressed records: every member is read, what fills a file up is passed over, and anything else is refused."""

from __future__ import annotations

import base64
import gzip
import re
import zlib
from collections.abc import Callable

import pytest

from likeness.domain.errors import SampleRejected
from likeness.fingerprint.formats import MAX_RECORD_BYTES, read
from tests.unit.fingerprint.formats.records import iso_2005, same

RECORD = iso_2005()
COMPRESS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zlib": zlib.compress}


def in_members(data: bytes, size: int) -> bytes:
    return b"".join(gzip.compress(data[at : at + size]) for at in range(0, len(data), size))


@pytest.mark.parametrize("size", [1, 7, 30, 200])
def test_members_of_gzip_are_one_content(size: int) -> None:
    data = in_members(RECORD, size)
    found = read(data, "a record")
    assert same(found, read(RECORD, "a record"))
    assert found.remarks[0].reason == "RECORD_UNWRAPPED"
    assert same(read(base64.b64encode(data + gzip.compress(b"")), "a record"), found)


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize("padding", [b"\0", bytes(300), b"\n", b"\r\n", b" \0"])
def test_what_fills_a_file_up_is_passed_over(kind: str, padding: bytes) -> None:
    assert same(read(COMPRESS[kind](RECORD) + padding, "a record"), read(RECORD, "a record"))


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize("more", [b"x", b"\0\0x", b"\x1f", RECORD[:5], zlib.compress(RECORD)])
def test_anything_else_after_compressed_data_is_refused_with_its_place(kind: str, more: bytes) -> None:
    data = COMPRESS[kind](RECORD)
    with pytest.raises(SampleRejected, match=f"{len(more)} bytes follow the compressed data") as caught:
        read(data + more, "a record")
    assert caught.value.reason == "MALFORMED_RECORD"
    assert caught.value.metadata["offset"] == str(len(data))


def test_a_member_that_is_damaged_is_not_left_out() -> None:
    data = bytearray(in_members(RECORD, 30))
    data[-8] ^= 1  # its checksum
    for broken in (bytes(data), in_members(RECORD, 30)[:-1], gzip.compress(RECORD) + b"\x1f\x8b"):
        with pytest.raises(SampleRejected, match="gzip data"):
            read(broken, "a record")


def test_members_have_a_number_and_a_size() -> None:
    for data in (in_members(RECORD * 2, 1), in_members(bytes(2 * MAX_RECORD_BYTES), MAX_RECORD_BYTES // 2)):
        with pytest.raises(SampleRejected, match=re.compile("of more than")) as caught:
            read(data, "a record")
        assert caught.value.reason == "LIMIT_EXCEEDED"

"""Several records in one sample: views where the standard says whose they are, else refused; none is picked."""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Callable

import pytest

from likeness.domain.errors import SampleRejected
from likeness.fingerprint.formats import read
from tests.unit.fingerprint.formats.records import BINARY, bir, block_378, efs

ONE, OTHER = list(BINARY.values())[:2]
HEADER = b"\x03\x0d" + bytes(86)

SEVERAL: dict[str, Callable[[bytes, bytes], bytes]] = {
    "one after another": lambda one, other: one + other,
    "with NULs between": lambda one, other: one + bytes(100) + other,
    "behind one header": lambda one, other: HEADER + one + other,
    "each behind a header": lambda one, other: HEADER + one + b"signature" + HEADER + other,
    "the second alone behind a header": lambda one, other: one + HEADER + other,
    "as base64": lambda one, other: base64.b64encode(one + other),
    "as two texts in base64": lambda one, other: base64.b64encode(one) + b"\n" + base64.b64encode(other),
    "as two texts in hexadecimal": lambda one, other: one.hex().encode() + b"\n" + other.hex().encode(),
    "compressed": lambda one, other: gzip.compress(one + other),
    "as two members": lambda one, other: gzip.compress(one) + gzip.compress(other),
    "after gzip data": lambda one, other: gzip.compress(one) + other,
    "after zlib data": lambda one, other: zlib.compress(one) + other,
    "as two blocks of XML": lambda one, other: bir(one, more=b"<BDB>%s</BDB>" % base64.b64encode(other)),
    "as a block and another element": lambda one, other: bir(
        one, more=b"<Other>%s</Other>" % base64.b64encode(other)
    ),
    "as two elements": lambda one, other: (
        b"<r><a>%s</a><a>%s</a></r>" % (base64.b64encode(one), other.hex().encode())
    ),
    "as two texts in CDATA": lambda one, other: bir(
        one, more=b"<BDB><![CDATA[%s]]></BDB>" % base64.b64encode(other)
    ),
}


@pytest.mark.parametrize("pair", [(ONE, OTHER), (OTHER, ONE), (ONE, ONE)], ids=["both", "turned", "same"])
@pytest.mark.parametrize("how", SEVERAL)
def test_of_several_records_none_is_picked(how: str, pair: tuple[bytes, bytes]) -> None:
    with pytest.raises(SampleRejected) as caught:
        read(SEVERAL[how](*pair), "finger.fmr")
    assert caught.value.reason == "SEVERAL_RECORDS"
    assert "finger.fmr" in caught.value.message
    assert "send each as a sample of its own" in caught.value.message


@pytest.mark.parametrize("made", [efs, block_378])
def test_type_9_records_of_one_transaction_are_its_views(made: Callable[[bytes], bytes]) -> None:
    first = b"1.001:20\x1d1.002:0501\x1c"
    found = read(first + made(b"2") + made(b"3") + made(b"3"), "a transaction")
    assert [view.position for view in found.views] == [2, 3, 3]


def test_of_several_transactions_none_is_picked() -> None:
    first = b"1.001:20\x1d1.002:0501\x1c"
    with pytest.raises(SampleRejected) as caught:
        read(first + efs(b"2") + first + efs(b"2"), "a file")
    assert caught.value.reason == "SEVERAL_RECORDS"
    assert f"the second from byte {len(first + efs(b'2'))}" in caught.value.message


def test_a_type_9_record_does_not_swallow_the_next() -> None:
    inside = b"9.002:1\x1c9.001:9"
    body = b"\x1d".join([b"", inside, b"9.300:1\x1f1", b"9.302:2", b"9.331:508\x1f1016\x1f90\x1fE"]) + b"\x1c"
    data = b"9.001:%d" % (len(body) + len(b"9.001:00")) + body
    with pytest.raises(SampleRejected, match="a separator of records stands inside a record"):
        read(data, "a mark")

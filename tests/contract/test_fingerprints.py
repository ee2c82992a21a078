"""Finger records as other systems write them, through the service: enrolled, searched, compared, refused."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from likeness.client import InvalidArgument, LikenessClient
from likeness.fingerprint.fingers import NOTHING_IN_COMMON
from likeness.fingerprint.formats import Standard, write
from likeness.fingerprint.minutiae import Extended, FingerView, Record
from likeness.fingerprint.modality import FingerprintModality
from likeness.fingerprint.synthesis import impressions, record_of
from likeness.inference.concurrency.turns import Turns
from likeness.v1 import common_pb2
from tests.contract.conftest import Served, composing

CASES = Path(__file__).parents[3] / "shared" / "cases"
SEED = 43
LEFT_INDEX = 7


@pytest.fixture(scope="module")
def fingers() -> FingerprintModality:
    return FingerprintModality.load(calibration=None, turns=Turns(1))


@pytest.fixture
def client(
    prepare: Callable[..., Served], fingers: FingerprintModality, tmp_path: Path
) -> Iterator[LikenessClient]:
    yield prepare(composing(fingers)).start().client(retries=0)


@pytest.fixture(scope="module")
def drawn() -> list[FingerView]:
    """Two impressions of one finger, in whole pixels, of the size of a flat one."""
    return [
        replace(record_of(one, 0).views[0], width=360, height=400, quality=None)
        for one in next(iter(impressions(1, 2, SEED)))
    ]


def record(view: FingerView, standard: Standard = Standard.ISO_2005) -> bytes:
    return write(Record("drawn", (view,)), standard)


def issues(client: LikenessClient, data: bytes) -> list[common_pb2.Issue]:
    (finding,) = client.fingerprint.analyze(data).findings
    return list(finding.issues)


def score(client: LikenessClient, probe: bytes, candidate: bytes) -> float:
    return client.fingerprint.compare(probe, candidate).score.value


def mark(view: FingerView, listed: bytes) -> bytes:
    """A mark that may be the fingers listed."""
    whole = record(view, Standard.TYPE_9_EFS)
    fields = whole[whole.index(b"\x1d") :].replace(b"9.302:0\x1d", b"9.302:" + listed + b"\x1d")
    return b"9.001:%d" % (len(fields) + len(b"9.001:0000")) + fields


def two_digit_tags(data: bytes) -> bytes:
    """A transaction whose first record has field numbers of two digits."""
    rest = b"\x1d1.02:0201\x1d1.03:1\x1f1\x1e9\x1f1\x1c"
    return b"1.01:%d" % (len(rest) + len(b"1.01:00")) + rest + data


def with_length(data: bytes, off: int) -> bytes:
    return data[:8] + (len(data) + off).to_bytes(4, "big") + data[12:]


def test_a_mark_of_several_fingers_finds_those_and_no_others(
    client: LikenessClient, drawn: list[FingerView]
) -> None:
    left_index = record(replace(drawn[0], position=LEFT_INDEX))
    enrolled = client.fingerprint.enroll(left_index)
    any_finger = score(client, mark(drawn[1], b"0"), left_index)
    assert any_finger > 0
    ten = b"\x1e".join(b"%02d" % finger for finger in range(1, 11))
    for listed, wanted in ((ten, any_finger), (b"06\x1e07", any_finger), (b"02\x1e03", NOTHING_IN_COMMON)):
        data = mark(drawn[1], listed)
        assert score(client, data, left_index) == pytest.approx(wanted, abs=1e-5)
        answer = client.fingerprint.search(
            data, k=5, exhaustive=True, min_log_position=enrolled.log_position
        ).answers[0]
        (candidate,) = answer.candidates
        assert candidate.score.value == pytest.approx(wanted, abs=1e-5)


def test_a_mark_that_was_enrolled_keeps_the_fingers_that_it_may_be(
    client: LikenessClient, drawn: list[FingerView]
) -> None:
    enrolled = client.fingerprint.enroll(mark(drawn[1], b"02\x1e03"))
    for position, wanted in ((2, True), (3, True), (LEFT_INDEX, False), (0, True)):
        answer = client.fingerprint.search(
            record(replace(drawn[0], position=position)), min_log_position=enrolled.log_position
        ).answers[0]
        assert [candidate.score.value > NOTHING_IN_COMMON for candidate in answer.candidates] == [wanted]


def test_what_others_write_is_the_same_finger(client: LikenessClient, drawn: list[FingerView]) -> None:
    plain = record(drawn[0])
    block = bytes([0x02, 0x21, 0x00, 0x06]) + b"abcdef"
    odd = {
        "two digits": two_digit_tags(record(drawn[0], Standard.TYPE_9_INCITS)),
        "data alone": record(replace(drawn[0], extended=(Extended(0x0221, b"abcdef"),))).replace(
            bytes([0x02, 0x21, 0x00, 0x0A]) + b"abcdef", block
        ),
        "NUL": plain + b"\0",
        "filled up": plain.ljust(512, b"\0"),
        "length": with_length(record(drawn[0], Standard.INCITS_2009), -1),
        "base64": base64.b64encode(plain),
        "gzip": gzip.compress(plain),
        "XML": b"<BIR><BDB><![CDATA[%s]]></BDB></BIR>" % base64.b64encode(plain),
    }
    own = score(client, plain, plain)
    for how, data in odd.items():
        assert score(client, data, plain) == pytest.approx(own, rel=0.1), (
            how
        )  # places and angles in other steps
        assert client.fingerprint.enroll(data).reference.reference_id, how


def test_what_was_odd_is_an_issue(client: LikenessClient, drawn: list[FingerView]) -> None:
    plain = record(drawn[0])
    assert issues(client, plain) == []
    for data, reason, part in (
        (plain + b"\0", "RECORD_LENGTH_WRONG", f"{len(plain)} bytes and has {len(plain) + 1}"),
        (gzip.compress(plain), "RECORD_UNWRAPPED", "gzip data"),
        (plain[:18] + (500).to_bytes(2, "big") * 2 + plain[22:], "RESOLUTION_IMPLAUSIBLE", "7 x 8 mm"),
        (plain[:20] + (500).to_bytes(2, "big") + plain[22:], "RESOLUTION_IMPLAUSIBLE", "across and 500 down"),
    ):
        (issue,) = issues(client, data)
        assert issue.reason == reason
        assert part in issue.message


def test_several_records_and_truncated_ones_are_refused(
    client: LikenessClient, drawn: list[FingerView]
) -> None:
    one, other = record(drawn[0]), record(drawn[1])
    for data, reason in (
        (one + other, "SEVERAL_RECORDS"),
        (bytes(88) + one + bytes(88) + other, "SEVERAL_RECORDS"),
        (gzip.compress(one) + gzip.compress(other), "SEVERAL_RECORDS"),
        (one[:-40], "MALFORMED_RECORD"),
        (with_length(one, 4000), "MALFORMED_RECORD"),
        (b"<!DOCTYPE BIR><BIR><BDB>%s</BDB></BIR>" % base64.b64encode(one), "UNSUPPORTED_FORMAT"),
    ):
        with pytest.raises(InvalidArgument) as caught:
            client.fingerprint.enroll(data)
        assert caught.value.reason == reason


def case(name: str) -> bytes:
    path = CASES / name
    if not path.is_file():
        pytest.skip(f"there is no {path}")
    return path.read_bytes()


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("f1_mark_9302_lists_ten_fingers.an2", "f2_same_with_three_digits_ok.an2"),
        ("f2_transaction_two_digit_tags.an2", "f2_same_with_three_digits_ok.an2"),
        ("f3_iso2005_block_length_of_data.fmr", "f3_same_with_header_counted_ok.fmr"),
        ("f5_one_nul_more.fmr", "f0_reference_left_index.fmr"),
        ("f5_padded_to_512.fmr", "f0_reference_left_index.fmr"),
    ],
)
def test_the_cases_score_as_what_they_are_like(client: LikenessClient, name: str, like: str) -> None:
    reference = case("f0_reference_left_index.fmr")
    found = score(client, case(name), reference)
    assert found == pytest.approx(score(client, case(like), reference), abs=1e-5)
    assert found > 18


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("f1_mark_9302_lists_ten_fingers.an2", []),
        ("f2_transaction_two_digit_tags.an2", []),
        ("f3_iso2005_block_length_of_data.fmr", []),
        ("f5_incits2009_length_one_short.fmr", ["RECORD_LENGTH_WRONG"]),
        ("f5_one_nul_more.fmr", ["RECORD_LENGTH_WRONG"]),
        ("f5_padded_to_512.fmr", ["RECORD_LENGTH_WRONG"]),
        ("f8_500_per_cm.fmr", ["RESOLUTION_IMPLAUSIBLE"]),
    ],
)
def test_the_cases_have_forty_minutiae_and_their_issues(
    client: LikenessClient, name: str, reasons: list[str]
) -> None:
    (finding,) = client.fingerprint.analyze(case(name)).findings
    counts = [one.native for one in finding.quality.components if one.name == "MinutiaeCount"]
    assert counts == [40]
    assert [issue.reason for issue in finding.issues] == reasons
    assert client.fingerprint.enroll(case(name)).reference.reference_id

"""Records in and out: hand-built bytes, round trips, and input that means harm."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from likeness.domain.errors import SampleRejected
from likeness.fingerprint.formats import MAX_RECORD_BYTES, MAX_VIEWS, Standard, read, write
from likeness.fingerprint.minutiae import Extended, FingerView, Minutiae, MinutiaKind, Record

TEMPLATES = Path(__file__).parents[5] / "shared" / "data" / "fingerprints"
BINARY = [s for s in Standard if not s.name.startswith("TYPE_9")]
STEP = {s: 360 / 256 if s.name.startswith("ISO") else 2.0 for s in BINARY} | {
    Standard.TYPE_9_INCITS: 2.0,
    Standard.TYPE_9_EFS: 1.0,
}

# One ending at (100, 200), 90 degrees, quality 70, in each binary format.
BODY = bytes([2, 0x10, 80, 1]) + bytes([0x40, 100, 0, 200])
ISO_2005 = b"FMR\0 20\0" + bytes([0, 0, 0, 36, 0, 0, 1, 44, 1, 144, 0, 197, 0, 197, 1, 0]) + BODY
ISO_2005 += bytes([64, 70, 0, 0])
INCITS_2004 = b"FMR\0 20\0" + bytes([0, 38, 0, 0, 0, 0, 0, 0, 1, 44, 1, 144, 0, 197, 0, 197, 1, 0]) + BODY
INCITS_2004 += bytes([45, 70, 0, 0])
TYPE_9 = (
    b"9.001:122\x1d9.002:1\x1d9.003:0\x1d9.004:U\x1d9.128:300\x1d9.129:400\x1d9.130:1\x1d9.131:500\x1d"
    b"9.132:500\x1d9.134:2\x1d9.136:1\x1d9.137:1\x1f100\x1f200\x1f45\x1f1\x1f70\x1c"
)
EFS = b"9.001:61\x1d9.003:0\x1d9.300:1524\x1f2032\x1d9.302:2\x1d9.331:508\x1f1016\x1f90\x1fE\x1c"


def record(views: list[FingerView]) -> Record:
    return Record("any", tuple(views))


@st.composite
def views(draw: st.DrawFn) -> FingerView:
    n = draw(st.integers(0, 40))
    whole = st.lists(st.tuples(*[st.integers(0, 0x3FFF)] * 2), min_size=n, max_size=n)
    degrees = draw(st.lists(st.floats(0, 359.99), min_size=n, max_size=n))
    return FingerView(
        Minutiae(
            np.array(draw(whole), np.float32).reshape(-1, 2),
            np.deg2rad(np.array(degrees)).astype(np.float32),
            np.array(draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)), np.uint8),
            np.array(draw(st.lists(st.integers(0, 100), min_size=n, max_size=n)), np.uint8),
        ),
        position=draw(st.integers(0, 10)),
        impression=draw(st.integers(0, 15)),
        number=draw(st.integers(0, 15)),
        width=1000,
        height=2000,
        quality=draw(st.none() | st.integers(0, 100)),
        extended=tuple(
            Extended(i, b)
            for i, b in draw(st.lists(st.tuples(st.integers(1, 65535), st.binary(max_size=9)), max_size=3))
        ),
    )


@pytest.mark.parametrize("standard", list(Standard))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(given_views=st.lists(views(), min_size=1, max_size=4))
def test_what_is_written_is_read(standard: Standard, given_views: list[FingerView]) -> None:
    back = read(write(record(given_views), standard), "a record")
    assert back.standard == standard
    for one, other in zip(given_views, back.views, strict=True):
        assert np.abs(one.minutiae.xy - other.minutiae.xy).max(initial=0) <= 0.51
        turn = np.mod(one.minutiae.angle - other.minutiae.angle + math.pi, 2 * math.pi) - math.pi
        assert np.abs(turn).max(initial=0) <= math.radians(STEP[standard]) / 2 + 1e-4
        assert one.minutiae.kind.tolist() == other.minutiae.kind.tolist()
        assert one.position == other.position
        if standard is not Standard.TYPE_9_EFS:
            assert one.minutiae.quality.tolist() == other.minutiae.quality.tolist()
            assert (one.quality, one.number) == (other.quality, other.number)
        if standard in BINARY:
            assert one.extended == other.extended
            assert one.impression == other.impression


@pytest.mark.parametrize("standard", list(Standard))
def test_a_side_that_no_field_holds_is_written_as_the_largest(standard: Standard) -> None:
    (view,) = read(ISO_2005, "x").views
    (back,) = read(write(record([replace(view, width=259_990, height=70_000)]), standard), "a record").views
    assert (back.width, back.height) == (0x3FFF if standard is Standard.ISO_2011 else 0xFFFF,) * 2


@pytest.mark.parametrize(
    ("data", "standard"),
    [
        (ISO_2005, Standard.ISO_2005),
        (INCITS_2004, Standard.INCITS_2004),
        (TYPE_9, Standard.TYPE_9_INCITS),
        (EFS, Standard.TYPE_9_EFS),
    ],
)
def test_bytes_as_the_standard_lays_them_out(data: bytes, standard: Standard) -> None:
    found = read(data, "a record")
    assert found.standard == standard
    (view,) = found.views
    assert view.minutiae.xy == pytest.approx(np.array([[100, 200]]))
    assert view.minutiae.angle == pytest.approx(np.array([math.pi / 2]))
    assert view.minutiae.kind.tolist() == [MinutiaKind.ENDING]
    assert view.position == 2
    assert (view.width, view.height) == (300, 400)


def test_other_resolutions_become_500_per_inch() -> None:
    thousand = bytearray(ISO_2005)
    thousand[18:22] = (394).to_bytes(2, "big") * 2  # 1000 dpi
    assert read(bytes(thousand), "a record").views[0].minutiae.xy == pytest.approx(
        np.array([[50, 100]]), abs=0.1
    )


def with_resolution(standard: Standard, across: int, down: int) -> bytes:
    """A record of one minutia at (100, 200) at the resolution, pixels per cm."""
    whole = write(read(ISO_2005, "x"), standard)
    if standard is Standard.TYPE_9_INCITS:
        return whole.replace(
            b"9.130:1\x1d9.131:500\x1d9.132:500", b"9.130:2\x1d9.131:%03d\x1d9.132:%03d" % (across, down)
        )
    usual = (197).to_bytes(2, "big") * 2
    assert whole.count(usual) == 1
    return whole.replace(usual, across.to_bytes(2, "big") + down.to_bytes(2, "big"))


@pytest.mark.parametrize("standard", [s for s in Standard if s is not Standard.TYPE_9_EFS])
@pytest.mark.parametrize(
    ("across", "down", "factors"),
    [
        (197, 197, (1, 1)),
        (394, 197, (0.5, 1)),
        (197, 394, (1, 0.5)),
        (100, 394, (1.97, 0.5)),
        (0, 0, (1, 1)),
        (0, 394, (0.5, 0.5)),
        (394, 0, (0.5, 0.5)),
    ],
)
def test_each_axis_has_its_resolution_and_an_unknown_one_is_as_the_other(
    standard: Standard, across: int, down: int, factors: tuple[float, float]
) -> None:
    (view,) = read(with_resolution(standard, across, down), "a record").views
    assert view.scale == pytest.approx(factors, rel=2e-3)
    assert view.minutiae.xy[0] == pytest.approx(np.array([100, 200]) * factors, rel=2e-3)
    assert (view.width, view.height) == pytest.approx((300 * factors[0], 400 * factors[1]), abs=1)


def test_type_9_is_found_in_a_transaction() -> None:
    first = b"1.001:20\x1d1.002:0501\x1c"
    binary = (18).to_bytes(4, "big") + b"4" * 14
    found = read(first + binary + TYPE_9 + EFS, "a transaction")
    assert len(found.views) == 2


@pytest.mark.parametrize(
    ("data", "reason", "message"),
    [
        (b"", "UNSUPPORTED_FORMAT", "byte 0"),
        (b"\xff\xd8\xff\xe0 a photograph", "UNSUPPORTED_FORMAT", "not the image"),
        (ISO_2005[:-1], "MALFORMED_RECORD", "7.3.4"),
        (ISO_2005[:22] + bytes([65]) + ISO_2005[23:], "LIMIT_EXCEEDED", f"more than {MAX_VIEWS}"),
        (ISO_2005[:27] + bytes([255]) + ISO_2005[28:], "MALFORMED_RECORD", "at byte 28"),
        (ISO_2005[:18] + bytes([0, 1]) + ISO_2005[20:], "MALFORMED_RECORD", "7.3.8"),
        (ISO_2005[:-2] + bytes([0, 9]), "MALFORMED_RECORD", "7.5"),
        (b"9.001:99\x1c", "MALFORMED_RECORD", "99 bytes where 9"),
        (TYPE_9.replace(b"\x1f45\x1f", b"\x1fNE\x1f"), "MALFORMED_RECORD", "'NE' is not a number"),
        (b"9.001:26\x1d9.012:1\x1f01\x1f12345\x1c", "UNSUPPORTED_FORMAT", "9.126"),
        (bytes(MAX_RECORD_BYTES + 1), "LIMIT_EXCEEDED", "1048577 bytes"),
    ],
)
def test_a_broken_record_is_refused_with_offset_and_clause(data: bytes, reason: str, message: str) -> None:
    with pytest.raises(SampleRejected) as refused:
        read(data, "finger.fmr")
    assert refused.value.reason == reason
    assert message in refused.value.message
    assert "finger.fmr" in refused.value.message


@pytest.mark.parametrize("standard", list(Standard))
def test_every_truncation_is_refused_or_read(standard: Standard) -> None:
    whole = write(read(ISO_2005, "x"), standard)
    for end in range(len(whole)):
        with pytest.raises(SampleRejected):
            read(whole[:end], "cut")


@pytest.mark.parametrize("standard", list(Standard))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6))
def test_changed_bytes_are_refused_or_read_within_the_limits(
    standard: Standard, flips: list[tuple[int, int]]
) -> None:
    data = bytearray(write(record([read(ISO_2005, "x").views[0]] * 3), standard))
    for at, value in flips:
        data[at % len(data)] = value
    try:
        found = read(bytes(data), "changed")
    except SampleRejected:
        return
    assert len(found.views) <= MAX_VIEWS
    for view in found.views:
        assert len(view.minutiae) <= 255
        assert np.isfinite(view.minutiae.xy).all()
        assert ((view.minutiae.angle >= 0) & (view.minutiae.angle <= 6.2832)).all()


@pytest.mark.shared
def test_real_templates_are_written_as_they_were_read() -> None:
    if not TEMPLATES.is_dir():
        pytest.skip(f"there is no {TEMPLATES}")
    for path in sorted(TEMPLATES.glob("*/*/*_1.fmr")):
        data = path.read_bytes()
        assert write(read(data, path.name), Standard.ISO_2005) == data

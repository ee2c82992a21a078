"""The readers of headers against files that lie, and against noise."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from likeness.domain.errors import SampleRejected
from likeness.domain.samples import Sample
from likeness.imaging.decode import DecodeLimits, decode
from likeness.imaging.headers import Format, Reason, Refusal, inspect, jpeg, tiff

KINDS = ["JPEG", "PNG", "WEBP", "BMP", "TIFF"]


def picture(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image = Image.radial_gradient("L").resize((70, 50)).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize((70, 50)))
    image.save(buffer, kind, **options)
    return buffer.getvalue()


FILES = {kind: picture(kind) for kind in KINDS} | {
    "progressive": picture("JPEG", progressive=True),
    "lossless": picture("WEBP", "RGBA", lossless=True),
    "alpha": picture("WEBP", "RGBA"),
    "tiled": picture("TIFF", compression="tiff_lzw"),
    "palette": picture("BMP", "P"),
    "bilevel": picture("TIFF", "1", compression="group4"),
}


@pytest.mark.parametrize("name", FILES)
def test_the_size_is_read(name: str) -> None:
    header = inspect(FILES[name])
    assert (header.width, header.height) == (70, 50)
    assert header.alpha == (name in {"lossless", "alpha"})


def refusal(data: bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        inspect(data)
    return caught.value


@pytest.mark.parametrize("name", FILES)
def test_every_prefix_is_refused_or_unchanged(name: str) -> None:
    """No cut leaves a file that passes for whole, save the padding byte that some writers append."""
    data = FILES[name]
    whole = inspect(data)
    for cut in range(len(data) - 1):
        try:
            header = inspect(data[:cut])
        except Refusal:
            continue
        assert (header.width, header.height) == (whole.width, whole.height)
        assert header.unfinished or cut >= len(data) - 2  # whether the picture is whole the decoder finds out


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_changed_bytes_never_crash_and_never_take_more_memory_than_is_allowed(
    name: str, data: st.DataObject
) -> None:
    changed = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 6))):
        # Headers lie in the first bytes; the tail holds directories and trailers.
        at = data.draw(
            st.one_of(st.integers(0, min(200, len(changed) - 1)), st.integers(0, len(changed) - 1))
        )
        changed[at] = data.draw(st.sampled_from([0, 1, 2, 127, 128, 254, 255]))
    limits = DecodeLimits(max_pixels=1_000_000, min_side=1)
    tracemalloc.start()
    try:
        pixels = decode(Sample(bytes(changed)), limits)
        assert pixels.shape[0] * pixels.shape[1] <= limits.max_pixels
    except SampleRejected as error:
        assert error.reason in set(Reason)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 40_000_000


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"BM", b"II*\0", b"MM\0*"]),
    st.binary(max_size=400),
)
def test_noise_behind_any_magic_is_refused(magic: bytes, noise: bytes) -> None:
    assert refusal(magic + noise).reason in set(Reason)


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


FRAME = segment(0xC0, struct.pack(">BHHB", 8, 50, 70, 3) + bytes(9))
SCAN = segment(0xDA, bytes(10)) + b"\x12\x34\xff\x00\x56"


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    data = b"\xff\xd8" + FRAME + SCAN * (jpeg.MAX_SCANS + 1) + b"\xff\xd9"
    assert "scans" in refusal(data).found
    assert inspect(b"\xff\xd8" + FRAME + SCAN * jpeg.MAX_SCANS + b"\xff\xd9").width == 70


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (FRAME + FRAME + SCAN, Reason.CORRUPT_IMAGE),
        (SCAN, Reason.CORRUPT_IMAGE),
        (FRAME, Reason.CORRUPT_IMAGE),
        (segment(0xC3, struct.pack(">BHHB", 8, 50, 70, 3)) + SCAN, Reason.UNSUPPORTED_IMAGE),
        (segment(0xC0, struct.pack(">BHHB", 12, 50, 70, 3)) + SCAN, Reason.UNSUPPORTED_IMAGE),
        (segment(0xC0, struct.pack(">BHHB", 8, 0, 70, 3)) + SCAN, Reason.UNSUPPORTED_IMAGE),
        (segment(0xC0, struct.pack(">BHHB", 8, 50, 70, 2)) + SCAN, Reason.UNSUPPORTED_IMAGE),
        (segment(0xE0, b"") * (jpeg.MAX_SEGMENTS + 1), Reason.CORRUPT_IMAGE),
        (b"\xff\xe0\x00\x01" + FRAME + SCAN, Reason.CORRUPT_IMAGE),
    ],
)
def test_jpegs_that_contradict_themselves(body: bytes, reason: Reason) -> None:
    assert refusal(b"\xff\xd8" + body + b"\xff\xd9").reason == reason


def test_restarts_and_fill_bytes_belong_to_a_jpeg() -> None:
    body = FRAME + b"\xff\xff" + SCAN[1:] + b"\xff\xd0\x77\xff\xd7\x11" + b"\xff\xff\xff\xd9"
    assert inspect(b"\xff\xd8" + body).format is Format.JPEG


def ifd(entries: list[tuple[int, int, int, int]], following: int = 0, *, pixels: int = 4000) -> bytes:
    body = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", 8) + body + struct.pack("<I", following) + bytes(pixels)


BASE = [(256, 3, 1, 70), (257, 3, 1, 50), (258, 3, 1, 8), (273, 4, 1, 100), (279, 4, 1, 3500)]


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([*BASE, (256, 3, 1, 60_000)], Reason.CORRUPT_IMAGE),
        ([*BASE[1:]], Reason.CORRUPT_IMAGE),
        ([*BASE[:4], (279, 4, 1, 9999)], Reason.TRUNCATED_IMAGE),
        ([*BASE, (259, 3, 1, 34_892)], Reason.UNSUPPORTED_IMAGE),
        ([*BASE[:2], (258, 3, 1, 32), *BASE[3:]], Reason.UNSUPPORTED_IMAGE),
        ([*BASE, (339, 3, 1, 3)], Reason.UNSUPPORTED_IMAGE),
        ([*BASE[:3], (273, 4, tiff.MAX_PIECES + 1, 8), BASE[4]], Reason.CORRUPT_IMAGE),
        (
            [*BASE[:2], (322, 3, 1, 60_000), (323, 3, 1, 60_000), (324, 4, 1, 0), (325, 4, 1, 9)],
            Reason.CORRUPT_IMAGE,
        ),
    ],
)
def test_tiffs_that_contradict_themselves(entries: list[tuple[int, int, int, int]], reason: Reason) -> None:
    assert inspect(ifd(BASE)).width == 70
    assert refusal(ifd(entries)).reason == reason


def test_a_tiff_whose_directories_run_in_a_circle_is_refused() -> None:
    looping = ifd([(254, 4, 1, 1), *BASE], following=8)
    assert refusal(looping).reason == Reason.CORRUPT_IMAGE


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


SIZE = struct.pack(">IIBBBBB", 70, 50, 8, 2, 0, 0, 0)
IDAT, IEND = chunk(b"IDAT", zlib.compress(bytes(50 * 211))), chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("chunks", "reason"),
    [
        ([chunk(b"IHDR", SIZE), chunk(b"IHDR", SIZE), IDAT, IEND], Reason.CORRUPT_IMAGE),
        ([IDAT, IEND], Reason.CORRUPT_IMAGE),
        ([chunk(b"IHDR", SIZE), IEND], Reason.CORRUPT_IMAGE),
        ([chunk(b"IHDR", bytes(13)), IDAT, IEND], Reason.CORRUPT_IMAGE),
        ([chunk(b"IHDR", SIZE), chunk(b"acTL", struct.pack(">II", 2, 0)), IDAT, IEND], Reason.ANIMATED_IMAGE),
        ([chunk(b"IHDR", SIZE), IDAT], Reason.TRUNCATED_IMAGE),
    ],
)
def test_pngs_that_contradict_themselves(chunks: list[bytes], reason: Reason) -> None:
    assert refusal(b"\x89PNG\r\n\x1a\n" + b"".join(chunks)).reason == reason


def test_an_apng_of_one_frame_is_a_picture() -> None:
    chunks = [chunk(b"IHDR", SIZE), chunk(b"acTL", struct.pack(">II", 1, 0)), IDAT, IEND]
    assert inspect(b"\x89PNG\r\n\x1a\n" + b"".join(chunks)).width == 70


@pytest.mark.parametrize(
    "damage", [b"", b"II", b"MM\0*\0\0\0\xff", b"II*\0\x08\0\0\0\xff\xff", b"Exif\0\0II*\0\xff\xff\xff\xff"]
)
def test_damaged_exif_leaves_a_picture_upright(damage: bytes) -> None:
    exif = segment(0xE1, b"Exif\0\0" + damage)
    assert inspect(b"\xff\xd8" + exif + FRAME + SCAN + b"\xff\xd9").orientation == 1

"""Decoding is compared with Pillow, which shares no code with OpenCV above the codecs."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from likeness.domain.errors import SampleRejected
from likeness.domain.samples import Sample
from likeness.imaging.decode import DecodeLimits, decode
from likeness.imaging.headers import Reason
from likeness.imaging.opencv import cv2

WIDTH, HEIGHT = 96, 64
NO_LIMITS = DecodeLimits()


def photograph() -> Image.Image:
    """Smooth colour with no symmetry, so that every turn and channel swap shows."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    channels = [x * 255 / WIDTH, y * 255 / HEIGHT, (x + 2 * y) * 255 / (WIDTH + 2 * HEIGHT)]
    return Image.fromarray(np.stack(channels, axis=2).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def reason_of(data: bytes, media_type: str = "", limits: DecodeLimits = NO_LIMITS) -> str:
    with pytest.raises(SampleRejected) as caught:
        decode(Sample(data, name="case-7.jpg", media_type=media_type), limits)
    assert caught.value.message.startswith("case-7.jpg ")
    assert caught.value.message.count(";") >= 1  # the remedy follows
    return caught.value.reason


def mean_difference(a: NDArray[np.uint8], b: Any) -> float:
    assert a.shape == np.asarray(b).shape
    return float(np.abs(a.astype(np.int16) - np.asarray(b).astype(np.int16)).mean())


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("JPEG", {"quality": 95}, 0.6),
        ("JPEG", {"quality": 95, "progressive": True}, 0.6),
        ("PNG", {}, 0.0),
        ("WEBP", {"lossless": True}, 0.0),
        ("WEBP", {"quality": 90}, 1.0),
        ("BMP", {}, 0.0),
        ("TIFF", {}, 0.0),
        ("TIFF", {"compression": "tiff_lzw"}, 0.0),
        ("TIFF", {"compression": "tiff_adobe_deflate"}, 0.0),
        ("TIFF", {"compression": "packbits"}, 0.0),
        ("TIFF", {"compression": "jpeg"}, 1.0),
    ],
)
def test_formats_agree_with_pillow(kind: str, options: dict[str, Any], tolerance: float) -> None:
    data = encoded(photograph(), kind, **options)
    pixels = decode(Sample(data, media_type=f"image/{kind.lower()}"))
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert mean_difference(pixels, Image.open(io.BytesIO(data)).convert("RGB")) <= tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "options"), [("JPEG", {"quality": 95}), ("PNG", {}), ("WEBP", {"lossless": True})]
)
def test_exif_orientation_is_applied(kind: str, options: dict[str, Any], orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(photograph(), kind, exif=exif, **options)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    assert mean_difference(decode(Sample(data)), expected) <= 0.6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiff_orientation_is_applied_once(orientation: int) -> None:
    data = encoded(photograph(), "TIFF", tiffinfo={0x0112: orientation})
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = encoded(photograph(), "PNG", exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(turned)))
    assert mean_difference(decode(Sample(data)), expected) == 0


@pytest.mark.parametrize("extension", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_keep_their_top_eight(extension: str, channels: int) -> None:
    narrow = np.asarray(photograph())[:, :, :channels]
    wide = np.squeeze(narrow.astype(np.uint16) * 257)
    done, data = cv2.imencode(extension, wide[..., ::-1] if channels == 3 else wide)
    assert done
    expected = narrow if channels == 3 else np.repeat(narrow, 3, axis=2)
    assert mean_difference(decode(Sample(data.tobytes())), expected) <= 0.01


@pytest.mark.parametrize("mode", ["L", "P", "1"])
def test_grey_palette_and_bilevel_become_colour(mode: str) -> None:
    data = encoded(photograph().convert(mode), "PNG")
    assert mean_difference(decode(Sample(data)), Image.open(io.BytesIO(data)).convert("RGB")) == 0


def test_cmyk_becomes_rgb() -> None:
    """Without a colour profile the conversion is a convention; both decoders must agree but for rounding."""
    data = encoded(photograph().convert("CMYK"), "JPEG", quality=95)
    assert mean_difference(decode(Sample(data)), Image.open(io.BytesIO(data)).convert("RGB")) <= 2


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("PNG", "RGBA", {}),
        ("PNG", "LA", {}),
        ("WEBP", "RGBA", {"lossless": True, "exact": True}),
        ("TIFF", "RGBA", {}),
    ],
)
def test_transparency_is_laid_over_white(kind: str, mode: str, options: dict[str, Any]) -> None:
    image = photograph().convert(mode)
    opacity = Image.fromarray(np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1)))
    image.putalpha(opacity)
    rgba = image.convert("RGBA")
    expected = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    assert mean_difference(decode(Sample(encoded(image, kind, **options))), expected) <= 1


def test_transparent_palette_entry_is_white() -> None:
    image = photograph().convert("P")
    hidden = image.getpixel((5, 5))
    pixels = decode(Sample(encoded(image, "PNG", transparency=hidden)))
    assert pixels[5, 5].tolist() == [255, 255, 255]


def test_bmp_alpha_is_ignored_because_writers_leave_it_zero() -> None:
    blank = np.dstack([np.asarray(photograph())[:, :, ::-1], np.zeros((HEIGHT, WIDTH), np.uint8)])
    done, data = cv2.imencode(".bmp", blank)
    assert done
    assert mean_difference(decode(Sample(data.tobytes())), photograph()) == 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_cut_files_are_refused(kind: str, share: float) -> None:
    data = encoded(photograph(), kind)
    reason = reason_of(data[: int(len(data) * share)])
    assert reason in {Reason.TRUNCATED_IMAGE, Reason.CORRUPT_IMAGE}


def test_a_jpeg_cut_in_its_picture_is_called_truncated() -> None:
    data = encoded(photograph(), "JPEG", quality=95)
    assert reason_of(data[: len(data) // 2]) == Reason.TRUNCATED_IMAGE
    assert reason_of(data[: len(data) - 12]) == Reason.TRUNCATED_IMAGE


def test_bytes_after_the_end_of_a_jpeg_are_left_alone() -> None:
    data = encoded(photograph(), "JPEG", quality=95)
    assert np.array_equal(decode(Sample(data + b"preview" * 10)), decode(Sample(data)))


def test_a_changed_byte_in_a_png_is_noticed() -> None:
    data = bytearray(encoded(photograph(), "PNG"))
    data[len(data) // 2] ^= 1
    assert reason_of(bytes(data)) == Reason.CORRUPT_IMAGE


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_several_frames_are_refused(kind: str) -> None:
    other = photograph().transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    data = encoded(photograph(), kind, save_all=True, append_images=[other])
    assert reason_of(data) == Reason.ANIMATED_IMAGE


@pytest.mark.parametrize(
    ("data", "reason", "named"),
    [
        (b"", Reason.EMPTY_SAMPLE, "empty"),
        (b"%PDF-1.7\n" + bytes(100), Reason.NOT_AN_IMAGE, "PDF"),
        (b"\n<!DOCTYPE html><html></html>", Reason.NOT_AN_IMAGE, "HTML"),
        (b"a wanted person was seen", Reason.NOT_AN_IMAGE, "text"),
        (b"BMW seen near the border", Reason.NOT_AN_IMAGE, "text"),
        ("Zeugin spricht über".encode(), Reason.NOT_AN_IMAGE, "text"),
        (b"PK\x03\x04" + bytes(50), Reason.NOT_AN_IMAGE, "ZIP"),
        (b'{"image": 1}', Reason.NOT_AN_IMAGE, "JSON"),
        (b"\x00\x00\x00\x18ftypmp42" + bytes(50), Reason.NOT_AN_IMAGE, "video"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(50), Reason.UNSUPPORTED_IMAGE, "HEIC"),
        (b"\x00\x00\x00\x0cjP  \r\n" + bytes(50), Reason.UNSUPPORTED_IMAGE, "JPEG 2000"),
        (bytes(64), Reason.NOT_AN_IMAGE, "unknown"),
    ],
)
def test_other_files_are_named(data: bytes, reason: Reason, named: str) -> None:
    with pytest.raises(SampleRejected, match=named) as caught:
        decode(Sample(data, name="upload"))
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("declared", "accepted"),
    [
        ("", True),
        ("image/jpeg", True),
        ("image/JPG; q=1", True),
        ("image/*", True),
        ("application/octet-stream", True),
        ("image/png", False),
        ("application/pdf", False),
    ],
)
def test_declared_media_type_must_agree(declared: str, accepted: bool) -> None:
    data = encoded(photograph(), "JPEG")
    if accepted:
        assert decode(Sample(data, media_type=declared)).shape == (HEIGHT, WIDTH, 3)
    else:
        assert reason_of(data, declared) == Reason.MEDIA_TYPE_MISMATCH


def _png_claiming(width: int, height: int) -> bytes:
    import struct
    import zlib

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


def test_the_header_is_judged_before_the_codec_sees_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def codec(*arguments: Any) -> None:
        raise AssertionError("the codec was called")

    monkeypatch.setattr(cv2, "imdecode", codec)
    assert reason_of(_png_claiming(60_000, 60_000)) == Reason.IMAGE_TOO_LARGE
    ordinary = encoded(photograph(), "JPEG")
    assert reason_of(ordinary, limits=DecodeLimits(max_bytes=len(ordinary) - 1)) == Reason.IMAGE_TOO_LARGE
    assert reason_of(ordinary, limits=DecodeLimits(max_pixels=WIDTH * HEIGHT - 1)) == Reason.IMAGE_TOO_LARGE
    assert reason_of(ordinary, limits=DecodeLimits(min_side=HEIGHT + 1)) == Reason.IMAGE_TOO_SMALL


def test_a_picture_exactly_at_the_limits_is_read() -> None:
    data = encoded(photograph(), "JPEG")
    limits = DecodeLimits(max_bytes=len(data), max_pixels=WIDTH * HEIGHT, min_side=HEIGHT)
    assert decode(Sample(data), limits).shape == (HEIGHT, WIDTH, 3)


def test_pixels_that_do_not_come_are_a_refusal() -> None:
    assert reason_of(_png_claiming(64, 64)) == Reason.CORRUPT_IMAGE


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


@pytest.mark.parametrize(
    "chunk",
    [
        _chunk(b"iCCP", b"broken\0\0" + zlib.compress(b"not a profile")),
        _chunk(b"iCCP", b"no end"),
        _chunk(b"cHRM", b"short"),
        _chunk(b"gAMA", bytes(4)),
        _chunk(b"sBIT", b"\xff\xff\xff"),
        _chunk(b"pHYs", b"short"),
        _chunk(b"tIME", bytes(7)),
        _chunk(b"zTXt", b"key\0\0not compressed"),
    ],
    ids=lambda chunk: chunk[4:8].decode(),
)
def test_what_libpng_dislikes_outside_the_pixels_writes_no_line(
    chunk: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    plain = encoded(photograph(), "PNG")
    after_size = 8 + 25
    decoded = decode(Sample(plain[:after_size] + chunk + plain[after_size:]))
    assert capfd.readouterr() == ("", "")
    assert np.array_equal(decoded, decode(Sample(plain)))

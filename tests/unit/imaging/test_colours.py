"""Every arrangement of pixels is decoded with its colours, or refused as one that is not read."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from likeness.domain.errors import SampleRejected
from likeness.domain.samples import Sample
from likeness.imaging.decode import decode
from likeness.imaging.headers import Reason
from tests.unit.imaging.files import (
    HEIGHT,
    WIDTH,
    Samples,
    bitmap,
    colours,
    encoded,
    opacity,
    over_white,
    tiff,
)

COLOURS, OPACITY = colours(), opacity()
GREY = COLOURS[:, :, :1]
WITH_ALPHA = np.dstack([COLOURS, OPACITY])
GREY_ALPHA = np.dstack([GREY, OPACITY])
PALETTE = (
    [n * 257 for n in range(256)] + [(255 - n) * 257 for n in range(256)] + [n * 128 for n in range(256)]
)


def difference(data: bytes, expected: Any) -> int:
    found = decode(Sample(data, name="case.tif"))
    assert found.shape == np.asarray(expected).shape
    return int(np.abs(found.astype(np.int16) - np.asarray(expected).astype(np.int16)).max())


def refusal(data: bytes) -> str:
    with pytest.raises(SampleRejected) as caught:
        decode(Sample(data, name="case.tif"))
    assert ";" in caught.value.message  # the remedy follows
    return caught.value.reason


def step(*masks: int) -> int:
    """The most that rounding to the fewest bits of a mask changes."""
    return 255 // min(mask // (mask & -mask) for mask in masks if mask) // 2 + 1


@pytest.mark.parametrize("top_down", [False, True])
@pytest.mark.parametrize(
    ("depth", "masks"),
    [
        (16, (0xF800, 0x07E0, 0x001F)),
        (16, (0x7C00, 0x03E0, 0x001F)),
        (16, (0x0F00, 0x00F0, 0x000F)),
        (16, (0x001F, 0x07E0, 0xF800)),
        (32, (0xFF, 0xFF00, 0xFF0000)),
        (32, (0xFF0000, 0xFF00, 0xFF)),
        (32, (0xFF000000, 0xFF0000, 0xFF00)),
        (32, (0x3FF00000, 0xFFC00, 0x3FF)),
    ],
)
@pytest.mark.parametrize(("header", "compression"), [(40, 3), (40, 6), (52, 3), (56, 3), (108, 3), (124, 3)])
def test_the_colour_masks_of_a_bitmap_are_followed(
    depth: int, masks: tuple[int, int, int], header: int, compression: int, top_down: bool
) -> None:
    data = bitmap(depth, masks, header=header, compression=compression, top_down=top_down)
    assert difference(data, COLOURS) <= step(*masks)


@pytest.mark.parametrize("header", [40, 108, 124])
@pytest.mark.parametrize("depth", [16, 32])
def test_a_bitmap_without_masks_has_the_usual_ones(depth: int, header: int) -> None:
    assert difference(bitmap(depth, header=header), COLOURS) <= (5 if depth == 16 else 0)


@pytest.mark.parametrize(
    ("depth", "masks"),
    [
        (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
        (32, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)),
        (32, (0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
        (16, (0x0F00, 0x00F0, 0x000F, 0xF000)),
    ],
)
@pytest.mark.parametrize(("header", "compression"), [(40, 6), (56, 3), (108, 3), (124, 3)])
def test_a_bitmap_with_an_opacity_mask_is_laid_over_white(
    depth: int, masks: tuple[int, ...], header: int, compression: int
) -> None:
    data = bitmap(depth, masks, header=header, compression=compression)
    assert difference(data, over_white(COLOURS, OPACITY)) <= 2 * step(*masks)


def test_colour_masks_that_overlap_are_refused() -> None:
    assert refusal(bitmap(32, (0xFF0000, 0xFF0000, 0xFF), compression=3)) == Reason.CORRUPT_IMAGE


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_bitmaps_of_few_bits_and_of_24_agree_with_pillow(mode: str) -> None:
    data = encoded(Image.fromarray(COLOURS).convert(mode), "BMP")
    assert difference(data, Image.open(io.BytesIO(data)).convert("RGB")) == 0


ARRANGEMENTS = [
    {"order": order, "compression": compression, "tile": tile}
    for order in "<>"
    for compression in (1, 8)
    for tile in (0, 16, 48)
]


def steps_of(bits: int) -> int:
    return 255 // ((1 << min(bits, 8)) - 1)


@pytest.mark.parametrize("arrangement", ARRANGEMENTS, ids=str)
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("inverted", [False, True])
def test_grey_tiffs_of_any_depth(arrangement: dict[str, Any], bits: int, inverted: bool) -> None:
    expected = (GREY >> max(8 - bits, 0)) * np.uint8(steps_of(bits))
    data = tiff(GREY, 0 if inverted else 1, bits=bits, **arrangement)
    assert difference(data, np.repeat(~expected if inverted else expected, 3, axis=2)) == 0


@pytest.mark.parametrize("arrangement", ARRANGEMENTS, ids=str)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("predictor", [1, 2])
def test_colour_tiffs(arrangement: dict[str, Any], bits: int, planar: int, predictor: int) -> None:
    options = {"bits": bits, "planar": planar, "predictor": predictor, **arrangement}
    if arrangement["compression"] == 1:
        options["predictor"] = 1
    assert difference(tiff(COLOURS, 2, **options), COLOURS) == 0
    extra = {338: [2]}
    assert difference(tiff(WITH_ALPHA, 2, fields=extra, **options), over_white(COLOURS, OPACITY)) <= 1
    seen = over_white(np.repeat(GREY, 3, axis=2), OPACITY)
    assert difference(tiff(GREY_ALPHA, 1, fields=extra, **options), seen) <= 1


def test_colours_multiplied_by_their_opacity() -> None:
    multiplied = np.rint(COLOURS * (OPACITY[:, :, None] / 255)).astype(np.uint8)
    data = tiff(np.dstack([multiplied, OPACITY]), 2, fields={338: [1]})
    assert difference(data, over_white(COLOURS, OPACITY)) <= 2


def test_a_further_sample_that_is_no_opacity_is_not_looked_at() -> None:
    assert difference(tiff(WITH_ALPHA, 2, fields={338: [0]}), COLOURS) == 0


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes_of_tiff(bits: int) -> None:
    count = 1 << bits
    entries = [PALETTE[channel * 256 + n] for channel in range(3) for n in range(count)]
    lookup = np.array(entries).reshape(3, count).T >> 8
    data = tiff(GREY, 3, bits=bits, fields={320: entries})
    assert difference(data, lookup[GREY[:, :, 0] >> (8 - bits)].astype(np.uint8)) == 0


def photograph(mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(GREY[:, :, 0].astype(np.uint16) * 257)
    if mode in ("LA", "RGBA"):
        image = Image.fromarray(COLOURS).convert(mode[:-1])
        image.putalpha(Image.fromarray(OPACITY))
        return image
    return Image.fromarray(COLOURS).convert(mode)


def as_seen(data: bytes) -> Samples:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if image.mode.startswith("I;16"):
        return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
    if image.mode in ("LA", "RGBA") or "transparency" in image.info:
        whole = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole)
    return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16", "CMYK", "YCbCr"])
@pytest.mark.parametrize("compression", ["", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_tiffs_agree_with_pillow(mode: str, compression: str) -> None:
    data = encoded(photograph(mode), "TIFF", **({"compression": compression} if compression else {}))
    assert difference(data, as_seen(data)) <= 2


@pytest.mark.parametrize("compression", ["group3", "group4"])
def test_faxes_agree_with_pillow(compression: str) -> None:
    data = encoded(photograph("1"), "TIFF", compression=compression)
    assert difference(data, as_seen(data)) == 0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "LA", "1"])
def test_tiffs_are_turned_upright(mode: str, orientation: int) -> None:
    data = encoded(photograph(mode), "TIFF", tiffinfo={274: orientation})
    assert difference(data, as_seen(data)) <= 2


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        *((mode, {}) for mode in ("1", "L", "P", "RGB", "RGBA", "LA", "I;16")),
        *(("P", {"bits": bits}) for bits in (1, 2, 4)),
        ("L", {"transparency": 100}),
        ("RGB", {"transparency": tuple(COLOURS[5, 90].tolist())}),
        ("P", {"transparency": bytes(range(255))}),
    ],
)
def test_pngs_agree_with_pillow(mode: str, options: dict[str, Any]) -> None:
    image = photograph("RGB").quantize(1 << options["bits"]) if "bits" in options else photograph(mode)
    data = encoded(image, "PNG", **options)
    assert difference(data, as_seen(data)) <= 2


def png(depth: int, colour: int, rows: bytes, transparent: bytes) -> bytes:
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour, 0, 0, 0)),
        (b"tRNS", transparent),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_the_transparent_value_of_a_grey_png_is_white(depth: int) -> None:
    values = GREY[:, :, 0].astype(np.uint16) * 257 >> (16 - depth)
    clear = int(values[5, 50])
    single = np.unpackbits(values.astype(">u2").view(np.uint8).reshape(HEIGHT, WIDTH, 2), axis=2)[
        :, :, -depth:
    ]
    rows = np.packbits(single.reshape(HEIGHT, -1), axis=1)
    data = png(depth, 0, np.pad(rows, ((0, 0), (1, 0))).tobytes(), struct.pack(">H", clear))
    shown = (values * (65535 // ((1 << depth) - 1)) >> 8).astype(np.uint8)
    assert difference(data, np.repeat(np.where(values == clear, 255, shown)[:, :, None], 3, axis=2)) <= 1


@pytest.mark.parametrize("depth", [8, 16])
def test_the_transparent_colour_of_a_png_is_white(depth: int) -> None:
    values = COLOURS.astype(np.uint16) * (257 if depth == 16 else 1)
    values[0, 0] = values[5, 50] + 1  # nearly the same
    clear = values[5, 50]
    rows = values.astype(">u2" if depth == 16 else np.uint8).view(np.uint8).reshape(HEIGHT, -1)
    data = png(depth, 2, np.pad(rows, ((0, 0), (1, 0))).tobytes(), struct.pack(">3H", *clear.tolist()))
    shown = (values >> (depth - 8)).astype(np.uint8)
    expected = np.where((values == clear).all(axis=2)[:, :, None], np.uint8(255), shown)
    assert difference(data, expected) <= 1


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_blocks": 2}]
)
def test_jpegs_agree_with_pillow(mode: str, options: dict[str, Any]) -> None:
    data = encoded(photograph(mode), "JPEG", quality=95, **options)
    assert difference(data, as_seen(data)) <= 12


@pytest.mark.parametrize(
    "data",
    [
        tiff(COLOURS, 8),
        tiff(COLOURS, 6, planar=2),
        tiff(COLOURS, 2, fields={258: [12, 12, 12]}),
        tiff(GREY_ALPHA, 0, fields={338: [1]}),
        tiff(GREY, 1, bits=4, fields={266: [2]}),
        tiff(GREY, 1, compression=1, fields={259: [50000]}),
        tiff(GREY, 3, bits=16, fields={320: [1, 2, 3] * 300}),
        encoded(photograph("LA"), "TIFF", compression="jpeg"),
    ],
    ids=[
        "LAB",
        "planes of YCbCr",
        "12 bits",
        "multiplied and inverted",
        "bits reversed",
        "zstd",
        "palette",
        "JPEG LA",
    ],
)
def test_rare_tiffs_are_not_called_damaged(data: bytes) -> None:
    assert refusal(data) == Reason.UNSUPPORTED_IMAGE


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "fields",
    [
        {50706: [1, 4, 0, 0]},  # DNG
        {262: [32803], 34665: [0]},  # a sensor behind its filter, as Pentax writes it
        {259: [34713]},  # Nikon
    ],
    ids=["DNG", "sensor", "Nikon"],
)
def test_camera_raws_are_named(order: str, fields: dict[int, list[int]]) -> None:
    data = tiff(COLOURS, 2, order=order, fields=fields)
    with pytest.raises(SampleRejected, match=r"camera raw.*develop") as caught:
        decode(Sample(data, name="IMG_1.dng"))
    assert caught.value.reason == Reason.UNSUPPORTED_IMAGE


def test_a_preview_before_a_larger_picture_is_not_taken_for_it() -> None:
    """As in most raws: the first directory is the preview, and names the directory of the sensor's data."""
    sensor = tiff(COLOURS, 2)
    at = int.from_bytes(sensor[4:8], "little")
    preview = sensor[:8] + sensor[8:at]
    small = tiff(COLOURS, 2, fields={256: [WIDTH // 2], 257: [HEIGHT // 2], 254: [1], 330: [at]})
    end = int.from_bytes(small[4:8], "little")
    assert end == at  # the same pixels; so both directories can follow them
    directory = small[end:]
    data = small[:4] + (at + len(sensor[at:])).to_bytes(4, "little") + preview[8:] + sensor[at:]
    moved = bytearray(directory)
    for entry in range(2, 2 + 12 * int.from_bytes(directory[:2], "little"), 12):
        value = int.from_bytes(moved[entry + 8 : entry + 12], "little")
        if value > end:
            moved[entry + 8 : entry + 12] = (value + len(sensor[at:])).to_bytes(4, "little")
    with pytest.raises(SampleRejected, match="camera raw"):
        decode(Sample(data + bytes(moved), name="IMG_1.nef"))


@pytest.mark.parametrize(
    ("data", "named", "remedy"),
    [
        (b"FUJIFILMCCD-RAW 0201FF383501" + bytes(90), "RAF", "develop"),
        (b"IIRO\x08\0\0\0" + bytes(90), "ORF", "develop"),
        (b"IIU\0\x18\0\0\0" + bytes(90), "RW2", "develop"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(90), "CR3", "develop"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf" + bytes(90), "HEIC", "iPhone"),
        (b"\0\0\0\x18ftypheix\0\0\0\0mif1heix" + bytes(90), "HEIC", "iPhone"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf" + bytes(90), "AVIF", "JPEG"),
        (b"II+\0\x08\0\0\0" + bytes(90), "BigTIFF", "JPEG"),
        (b"\xff\x0a" + bytes(90), "JPEG XL", "JPEG"),
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "SVG", "PNG"),
        (b"\xff\xd8\xff\xf7\0\x0b\x08\0\x40\0\x60\1\1\x11\0\xff\xd9", "JPEG-LS", "PNG"),
    ],
)
def test_formats_that_are_not_read_are_named_with_a_remedy(data: bytes, named: str, remedy: str) -> None:
    with pytest.raises(SampleRejected, match=f"{named}.*; .*{remedy}") as caught:
        decode(Sample(data, name="IMG_0001"))
    assert caught.value.reason == Reason.UNSUPPORTED_IMAGE

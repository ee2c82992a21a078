"""JPEG files that every viewer shows although something in them is not as it should be."""

from __future__ import annotations

import struct
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image

from likeness.domain.errors import SampleRejected
from likeness.domain.samples import Sample
from likeness.imaging.decode import decode
from likeness.imaging.headers import Reason, inspect, jpeg
from tests.unit.imaging.files import colours, encoded

PHOTOGRAPH = encoded(Image.fromarray(colours()), "JPEG", quality=90)
TABLES = PHOTOGRAPH.index(b"\xff\xdb")


def pixels(data: bytes) -> Any:
    return decode(Sample(data, name="case.jpg"))


def reason(data: bytes) -> str:
    with pytest.raises(SampleRejected) as caught:
        pixels(data)
    return caught.value.reason


@pytest.mark.parametrize("at", [2, TABLES], ids=["behind the start", "between segments"])
@pytest.mark.parametrize("stray", [b"\0", b"\n", b"abc", b"\xff\0", b"\xff\xff", b"\xff\0\0\xff\xff"])
def test_stray_bytes_between_segments_are_passed_over(at: int, stray: bytes) -> None:
    assert np.array_equal(pixels(PHOTOGRAPH[:at] + stray + PHOTOGRAPH[at:]), pixels(PHOTOGRAPH))


def test_stray_bytes_have_a_limit() -> None:
    padding = bytes(jpeg.MAX_STRAY_BYTES)
    assert np.array_equal(pixels(PHOTOGRAPH[:TABLES] + padding + PHOTOGRAPH[TABLES:]), pixels(PHOTOGRAPH))
    assert reason(PHOTOGRAPH[:TABLES] + padding + b"\0" + PHOTOGRAPH[TABLES:]) == Reason.CORRUPT_IMAGE


@pytest.mark.parametrize("blank", [b"\r\n", b"\n", b"\r\n\r\n", b" ", b"\0\0"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
def test_blanks_before_a_picture_are_passed_over(kind: str, blank: bytes) -> None:
    data = encoded(Image.fromarray(colours()), kind)
    assert np.array_equal(pixels(blank + data), pixels(data))
    assert reason(blank * 17 + data) in {Reason.NOT_AN_IMAGE}


VARIANTS = [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_blocks": 3}]


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_a_missing_end_is_accepted_where_the_picture_is_whole_and_only_there(
    mode: str, options: dict[str, Any]
) -> None:
    data = encoded(Image.fromarray(colours()).convert(mode), "JPEG", quality=90, **options)
    whole = pixels(data)
    assert np.array_equal(pixels(data[:-2]), whole)
    assert np.array_equal(pixels(data[:-1]), whole)
    assert np.array_equal(
        pixels(data[:-2] + b"\xff" * 9), whole
    )  # fill bytes, of which there may be any number
    for cut in range(len(data) - 400, len(data) - 2):
        try:
            found = pixels(data[:cut])
        except SampleRejected as error:
            assert error.reason == Reason.TRUNCATED_IMAGE
        else:
            assert np.array_equal(found, whole)  # the last bits are padding


def test_a_progressive_file_that_lacks_a_scan_is_incomplete() -> None:
    data = encoded(Image.fromarray(colours()), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    assert reason(data[:last]) == Reason.TRUNCATED_IMAGE
    tables = data.rindex(b"\xff\xc4", 0, last)
    assert reason(data[:tables]) == Reason.TRUNCATED_IMAGE


def exif(orientation: int, kind: int = 3) -> bytes:
    value = struct.pack("<I" if kind == 4 else "<HH", *([orientation] if kind == 4 else [orientation, 0]))
    block = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHI", 1, 0x0112, kind, 1) + value + bytes(4)
    return b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block


def test_of_two_exif_blocks_the_first_counts() -> None:
    def orientation(*blocks: bytes) -> int:
        return inspect(PHOTOGRAPH[:2] + b"".join(blocks) + PHOTOGRAPH[2:]).orientation

    assert orientation(exif(6), exif(1)) == 6
    assert orientation(exif(1), exif(8)) == 1
    assert orientation(exif(6, kind=4)) == 6


def test_the_decoder_has_nothing_to_say_of_what_was_passed_over() -> None:
    """libjpeg and libpng write what they find wrong to the standard error, without a name."""
    profile = encoded(Image.fromarray(colours()), "PNG", icc_profile=b"no profile" * 20)
    stray = PHOTOGRAPH[:TABLES] + b"\0\0" + PHOTOGRAPH[TABLES:]
    script = (
        "import sys; from likeness.domain.samples import Sample; from likeness.imaging.decode import decode\n"
        "for text in sys.argv[1:]: decode(Sample(bytes.fromhex(text)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, profile.hex(), stray.hex()], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""

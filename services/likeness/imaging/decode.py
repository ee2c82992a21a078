"""Bytes to pixels, within limits that are checked before memory is taken.

The header is read by own code first (`headers`), because a codec asks for the memory that the header promises
before it looks at a pixel, fills what is missing with grey, takes the first frame of many and turns some formats
upright but not others. OpenCV then decodes the pixels; of what it offers, only the formats above reach it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.domain.errors import SampleRejected
from likeness.domain.samples import Sample
from likeness.imaging.headers import Format, Header, Reason, Refusal, inspect, png
from likeness.imaging.opencv import cv2

Pixels = NDArray[np.uint8]
"""Colour pixels, uint8 [height, width, 3], RGB."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a sample may cost.

    `max_bytes`: length of the file. `max_pixels`: width times height; decoding takes up to 9 bytes per pixel.
    `min_side`: the shorter side in pixels, below which nothing can be recognised in any modality.
    """

    max_bytes: int = 32 << 20
    max_pixels: int = 50_000_000
    min_side: int = 32


_ALIASES = {
    "image/jpg": Format.JPEG,
    "image/pjpeg": Format.JPEG,
    "image/x-png": Format.PNG,
    "image/apng": Format.PNG,
    "image/tif": Format.TIFF,
    "image/x-tiff": Format.TIFF,
    "image/x-ms-bmp": Format.BMP,
    "image/x-bmp": Format.BMP,
}
_NO_CLAIM = frozenset(("", "application/octet-stream", "binary/octet-stream", "image/*"))
_WHITE = 255


def decode(sample: Sample, limits: Limits = Limits()) -> Pixels:
    """The pixels of a photograph as it is seen: EXIF orientation applied, transparency laid over white.

    Grey, palette, 16-bit and CMYK pictures become 8-bit RGB.

    Args:
        sample: JPEG, PNG, WebP, TIFF or BMP; `media_type`, if given, must agree with the bytes.
        limits: what the sample may cost.

    Returns:
        uint8 [height, width, 3], RGB, C-contiguous.

    Raises:
        SampleRejected: the reason is a constant of `headers.Reason`; the message names the sample and the remedy.
    """
    try:
        header = _admit(sample, limits)
        return _pixels(sample.data, header)
    except Refusal as refusal:
        raise SampleRejected(
            f"{sample.name} {refusal.found}; {refusal.remedy}.", field="data", reason=refusal.reason.value
        ) from refusal


def _admit(sample: Sample, limits: Limits) -> Header:
    """The header of a sample whose declared type, length and size are acceptable."""
    size = len(sample.data)
    if size == 0:
        raise Refusal(Reason.EMPTY_SAMPLE, "is empty", "send the bytes of a photograph")
    if size > limits.max_bytes:
        raise Refusal(
            Reason.IMAGE_TOO_LARGE,
            f"has {size} bytes, more than the {limits.max_bytes} that are read",
            "scale it down, or save it as a JPEG of lower quality",
        )
    header = inspect(sample.data)
    _check_media_type(sample.media_type, header.format)
    if header.width * header.height > limits.max_pixels:
        raise Refusal(
            Reason.IMAGE_TOO_LARGE,
            f"has {header.width} x {header.height} pixels, more than the {limits.max_pixels} that are decoded",
            "scale it down",
        )
    if min(header.width, header.height) < limits.min_side:
        raise Refusal(
            Reason.IMAGE_TOO_SMALL,
            f"has {header.width} x {header.height} pixels, a side shorter than the {limits.min_side} needed",
            "send a larger picture",
        )
    return header


def _check_media_type(declared: str, found: Format) -> None:
    claim = declared.partition(";")[0].strip().lower()
    if claim in _NO_CLAIM or _ALIASES.get(claim, claim) == found:
        return
    raise Refusal(
        Reason.MEDIA_TYPE_MISMATCH,
        f"was declared as {claim[:64]} but is {found.label}",
        f"declare {found.value}, or nothing",
    )


def _pixels(data: bytes, header: Header) -> Pixels:
    with_alpha = header.alpha
    if header.format is Format.PNG:
        data = png.without_ancillary(data)
    flags = cv2.IMREAD_UNCHANGED if with_alpha else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except (cv2.error, MemoryError) as error:
        raise _undecodable(header) from error
    if decoded is None:
        raise _undecodable(header)
    if {decoded.shape[0], decoded.shape[1]} != {header.width, header.height}:
        raise Refusal(
            Reason.CORRUPT_IMAGE,
            f"is a damaged {header.format.label} file: it declares {header.width} x {header.height} pixels and "
            f"holds {decoded.shape[1]} x {decoded.shape[0]}",
            "save it anew",
        )
    if with_alpha:
        decoded = _over_white(decoded, header.premultiplied)
    rgb = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB, dst=decoded)
    return _upright(np.asarray(rgb, dtype=np.uint8), header.orientation)


def _undecodable(header: Header) -> Refusal:
    return Refusal(
        Reason.CORRUPT_IMAGE,
        f"is a {header.format.label} file whose pixels cannot be decoded",
        "send an undamaged copy or save it anew as PNG",
    )


def _over_white(decoded: NDArray[Any], premultiplied: bool) -> Pixels:
    """Blue, green, red and alpha of 8 or 16 bits laid over white, as 8-bit blue, green, red."""
    narrow = decoded if decoded.dtype == np.uint8 else cv2.convertScaleAbs(decoded, alpha=1 / 257)
    if narrow.ndim == 2 or narrow.shape[2] != 4:  # the file has an alpha channel in name only
        return np.asarray(
            cv2.cvtColor(narrow, cv2.COLOR_GRAY2BGR) if narrow.ndim == 2 else narrow[:, :, :3], dtype=np.uint8
        )
    opacity = cv2.merge([narrow[:, :, 3]] * 3)
    colour = np.ascontiguousarray(narrow[:, :, :3])
    if not premultiplied:
        colour = cv2.multiply(colour, opacity, scale=1 / _WHITE)
    return np.asarray(cv2.add(colour, cv2.bitwise_not(opacity)), dtype=np.uint8)


def _upright(stored: Pixels, orientation: int) -> Pixels:
    """Turns a picture as its EXIF orientation asks (CIPA DC-008, 4.6.4: row and column that are seen first)."""
    match orientation:
        case 2:
            turned = cv2.flip(stored, 1)
        case 3:
            turned = cv2.rotate(stored, cv2.ROTATE_180)
        case 4:
            turned = cv2.flip(stored, 0)
        case 5:
            turned = cv2.transpose(stored)
        case 6:
            turned = cv2.rotate(stored, cv2.ROTATE_90_CLOCKWISE)
        case 7:
            turned = cv2.rotate(cv2.transpose(stored), cv2.ROTATE_180)
        case 8:
            turned = cv2.rotate(stored, cv2.ROTATE_90_COUNTERCLOCKWISE)
        case _:
            return stored
    return np.asarray(turned, dtype=np.uint8)

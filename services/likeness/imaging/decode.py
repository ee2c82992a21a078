"""Bytes to pixels, within limits that are checked before memory is taken.

The header is read by own code first (`headers`), because a codec asks for the memory that the header promises
before it looks at a pixel, fills what is missing with grey, takes the first frame of many and turns some formats
upright but not others. The memory that the header makes necessary is taken from a budget that all pictures of the
process share. Then the pixels are decoded: by OpenCV, of which only the formats below are reached, or by `bmp` and
`tiff`, where decoders get colours wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.domain.deadline import Deadline
from likeness.domain.errors import SampleRejected
from likeness.domain.samples import Sample
from likeness.imaging import bmp, codec, cost, parameters, tiff
from likeness.imaging.headers import Format, Header, Reason, Refusal, inspect, trimmed
from likeness.imaging.headers.parts import BmpLayout, TiffLayout
from likeness.imaging.memory import MemoryBudget, Share
from likeness.imaging.opencv import cv2

Pixels = NDArray[np.uint8]
"""Colour pixels, uint8 [height, width, 3], RGB."""


_PROCESS = MemoryBudget()


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What a sample may cost.

    `max_bytes`: length of the file. `max_pixels`: width times height. `min_side`: the shorter side in pixels, below
    which nothing can be recognised in any modality. `memory`: what all pictures of the process share.
    """

    max_bytes: int = 32 << 20
    max_pixels: int = parameters.MAX_PIXELS
    min_side: int = 32
    memory: MemoryBudget = _PROCESS


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


class Picture:
    """A sample whose header was read and whose memory is taken: see `opened`."""

    def __init__(self, sample: Sample, limits: DecodeLimits, working: int, deadline: Deadline | None) -> None:
        self._sample = sample
        self._working = working
        self._deadline = deadline
        self._size = 0
        self._limits = limits
        self._header: Header | None = None
        self._data = sample.data
        self._share: Share | None = None

    def admit(self) -> None:
        """Read the header and take the memory that decoding needs.

        Raises:
            SampleRejected, DeadlineExceeded, TooBusy: as `decode`.
        """
        with _named(self._sample):
            self._data, self._header = _admit(self._sample, self._limits)
            size = cost.of(self._header, len(self._data), self._working)
            if size > self._limits.memory.size:
                raise _too_dear(self._header, size, self._limits.memory.size)
        self._share = self._limits.memory.take(size, self._sample.name, self._deadline)

    def pixels(self) -> Pixels:
        """The pixels, once; their part of the memory lasts as long as they do. Admits the sample if need be.

        Raises:
            SampleRejected, DeadlineExceeded, TooBusy: as `decode`.
        """
        if self._header is None or self._share is None:
            self.admit()
        assert self._header is not None and self._share is not None  # noqa: S101  by `admit`
        with _named(self._sample):
            pixels = _pixels(self._data, self._header)
        self._size = pixels.nbytes
        self._share.shrink(self._size + self._working * (self._size // parameters.PIXEL_BYTES))
        self._share.last_as_long_as(pixels)
        return pixels

    def close(self) -> None:
        """Give back what was taken for the work on the pixels, and for pixels that did not come."""
        if self._share is not None:
            self._share.shrink(self._size)


@contextmanager
def opened(
    sample: Sample,
    limits: DecodeLimits,
    *,
    working: int = parameters.WORKING_BYTES,
    deadline: Deadline | None = None,
) -> Iterator[Picture]:
    """A sample that is ready to be decoded: whatever has to be waited for has been.

    Open before taking a turn at computing, so that nobody waits for memory in a turn while others wait for turns
    with memory. A sample that is refused is refused by `pixels`. `working` is bytes a pixel that are taken for the
    work within the block, in addition to the pixels. `deadline` is that of the wait for memory; None means that of
    the call under way in this thread.

    Raises:
        DeadlineExceeded, TooBusy: as `decode`.
    """
    picture = Picture(sample, limits, working, deadline)
    with suppress(SampleRejected):
        picture.admit()
    try:
        yield picture
    finally:
        picture.close()


def decode(sample: Sample, limits: DecodeLimits = DecodeLimits()) -> Pixels:
    """The pixels of a photograph as it is seen: EXIF orientation applied, transparency laid over white.

    Grey, palette, 16-bit and CMYK pictures become 8-bit RGB.

    Args:
        sample: JPEG, PNG, WebP, TIFF or BMP; `media_type`, if given, must agree with the bytes.
        limits: what the sample may cost.

    Returns:
        uint8 [height, width, 3], RGB, C-contiguous.

    Raises:
        SampleRejected: the reason is a constant of `headers.Reason`; the message names the sample and the remedy.
        DeadlineExceeded: the call's deadline passed while memory was waited for.
        TooBusy: other pictures held the memory for too long.
    """
    with opened(sample, limits, working=0) as picture:
        return picture.pixels()


@contextmanager
def _named(sample: Sample) -> Iterator[None]:
    """Turns a refusal into an error that names the sample."""
    try:
        yield
    except Refusal as refusal:
        raise SampleRejected(
            f"{sample.name} {refusal.found}; {refusal.remedy}.", field="data", reason=refusal.reason.value
        ) from refusal


def _too_dear(header: Header, size: int, most: int) -> Refusal:
    return Refusal(
        Reason.IMAGE_TOO_LARGE,
        f"is a {header.process} of {header.width} x {header.height} pixels, which takes {size >> 20} MiB to "
        f"decode, more than the {most >> 20} MiB that all pictures share",
        "scale it down, or save it as JPEG without progressive coding",
    )


def _admit(sample: Sample, limits: DecodeLimits) -> tuple[bytes, Header]:
    """The file without blanks before it, and its header, if declared type, length and size are acceptable."""
    size = len(sample.data)
    if size == 0:
        raise Refusal(Reason.EMPTY_SAMPLE, "is empty", "send the bytes of a photograph")
    if size > limits.max_bytes:
        raise Refusal(
            Reason.IMAGE_TOO_LARGE,
            f"has {size} bytes, more than the {limits.max_bytes} that are read",
            "scale it down, or save it as a JPEG of lower quality",
        )
    data = trimmed(sample.data)
    header = inspect(data)
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
    return data, header


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
    match header.layout:
        case TiffLayout() as layout:
            stored = tiff.read(data, layout, header.width, header.height)
        case BmpLayout() as layout:
            stored = bmp.read(data, layout, header.width, header.height)
        case _:
            stored = codec.read(data, header)
    return _upright(stored, header.orientation)


def _upright(stored: Pixels, orientation: int) -> Pixels:
    """Turns a picture as its EXIF orientation asks (CIPA DC-008, 4.6.4: row and column that are seen first)."""
    match orientation:
        case 2:
            turned = cv2.flip(stored, 1, dst=stored)
        case 3:
            turned = cv2.flip(stored, -1, dst=stored)
        case 4:
            turned = cv2.flip(stored, 0, dst=stored)
        case 5:
            turned = cv2.transpose(stored)
        case 6:
            turned = cv2.rotate(stored, cv2.ROTATE_90_CLOCKWISE)
        case 7:
            turned = cv2.transpose(stored)
            turned = cv2.flip(turned, -1, dst=turned)
        case 8:
            turned = cv2.rotate(stored, cv2.ROTATE_90_COUNTERCLOCKWISE)
        case _:
            return stored
    return np.asarray(turned, dtype=np.uint8)

"""What the readers of the formats share: the header they return, the refusal they raise, bounded reads."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum


class Format(StrEnum):
    """The image formats that are read; the value is the registered media type."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    WEBP = "image/webp"
    TIFF = "image/tiff"
    BMP = "image/bmp"

    @property
    def label(self) -> str:
        """The format's customary name."""
        return "WebP" if self is Format.WEBP else self.name


class Reason(StrEnum):
    """Why the bytes of a sample were refused; the constants that callers may test for."""

    EMPTY_SAMPLE = "EMPTY_SAMPLE"
    NOT_AN_IMAGE = "NOT_AN_IMAGE"
    UNSUPPORTED_IMAGE = "UNSUPPORTED_IMAGE"
    TRUNCATED_IMAGE = "TRUNCATED_IMAGE"
    CORRUPT_IMAGE = "CORRUPT_IMAGE"
    ANIMATED_IMAGE = "ANIMATED_IMAGE"
    IMAGE_TOO_LARGE = "IMAGE_TOO_LARGE"
    IMAGE_TOO_SMALL = "IMAGE_TOO_SMALL"
    MEDIA_TYPE_MISMATCH = "MEDIA_TYPE_MISMATCH"


class Refusal(Exception):
    """Why a file is not read: a constant, a predicate ("ends before ...") and what the sender can do.

    It does not know the sample's name; `decode` adds it.
    """

    def __init__(self, reason: Reason, found: str, remedy: str) -> None:
        super().__init__(f"{reason}: {found}; {remedy}")
        self.reason = reason
        self.found = found
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class BmpLayout:
    """How the pixels of a bitmap of 16 or 32 bits lie in its file.

    `masks` are the bits of red, green, blue and alpha; 0 where there is no alpha.
    """

    offset: int
    depth: int
    masks: tuple[int, int, int, int]
    top_down: bool


@dataclass(frozen=True, slots=True)
class TiffLayout:
    """How the samples of a TIFF picture lie in its file, in the words of TIFF 6.0.

    `order` is the byte order for `struct`. `colours` counts the samples that are colours; where `alpha` is true
    the next one is opacity, and `associated` says that the colours were multiplied by it. `palette` is a uint8
    lookup [entries, 3] as bytes. A piece is a strip or a tile, `across` of them in a row of pieces; with `planar` 2
    the pieces of one sample follow those of the other.
    """

    order: str
    bits: int
    samples: int
    photometric: int
    compression: int
    predictor: int
    planar: int
    alpha: bool
    associated: bool
    palette: bytes
    tiled: bool
    piece_width: int
    piece_height: int
    starts: tuple[int, ...]
    lengths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says about itself.

    `width` and `height` are pixels as stored, before `orientation` (EXIF 2.3 tag 0x0112, 1..8) is applied.
    `alpha` says that pixels may be transparent, `clear` that one value of a grey picture is. `process` names what
    the decoder does, as `parameters.DECODING` lists it. `spans` are the parts of the file that the decoder is to
    see, joined; none means all of it. `unfinished` says that the end marker is missing, so that only the decoder
    can tell whether the picture is whole. `layout` is set where the pixels are unpacked by own code.
    """

    format: Format
    width: int
    height: int
    orientation: int = 1
    alpha: bool = False
    process: str = ""
    spans: tuple[tuple[int, int], ...] = ()
    unfinished: bool = False
    clear: int | None = None
    layout: BmpLayout | TiffLayout | None = None


def truncated(label: str, where: str) -> Refusal:
    """The file ends too early."""
    return Refusal(
        Reason.TRUNCATED_IMAGE, f"is an incomplete {label} file: it ends {where}", "send the whole file again"
    )


def corrupt(label: str, what: str) -> Refusal:
    """The file contradicts itself."""
    return Refusal(
        Reason.CORRUPT_IMAGE, f"is a damaged {label} file: {what}", "send an undamaged copy or save it again"
    )


def animated(label: str) -> Refusal:
    """The file holds several pictures."""
    return Refusal(
        Reason.ANIMATED_IMAGE,
        f"is a {label} file with several frames or pages",
        "send the one that is meant as a file of its own",
    )


def unsupported(label: str, what: str) -> Refusal:
    """The file is a rare variant that is not read."""
    return Refusal(
        Reason.UNSUPPORTED_IMAGE, f"is a {label} file with {what}, which is not read here", "save it as PNG"
    )


def camera_raw(name: str = "camera raw") -> Refusal:
    """The file holds a sensor's data, and a small preview of the photograph that would pass for it."""
    return Refusal(
        Reason.UNSUPPORTED_IMAGE,
        f"is a {name} file, which is not developed here",
        "develop it in the camera maker's program or a photo editor and save it as JPEG",
    )


def join(spans: list[tuple[int, int]], start: int, end: int) -> None:
    """Add a span to a list of them; one that goes on where the last ended makes it longer."""
    if spans and spans[-1][1] == start:
        spans[-1] = (spans[-1][0], end)
    else:
        spans.append((start, end))


def unpack(layout: struct.Struct, data: bytes, at: int, label: str) -> tuple[int, ...]:
    """The integers of `layout` at an offset.

    Raises:
        Refusal: the file ends before them.
    """
    if at < 0 or at + layout.size > len(data):
        raise truncated(label, f"within a field at byte {at}")
    return layout.unpack_from(data, at)

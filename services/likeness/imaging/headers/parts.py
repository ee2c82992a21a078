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
class Header:
    """What a file says about itself.

    `width` and `height` are pixels as stored, before `orientation` (EXIF 2.3 tag 0x0112, 1..8) is applied.
    `alpha` says that pixels may be transparent; `premultiplied` that the codec returns their colours multiplied
    by their opacity already.
    """

    format: Format
    width: int
    height: int
    orientation: int = 1
    alpha: bool = False
    premultiplied: bool = False


def truncated(label: str, where: str) -> Refusal:
    """The file ends too early."""
    return Refusal(
        Reason.TRUNCATED_IMAGE, f"is an incomplete {label} file: it ends {where}", "send the whole file again"
    )


def corrupt(label: str, what: str) -> Refusal:
    """The file contradicts itself."""
    return Refusal(
        Reason.CORRUPT_IMAGE, f"is a damaged {label} file: {what}", "send an undamaged copy or save it anew"
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


def unpack(layout: struct.Struct, data: bytes, at: int, label: str) -> tuple[int, ...]:
    """The integers of `layout` at an offset.

    Raises:
        Refusal: the file ends before them.
    """
    if at < 0 or at + layout.size > len(data):
        raise truncated(label, f"within a field at byte {at}")
    return layout.unpack_from(data, at)

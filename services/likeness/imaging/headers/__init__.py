"""What an image file says about itself, read without decoding a pixel.

`inspect` recognises the format by its first bytes and hands the file to that format's reader, which walks the
container from end to end: size, orientation, alpha, animation, completeness. A reader takes no memory in
proportion to what the header promises and no time beyond a small multiple of the file's length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from likeness.imaging.headers import bmp, jpeg, png, tiff, webp
from likeness.imaging.headers.kinds import foreign_kind
from likeness.imaging.headers.parts import Format, Header, Reason, Refusal, camera_raw

__all__ = ["Format", "Header", "Reason", "Refusal", "inspect", "trimmed"]

_READERS: Mapping[Format, Callable[[bytes], Header]] = {
    Format.JPEG: jpeg.read,
    Format.PNG: png.read,
    Format.WEBP: webp.read,
    Format.BMP: bmp.read,
    Format.TIFF: tiff.read,
}

_JPEG_START = re.compile(
    rb"\xff\xd8.{0,16}?\xff[\x01-\xff]", re.DOTALL
)  # some stray bytes before the first segment

REMEDY_CONVERT = "convert it to JPEG or PNG"
MAX_LEADING = 16
"""Blank bytes before a picture that are passed over; an upload taken apart by hand leaves a line break or two."""
_BLANK = b"\r\n\t \0"


def recognise(data: bytes) -> Format | None:
    """The accepted format that the first bytes belong to, or None."""
    if _JPEG_START.match(data):
        return Format.JPEG
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return Format.PNG
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Format.WEBP
    if data[:4] in (b"II*\0", b"MM\0*"):
        return Format.TIFF
    if data[:2] == b"BM" and bmp.plausible(data):
        return Format.BMP
    return None


def trimmed(data: bytes) -> bytes:
    """The file without blank bytes before it, if it is a picture then."""
    if recognise(data) is None and data[:1] and data[:1] in _BLANK:
        head = data[:MAX_LEADING]
        rest = data[len(head) - len(head.lstrip(_BLANK)) :]
        if recognise(rest) is not None:
            return rest
    return data


def inspect(data: bytes) -> Header:
    """Reads the header of an image file.

    Raises:
        Refusal: the bytes are not an image in an accepted format, or are damaged, incomplete or animated.
    """
    known = recognise(data)
    if known is not None:
        return _READERS[known](data)
    kind = foreign_kind(data)
    if kind.animated:
        raise Refusal(
            Reason.ANIMATED_IMAGE,
            f"is a {kind.name} file, which may hold several frames",
            "send the frame that is meant as JPEG or PNG",
        )
    if kind.raw:
        raise camera_raw(kind.name)
    if kind.image:
        raise Refusal(
            Reason.UNSUPPORTED_IMAGE,
            f"is an image in the format {kind.name}, which is not read here",
            kind.remedy or REMEDY_CONVERT,
        )
    raise Refusal(
        Reason.NOT_AN_IMAGE,
        f"is not an image but {kind.name}",
        "send a photograph as JPEG, PNG, WebP, TIFF or BMP",
    )

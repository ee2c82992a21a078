"""Names for files that are not read, so that a refusal can say what was sent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A file type: how a sentence names it, whether it is an image, whether images of it may move."""

    name: str
    image: bool = False
    animated: bool = False


_IMAGE_MAGICS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"8BPS", "Photoshop"),
    (b"\x00\x00\x01\x00", "Windows icon"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"II+\x00", "BigTIFF"),
    (b"MM\x00+", "BigTIFF"),
    (b"\xff\xa0\xff\xa8", "WSQ fingerprint"),
)
_OTHER_MAGICS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\xd0\xcf\x11\xe0", "an office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"FMR\x00", "a fingerprint minutiae record"),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM video"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a program"),
)
_IMAGE_BRANDS = {
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"mif1": "HEIF",
    b"msf1": "HEIF",
    b"avif": "AVIF",
    b"avis": "AVIF",
}
_LOOK_AT = 512  # bytes; a text file shows itself within them
_TEXT_CONTROLS = frozenset(b"\t\n\r\f\x1b")


def foreign_kind(data: bytes) -> Kind:
    """The best name for a file in none of the accepted formats."""
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return Kind("GIF", image=True, animated=True)
    if data[4:8] == b"ftyp":
        brand = _IMAGE_BRANDS.get(data[8:12])
        return Kind(brand, image=True) if brand else Kind("an MP4 or QuickTime video")
    for magic, name in _IMAGE_MAGICS:
        if data.startswith(magic):
            return Kind(name, image=True)
    for magic, name in _OTHER_MAGICS:
        if data.startswith(magic):
            return Kind(name)
    return _text_kind(data[:_LOOK_AT])


def _text_kind(head: bytes) -> Kind:
    lowered = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if lowered.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return Kind("an HTML page")
    if b"<svg" in lowered:
        return Kind("SVG", image=True)
    if lowered.startswith(b"<?xml"):
        return Kind("an XML document")
    if lowered[:1] in (b"{", b"["):
        return Kind("a JSON text")
    if head and all(byte >= 0x20 or byte in _TEXT_CONTROLS for byte in head) and _decodes(head):
        return Kind("a text")
    return Kind(f"data of an unknown kind beginning with {head[:8].hex(' ')}")


def _decodes(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4  # a character cut by the window, not a stray byte
    return True

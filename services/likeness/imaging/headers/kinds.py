"""Names for files that are not read, so that a refusal can say what was sent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileKind:
    """A file type: how a sentence names it, whether it is an image, whether images of it may move.

    `remedy` is what its sender can do where that is not the same for every image.
    """

    name: str
    image: bool = False
    animated: bool = False
    raw: bool = False
    remedy: str = ""


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
_RAW_MAGICS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"FUJIFILMCCD-RAW", "Fujifilm camera raw (RAF)"),
    (0, b"IIRO", "Olympus camera raw (ORF)"),
    (0, b"IIRS", "Olympus camera raw (ORF)"),
    (0, b"MMOR", "Olympus camera raw (ORF)"),
    (0, b"IIU\x00", "Panasonic camera raw (RW2)"),
    (0, b"\x00MRM", "Minolta camera raw (MRW)"),
    (0, b"FOVb", "Sigma camera raw (X3F)"),
    (4, b"ftypcrx ", "Canon camera raw (CR3)"),
    (6, b"HEAPCCDR", "Canon camera raw (CRW)"),
    (0, b"IIII", "Phase One camera raw (IIQ)"),
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
    b"heim": "HEIC",
    b"heis": "HEIC",
    b"hevc": "HEIC",
    b"hevx": "HEIC",
    b"mif1": "HEIF",
    b"msf1": "HEIF",
    b"avif": "AVIF",
    b"avis": "AVIF",
}
_FROM_PHONE = (
    "convert it to JPEG, or set the phone to take JPEG (iPhone: Settings, Camera, Formats, Most Compatible)"
)
_REMEDIES = {
    "HEIC": _FROM_PHONE,
    "HEIF": _FROM_PHONE,
    "SVG": "it is a drawing; export it as PNG if a photograph is in it",
}
_BRANDS_AT = 16  # of the compatible brands, behind the main brand and its version
_LOOK_AT = 512  # bytes; a text file shows itself within them
_TEXT_CONTROLS = frozenset(b"\t\n\r\f\x1b")


def foreign_kind(data: bytes) -> FileKind:
    """The best name for a file in none of the accepted formats."""
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return FileKind("GIF", image=True, animated=True)
    if data[4:8] == b"ftyp":
        brand = _brand(data)
        if brand:
            return FileKind(brand, image=True, remedy=_REMEDIES.get(brand, ""))
    for at, magic, name in _RAW_MAGICS:
        if data.startswith(magic, at):
            return FileKind(name, image=True, raw=True)
    for magic, name in _IMAGE_MAGICS + _OTHER_MAGICS:
        if data.startswith(magic):
            return FileKind(name, image=(magic, name) in _IMAGE_MAGICS)
    if data[4:8] == b"ftyp":
        return FileKind("an MP4 or QuickTime video")
    return _text_kind(data[:_LOOK_AT])


def _brand(data: bytes) -> str:
    """The image format among the brands of an ISO media file; generic ones give way to those that say more."""
    end = min(int.from_bytes(data[:4], "big"), _LOOK_AT, len(data))
    brands = [data[8:12], *(data[at : at + 4] for at in range(_BRANDS_AT, end - 3, 4))]
    found = [_IMAGE_BRANDS[brand] for brand in brands if brand in _IMAGE_BRANDS]
    return next((name for name in found if name != "HEIF"), found[0] if found else "")


def _text_kind(head: bytes) -> FileKind:
    lowered = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if lowered.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return FileKind("an HTML page")
    if b"<svg" in lowered:
        return FileKind("SVG", image=True, remedy=_REMEDIES["SVG"])
    if lowered.startswith(b"<?xml"):
        return FileKind("an XML document")
    if lowered[:1] in (b"{", b"["):
        return FileKind("a JSON text")
    if head and all(byte >= 0x20 or byte in _TEXT_CONTROLS for byte in head) and _decodes(head):
        return FileKind("a text")
    return FileKind(f"data of an unknown kind beginning with {head[:8].hex(' ')}")


def _decodes(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4  # a character cut by the window, not a stray byte
    return True

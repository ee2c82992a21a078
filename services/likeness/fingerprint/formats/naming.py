"""What bytes are that are no finger minutiae record, for the message that refuses them."""

from __future__ import annotations

from collections.abc import Sequence

from likeness.domain.errors import SampleRejected

_NAMES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\xff\xa0", "a WSQ picture"),
    (b"\x00\x00\x00\x0cjP", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"BM", "a BMP picture"),
    (b"GIF8", "a GIF picture"),
    (b"FIR\0", "a finger image record (ISO/IEC 19794-4)"),
    (b"FAC\0", "a face image record (ISO/IEC 19794-5)"),
    (b"FSR\0", "a finger pattern skeleton record (ISO/IEC 19794-8)"),
    (b"FSP\0", "a finger pattern spectral record (ISO/IEC 19794-3)"),
    (b"IIR\0", "an iris record (ISO/IEC 19794-6)"),
    (b"FMC\0", "a compact card record"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"BZh", "bzip2 data"),
    (b"\xfd7zXZ\0", "xz data"),
    (b"(\xb5/\xfd", "Zstandard data"),
    (b"\x7f\x60", "a card's biometric information template (ISO/IEC 7816-11)"),
    (b"\x7f\x61", "a card's biometric information group (ISO/IEC 7816-11)"),
    (b"\x7f\x2e", "a card's biometric data (ISO/IEC 7816-11)"),
    (b"\x5f\x2e", "a card's biometric data (ISO/IEC 7816-11)"),
    (b"\xac\x82", "a CBEFF record in ASN.1"),
    (b"\xbf\x81", "an ISO/IEC 39794 record"),
    (b"{", "JSON text"),
    (b"[", "JSON text"),
    (b"<!DOCTYPE html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<", "XML text"),
)


def name_of(data: bytes) -> str:
    """What the bytes are, where their beginning says so; else empty."""
    if data[:2] == b"\x1f\x8b":
        return "gzip data"
    head = data.lstrip(b"\xef\xbb\xbf \t\r\n")[:16]
    for magic, name in _NAMES:
        if head.startswith(magic) or (magic[:1] == b"<" and head.lower().startswith(magic.lower())):
            return name
    return ""


def unknown(data: bytes, name: str, wrappers: Sequence[str]) -> SampleRejected:
    """The error of a sample that is no record and holds none.

    Args:
        data: the innermost that could be unwrapped.
        name: what the caller calls the sample.
        wrappers: what it was in, the outermost first.
    """
    what = name_of(data)
    inside = "".join(f"{wrapper} with " for wrapper in wrappers)
    if what.startswith("a card's"):
        remedy = (
            "in the compact card format, which does not state its resolution and size; export it as a record of "
            "ISO/IEC 19794-2 or ANSI/INCITS 378"
        )
    elif "picture" in what or "image" in what:
        remedy = "send the template, not the image"
    else:
        remedy = "send the template itself"
    is_what = (
        f"is {inside}{what}" if what else f"is {inside}something else" if inside else "is something else"
    )
    return SampleRejected(
        f"{name} is no finger minutiae record: it {is_what}. At byte 0 there is neither the magic number of "
        f"ISO/IEC 19794-2 and ANSI/INCITS 378 (FMR) nor a Type-1 or Type-9 record of ANSI/NIST-ITL; {remedy}.",
        reason="UNSUPPORTED_FORMAT",
        metadata={"offset": "0", "is": what or "unknown"},
    )

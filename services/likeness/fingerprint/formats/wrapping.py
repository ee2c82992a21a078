"""Templates that travel inside something else: what it is, and what is in it where that is certain.

Case systems store templates as text, compress them or put a header before them. What is unambiguous is unwrapped,
and the record says so; of everything else the error says what was sent.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Callable
from typing import NamedTuple

from likeness.domain.errors import SampleRejected
from likeness.fingerprint.formats.cursor import MAX_RECORD_BYTES, too_much

MAX_DEPTH = 4
"""Wrappers within wrappers: a compressed record as text in an XML file has three."""

_LONGEST_HEADER = 512
"""Bytes before a record that may be a CBEFF or BIR header; that of PIV cards (NIST SP 800-76) has 88."""

_FMR = b"FMR\0"
_RECORD = re.compile(rb"FMR\0(?:[ 0](?:20|30|35)\0|(?:20|30|35)\0\0)")
_DATA_URI = re.compile(rb"data:[\w.+/-]{0,100}(?:;[\w=.-]{1,60})*;base64,", re.IGNORECASE)
_HEX = re.compile(rb"(?:0x)?(?:[0-9A-Fa-f]{2}[\s:,-]{0,2})+")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]+={0,2}")
_BDB = re.compile(rb"<(?:[\w.-]+:)?BDB(?:\s[^<>]*)?>([^<>]*)</(?:[\w.-]+:)?BDB\s*>")

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


class Unwrapped(NamedTuple):
    """What was inside, and in what, the outermost first; nothing where it was not wrapped."""

    data: bytes
    wrappers: tuple[str, ...] = ()


def unwrap(data: bytes, name: str, is_record: Callable[[bytes], bool]) -> Unwrapped:
    """The record inside.

    Args:
        data: what was sent.
        name: what the caller calls it.
        is_record: whether bytes begin as a record does.

    Raises:
        SampleRejected: it is no record and holds none; the message says what it is.
    """
    wrappers: list[str] = []
    inner = data
    while not is_record(inner):
        found = _opened(inner, name, is_record) if len(wrappers) < MAX_DEPTH else None
        if found is None:
            raise _unknown(inner, name, wrappers)
        wrapper, inner = found
        wrappers.append(wrapper)
    return Unwrapped(inner, tuple(wrappers))


def _opened(data: bytes, name: str, is_record: Callable[[bytes], bool]) -> tuple[str, bytes] | None:
    """The outermost wrapper by name, and what is in it."""
    if data[:2] == b"\x1f\x8b":
        return _inflated("gzip", data, name, zlib.MAX_WBITS | 16)
    if data[:1] == b"\x78" and len(data) > 2 and (data[0] << 8 | data[1]) % 31 == 0:
        return _inflated("zlib", data, name, zlib.MAX_WBITS)
    text = data.lstrip(b"\xef\xbb\xbf \t\r\n").rstrip(b"\0 \t\r\n")
    if text[:1] == b"<":
        return _from_xml(text, name)
    return _from_text(text, is_record) or _behind_header(data)


def _inflated(wrapper: str, data: bytes, name: str, bits: int) -> tuple[str, bytes] | None:
    inflating = zlib.decompressobj(bits)
    try:
        found = inflating.decompress(data, MAX_RECORD_BYTES + 1)
    except zlib.error:
        return None
    if len(found) > MAX_RECORD_BYTES:
        raise too_much(
            name, 0, "our limits", f"{wrapper} data of more than {MAX_RECORD_BYTES} bytes unpacked"
        )
    return (f"{wrapper} data", found) if inflating.eof else None


def _from_xml(text: bytes, name: str) -> tuple[str, bytes] | None:
    """The biometric data block of a BIR (BioAPI, OASIS BIAS). Not parsed: no entity, no network, one element."""
    blocks = _BDB.findall(text)
    if len(blocks) > 1:
        raise SampleRejected(
            f"{name} is an XML file with {len(blocks)} biometric data blocks (BDB); send one record at a time.",
            reason="SEVERAL_RECORDS",
        )
    return ("the BDB of an XML file", blocks[0]) if blocks else None


def _from_text(text: bytes, is_record: Callable[[bytes], bool]) -> tuple[str, bytes] | None:
    """Bytes written as text. Hexadecimal digits may be base64 too, so what comes out must be something known."""
    uri = _DATA_URI.match(text)
    if uri is not None:
        text = text[uri.end() :]
    if uri is None and _HEX.fullmatch(text + b" ") and len(text) >= 2 * len(_FMR):
        digits = re.sub(rb"[\s:,-]", b"", text.removeprefix(b"0x"))
        if _is_known(found := binascii.unhexlify(digits), is_record):
            return "hexadecimal text", found
    packed = re.sub(rb"\s", b"", text)
    if _BASE64.fullmatch(packed) is None or len(packed) % 4 == 1:
        return None
    standard = packed.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    try:
        found = base64.b64decode(standard + b"=" * (-len(standard) % 4), validate=True)
    except binascii.Error:
        return None
    return ("base64 text", found) if _is_known(found, is_record) else None


def _is_known(data: bytes, is_record: Callable[[bytes], bool]) -> bool:
    text_again = len(data) >= 2 * len(_FMR) and _BASE64.fullmatch(data.strip()) is not None
    return is_record(data) or bool(name_of(data)) or _behind_header(data) is not None or text_again


def _behind_header(data: bytes) -> tuple[str, bytes] | None:
    """The only record that begins within the longest header, cut to the length that it declares.

    What follows may be a signature block. A header is not read: those of CBEFF, BioAPI and cards differ, and none
    changes what the record says.
    """
    found = _RECORD.search(data, 1, _LONGEST_HEADER + 8)
    if found is None:
        return None
    record = data[found.start() :]
    lengths = {
        int.from_bytes(record[8:12], "big"),
        int.from_bytes(record[8:10], "big"),
        int.from_bytes(record[10:14], "big") if record[8:10] == b"\0\0" else 0,
    }
    fitting = [length for length in lengths if 20 <= length <= len(record)]
    if not fitting:
        return None
    return f"a header of {found.start()} bytes (CBEFF, BIR or card)", record[: max(fitting)]


def name_of(data: bytes) -> str:
    """What the bytes are, where their beginning says so; else empty."""
    if data[:2] == b"\x1f\x8b":
        return "gzip data"
    head = data.lstrip(b"\xef\xbb\xbf \t\r\n")[:16]
    for magic, name in _NAMES:
        if head.startswith(magic):
            return name
    return ""


def _unknown(data: bytes, name: str, wrappers: list[str]) -> SampleRejected:
    what = name_of(data)
    inside = "".join(f"{wrapper} with " for wrapper in wrappers)
    if what.startswith("a card's"):
        remedy = (
            "in the compact card format, which does not tell its resolution and size; export it as a record of "
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

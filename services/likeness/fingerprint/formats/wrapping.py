"""Templates that travel inside something else: what it is, and what is in it where that is certain.

Case systems store templates as text, compress them or put a header before them. What is unambiguous is unwrapped,
and the record says so; of everything else the error says what was sent. Of several records none is picked.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Callable
from typing import NamedTuple

from likeness.domain.errors import SampleRejected
from likeness.fingerprint.formats.cursor import MAX_RECORD_BYTES, malformed, several, too_much
from likeness.fingerprint.formats.leaves import MalformedXml, leaves
from likeness.fingerprint.formats.naming import name_of, unknown

MAX_DEPTH = 4
"""Wrappers within wrappers: a compressed record as text in an XML file has three."""

_LONGEST_HEADER = 512
"""Bytes before a record that may be a CBEFF or BIR header; that of PIV cards (NIST SP 800-76) has 88."""
_MAX_MEMBERS = 64
"""Members of gzip data; those that write in blocks make one for each 64 KiB."""
_SHORTEST_TEXT = 32
"""Characters of an element of an XML file that may hold a record."""

_LOOKED_INTO = 64
"""Bytes of a record by which it is known as one."""

_FMR = b"FMR\0"
_RECORD = re.compile(rb"FMR\0(?:[ 0](?:20|30|35)\0|(?:20|30|35)\0\0)")
_DATA_URI = re.compile(rb"data:[\w.+/-]{0,100}(?:;[\w=.-]{1,60})*;base64,", re.IGNORECASE)
_HEX = re.compile(rb"(?:0x)?(?:[0-9A-Fa-f]{2}[\s:,-]{0,2})+")
_BASE64_PIECE = re.compile(rb"[A-Za-z0-9+/_-]+")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]+(?:={1,2}[A-Za-z0-9+/_-]+)*={0,2}")
_GZIP, _DEFLATED = b"\x1f\x8b", b"\x08"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_BEFORE_TEXT, _AFTER_TEXT = b"\xef\xbb\xbf \t\r\n", b"\0 \t\r\n"

IsRecord = Callable[[bytes], bool]
"""Whether bytes begin as a record does."""


class Unwrapped(NamedTuple):
    """What was inside, and in what, the outermost first; nothing where it was not wrapped."""

    data: bytes
    wrappers: tuple[str, ...] = ()


def unwrap(data: bytes, name: str, is_record: IsRecord) -> Unwrapped:
    """The record inside.

    Args:
        data: what was sent.
        name: what the caller calls it.
        is_record: whether bytes begin as a record does.

    Raises:
        SampleRejected: it is no record and holds none, or several; the message says what it is.
    """
    wrappers: list[str] = []
    inner = data
    while not is_record(inner):
        found = _opened(inner, name, is_record) if len(wrappers) < MAX_DEPTH else None
        if found is None:
            raise unknown(inner, name, wrappers)
        wrapper, inner = found
        wrappers.append(wrapper)
    return Unwrapped(inner, tuple(wrappers))


def _opened(data: bytes, name: str, is_record: IsRecord) -> tuple[str, bytes] | None:
    """The outermost wrapper by name, and what is in it."""
    if data[:2] == _GZIP:
        return _inflated(data, name, "gzip", zlib.MAX_WBITS | 16)
    if _begins_as_zlib(data):
        return _inflated(data, name, "zlib", zlib.MAX_WBITS)
    if data[:2] in _UTF_16:
        return _of_two_bytes(data, name, is_record)
    text = data.lstrip(_BEFORE_TEXT).rstrip(_AFTER_TEXT)
    if text[:1] == b"<":
        return _from_xml(text, name, is_record)
    return _from_text(text, lambda found: _is_known(found, name, is_record)) or _behind_header(data, name)


def _inflated(data: bytes, name: str, wrapper: str, bits: int) -> tuple[str, bytes] | None:
    """Compressed data; that of gzip may have several members, which are one content (RFC 1952, 2.2)."""
    found, rest = b"", data
    for _ in range(_MAX_MEMBERS):
        inflating = zlib.decompressobj(bits)
        try:
            found += inflating.decompress(rest, MAX_RECORD_BYTES + 1 - len(found))
        except zlib.error:
            return None
        if len(found) > MAX_RECORD_BYTES:
            raise too_much(
                name, 0, "our limits", f"{wrapper} data of more than {MAX_RECORD_BYTES} bytes unpacked"
            )
        if not inflating.eof:
            return None
        rest = inflating.unused_data
        if wrapper != "gzip" or not rest.startswith(_GZIP):
            break
    else:
        raise too_much(name, 0, "our limits", f"gzip data of more than {_MAX_MEMBERS} members")
    if rest.strip(_AFTER_TEXT):
        if _RECORD.search(rest):
            raise several(name, f"{wrapper} data and a finger minutiae record after it")
        clause = "RFC 1952" if wrapper == "gzip" else "RFC 1950"
        raise malformed(name, len(data) - len(rest), clause, f"{len(rest)} bytes follow the compressed data")
    return f"{wrapper} data", found


def _begins_as_zlib(data: bytes) -> bool:
    return data[:1] == b"\x78" and len(data) > 2 and (data[0] << 8 | data[1]) % 31 == 0


def _is_compressed(data: bytes, is_record: IsRecord) -> bool:
    """Whether it surely is: zlib data begin with two bytes that others may begin with, so they are looked into."""
    if data[:3] == _GZIP + _DEFLATED:
        return True
    try:
        return _begins_as_zlib(data) and is_record(zlib.decompressobj().decompress(data, _LOOKED_INTO))
    except zlib.error:
        return False


def _of_two_bytes(data: bytes, name: str, is_record: IsRecord) -> tuple[str, bytes] | None:
    """Text in UTF-16, as shells of Windows write it."""
    try:
        text = data.decode("utf-16").encode()
    except UnicodeError:
        return None
    return _from_xml(data, name, is_record) if text.startswith(b"<") else ("UTF-16 text", text)


def _from_xml(text: bytes, name: str, is_record: IsRecord) -> tuple[str, bytes] | None:
    """The block of a BIR (BioAPI, OASIS BIAS, ISO/IEC 19785-3), or the only element that holds a record."""
    if name_of(text) == "an HTML page":
        return None
    try:
        elements = leaves(text)
    except MalformedXml as error:
        raise SampleRejected(
            f"{name} is XML text, and cannot be read: {error}; send the template itself.",
            reason="UNSUPPORTED_FORMAT",
            metadata={"offset": "0", "is": "XML text"},
        ) from None

    def is_certain(found: bytes) -> bool:
        return is_record(found) or _is_compressed(found, is_record) or _behind_header(found, name) is not None

    def holds_one(leaf: bytes) -> bool:
        return len(leaf) >= _SHORTEST_TEXT and _from_text(leaf, is_certain) is not None

    blocks = [leaf for tag, leaf in elements if leaf and (tag == "BDB" or holds_one(leaf))]
    if len(blocks) > 1:
        raise several(name, f"{len(blocks)} biometric data blocks (BDB) in an XML file")
    return ("a block in an XML file", blocks[0]) if blocks else None


def _from_text(text: bytes, is_known: Callable[[bytes], bool]) -> tuple[str, bytes] | None:
    """Bytes written as text. Hexadecimal digits may be base64 too, so what comes out must be something known."""
    text = text.strip(b"\"'")
    uri = _DATA_URI.match(text)
    if uri is not None:
        text = text[uri.end() :]
    if uri is None and _HEX.fullmatch(text + b" ") and len(text) >= 2 * len(_FMR):
        digits = re.sub(rb"[\s:,-]", b"", text.removeprefix(b"0x"))
        if is_known(found := binascii.unhexlify(digits)):
            return "hexadecimal text", found
    packed = re.sub(rb"\s", b"", text)
    if _BASE64.fullmatch(packed) is None:
        return None
    try:
        found = b"".join(_from_base64(piece) for piece in _BASE64_PIECE.findall(packed))
    except binascii.Error:
        return None
    return ("base64 text", found) if is_known(found) else None


def _from_base64(piece: bytes) -> bytes:
    """What was encoded in one piece, of whatever alphabet; padding ends a piece, and need not be there."""
    usual = piece.translate(bytes.maketrans(b"-_", b"+/"))
    return base64.b64decode(usual + b"=" * (-len(usual) % 4), validate=True)


def _is_known(data: bytes, name: str, is_record: IsRecord) -> bool:
    text_again = len(data) >= 2 * len(_FMR) and _BASE64.fullmatch(re.sub(rb"\s", b"", data)) is not None
    named = bool(name_of(data)) or _is_compressed(data, is_record)
    return is_record(data) or named or text_again or _behind_header(data, name) is not None


def _behind_header(data: bytes, name: str) -> tuple[str, bytes] | None:
    """The only record, where it begins within the longest header, cut to the length that it declares.

    What follows may be a signature block. A header is not read: those of CBEFF, BioAPI and cards differ, and none
    changes what the record says.

    Raises:
        SampleRejected: another record follows.
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
    end = max((length for length in lengths if 20 <= length <= len(record)), default=len(record))
    if _RECORD.search(record, len(_FMR)):
        raise several(name, "several finger minutiae records, each with a header (CBEFF, BIR or card)")
    return f"a header of {found.start()} bytes (CBEFF, BIR or card)", record[:end]

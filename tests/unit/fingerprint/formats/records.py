"""Records made byte by byte, and what they travel in."""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Callable

import numpy as np

from likeness.fingerprint.formats import Standard
from likeness.fingerprint.minutiae import Record

ENDING = bytes([0x40, 100, 0, 200, 64, 70])
OTHER = bytes([0x80, 50, 1, 4, 32, 60])


def sized(before: bytes, after: bytes) -> bytes:
    """A record with its length in four bytes between the two."""
    return before + (len(before) + 4 + len(after)).to_bytes(4, "big") + after


def iso_2005(extended: bytes = b"", per_cm: int = 197) -> bytes:
    fixed = b"\0\0" + (300).to_bytes(2, "big") + (400).to_bytes(2, "big") + per_cm.to_bytes(2, "big") * 2
    view = bytes([2, 0x10, 80, 2]) + ENDING + OTHER + len(extended).to_bytes(2, "big") + extended
    return sized(b"FMR\0 20\0", fixed + b"\1\0" + view)


def incits_2004() -> bytes:
    fixed = b"\0" * 6 + (300).to_bytes(2, "big") + (400).to_bytes(2, "big") + (197).to_bytes(2, "big") * 2
    after = fixed + b"\1\0" + bytes([2, 0x10, 80, 2]) + ENDING + OTHER + b"\0\0"
    return b"FMR\0 20\0" + (10 + len(after)).to_bytes(2, "big") + after


def incits_2009() -> bytes:
    view = bytes([2, 0, 0, 80, 0, 24, 0, 0]) + (300).to_bytes(2, "big") + (400).to_bytes(2, "big")
    view += (197).to_bytes(2, "big") * 2 + b"\2" + ENDING + OTHER + b"\0\0"
    return sized(b"FMR\0" + b"030\0", b"\0\x18\0\0\0\0\0\1\0" + view)


def iso_2011() -> bytes:
    body = b"\xff" * 9 + b"\0" * 5 + b"\0" + bytes([2, 0]) + (197).to_bytes(2, "big") * 2 + b"\0"
    body += (
        (300).to_bytes(2, "big") + (400).to_bytes(2, "big") + bytes([6 << 4, 2]) + ENDING + OTHER + b"\0\0"
    )
    return sized(b"FMR\0" + b"030\0", b"\0\1\0" + (len(body) + 4).to_bytes(4, "big") + body)


BINARY = {
    Standard.ISO_2005: iso_2005(),
    Standard.INCITS_2004: incits_2004(),
    Standard.INCITS_2009: incits_2009(),
    Standard.ISO_2011: iso_2011(),
}


def type_9(*fields: bytes) -> bytes:
    body = b"\x1d" + b"\x1d".join(fields) + b"\x1c"
    length = len(body) + len(b"9.001:")
    return b"9.001:%d" % (length + len(str(length + 2))) + body


def efs(*positions: bytes) -> bytes:
    return type_9(b"9.300:1524\x1f2032", b"9.302:" + b"\x1e".join(positions), b"9.331:508\x1f1016\x1f90\x1fE")


def block_378(*positions: bytes) -> bytes:
    return type_9(b"9.134:" + b"\x1e".join(positions), b"9.136:1", b"9.137:1\x1f100\x1f200\x1f45\x1f1\x1f70")


def same(one: Record, other: Record) -> bool:
    pairs = zip(one.views, other.views, strict=True)
    return one.standard == other.standard and all(
        np.array_equal(a.minutiae.xy, b.minutiae.xy) and a.position == b.position for a, b in pairs
    )


def bir(data: bytes, prefix: bytes = b"", more: bytes = b"") -> bytes:
    block = b"<%sBDB>%s</%sBDB>" % (prefix, base64.encodebytes(data), prefix)
    return b"<?xml version='1.0'?><BIR xmlns='x'><BDBInfo/>" + block + more + b"</BIR>"


WRAPPERS: dict[str, Callable[[bytes], bytes]] = {
    "base64": base64.b64encode,
    "base64 lines": base64.encodebytes,
    "base64 of URLs": lambda data: base64.urlsafe_b64encode(data).rstrip(b"="),
    "data URI": lambda data: b"data:application/octet-stream;base64," + base64.b64encode(data),
    "hex": lambda data: data.hex().encode(),
    "hex groups": lambda data: b"0x" + data.hex(" ", 4).upper().encode() + b"\n",
    "quoted": lambda data: b'"%s"\n' % base64.b64encode(data),
    "base64 in pieces": lambda data: b"\n".join(
        base64.b64encode(data[at : at + 100]) for at in range(0, len(data), 100)
    ),
    "UTF-16": lambda data: base64.b64encode(data).decode().encode("utf-16"),
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "gzip in members": lambda data: b"".join(
        gzip.compress(data[at : at + 999]) for at in range(0, len(data), 999)
    ),
    "CDATA": lambda data: b"<BIR><!-- BDB --><BDB><![CDATA[%s]]></BDB></BIR>" % base64.b64encode(data),
    "BIR": bir,
    "BIR prefix": lambda data: bir(data, b"bir:"),
    "gzip in base64": lambda data: base64.b64encode(gzip.compress(data)),
    "base64 twice": lambda data: base64.b64encode(base64.b64encode(data)),
    "PIV header": lambda data: b"\x03\x0d" + bytes(86) + data + b"signature",
    "card TLV": lambda data: b"\x7f\x61\x82\x01\x00\x02\x01\x01\x7f\x60\x5f\x2e\x40" + data,
}

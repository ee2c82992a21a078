"""Walking a protocol buffer by its wire format, before anything is made of it and without copying.

https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
"""Wire types; groups (3 and 4) are refused, since nothing that is read here has any."""

_MAX_VARINT_BYTES = 10
_MAX_KEY = (1 << 32) - 1
"""Numbers have 29 bits. Some parsers drop what is above, and take field 13 + 2**29 for field 13."""
_WIDTH = {FIXED64: 8, FIXED32: 4}


def fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Number and value of each field: bytes of those with a length, numbers of varints, 0 for fixed widths.

    Raises:
        ValueError: the bytes are no protocol buffer.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        if key > _MAX_KEY:
            raise ValueError(f"a field has the number {key >> 3}, which is too large")
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield number, value
        elif kind == LENGTH:
            length, at = _varint(message, at)
            if length > len(message) - at:
                raise ValueError(f"field {number} is longer than the message")
            yield number, message[at : at + length]
            at += length
        elif kind in _WIDTH:
            at += _WIDTH[kind]
            yield number, 0
        else:
            raise ValueError(f"field {number} is of the unknown wire type {kind}")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift, byte in enumerate(message[at : at + _MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value, at + shift + 1
    raise ValueError("a number does not end")

"""The orientation tag of an EXIF block.

Source: CIPA DC-008 (Exif 2.32), 4.6.4, tag 0x0112; the block is a TIFF header with its first directory.
"""

from __future__ import annotations

import struct

_ORIENTATION = 0x0112
_LAYOUTS = {1: "B", 3: "H", 4: "I"}  # BYTE, SHORT as the standard asks, LONG as some write
_ENTRY_BYTES = 12


def orientation(block: bytes) -> int:
    """The orientation 1..8 of an EXIF block; 1 (upright) where it has none or is damaged.

    A damaged block is no reason to refuse the picture: the tag is advice, and many writers get EXIF wrong.
    """
    block = block.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, directory)
        for index in range(count):
            at = directory + 2 + index * _ENTRY_BYTES
            tag, kind = struct.unpack_from(f"{order}HH", block, at)
            if tag == _ORIENTATION and kind in _LAYOUTS:
                (value,) = struct.unpack_from(order + _LAYOUTS[kind], block, at + 8)
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1

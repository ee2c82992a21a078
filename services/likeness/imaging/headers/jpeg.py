"""Reads the container of a JPEG file.

Source: ITU-T T.81 (ISO/IEC 10918-1), annex B; EXIF in APP1 by CIPA DC-008, 4.7.2.

A decoder that meets the end of the data too early fills the rest of the picture with grey and says nothing, so
the walk goes on through every scan to the end-of-image marker and refuses a file that has none. Bytes after
that marker are left alone: phones append previews and depth maps there.
"""

from __future__ import annotations

import re
import struct

from likeness.imaging.headers import exif
from likeness.imaging.headers.parts import Format, Header, corrupt, truncated, unpack, unsupported

MAX_SEGMENTS = 4096
"""Marker segments in one file; a photograph has tens, a profile and its thumbnails add a few hundred at most."""
MAX_SCANS = 100
"""Scans in one file. Every scan of a progressive file costs a pass over the whole picture; encoders write about
ten. libjpeg-turbo's advice on untrusted progressive files (issue LJT-01-005) is a limit of this kind."""

_LABEL = Format.JPEG.label
_U16 = struct.Struct(">H")
_FRAME = struct.Struct(">BHHB")  # precision in bits, height, width, components
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_DECODED_FRAMES = frozenset(
    (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
)  # sequential and progressive, Huffman or arithmetic
_BARE = frozenset(range(0xD0, 0xD8)) | {0x01}  # markers without a length: restarts and TEM
_SOI, _EOI, _SOS, _APP1 = 0xD8, 0xD9, 0xDA, 0xE1
_COMPONENTS = frozenset((1, 3, 4))
# In entropy-coded data FF is followed by 00 (stuffing), FF (fill) or a restart; anything else ends the scan.
_SCAN_END = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


def read(data: bytes) -> Header:
    """The header of a JPEG file that begins with a start-of-image marker.

    Raises:
        Refusal: it is incomplete, damaged or of a kind not decoded (lossless, 12 bits).
    """
    at = 2
    scans = 0
    frame: tuple[int, int] | None = None
    orientation = 1
    for _ in range(MAX_SEGMENTS):
        marker, at = _marker(data, at)
        if marker == _EOI:
            return _finish(frame, scans, orientation)
        if marker in _BARE:
            continue
        (length,) = unpack(_U16, data, at, _LABEL)
        if marker == _SOI or length < 2:
            raise corrupt(_LABEL, f"no segment belongs at byte {at}")
        end = at + length
        if end > len(data):
            raise truncated(_LABEL, f"within the segment at byte {at}")
        if marker in _FRAMES:
            if frame is not None:
                raise corrupt(_LABEL, "it declares its size twice")
            frame = _frame(data, at + 2, marker)
        elif marker == _APP1 and data[at + 2 : at + 8] == b"Exif\0\0":
            orientation = exif.orientation(data[at + 2 : end])
        elif marker == _SOS:
            scans += 1
            if scans > MAX_SCANS:
                raise unsupported(_LABEL, f"more than {MAX_SCANS} scans")
            end = _after_scan(data, end)
        at = end
    raise corrupt(_LABEL, f"it has more than {MAX_SEGMENTS} segments")


def _marker(data: bytes, at: int) -> tuple[int, int]:
    """The next marker's code and the offset behind it; fill bytes before it are passed over."""
    if at >= len(data):
        raise truncated(_LABEL, "before its end-of-image marker")
    if data[at] != 0xFF:
        raise corrupt(_LABEL, f"no marker at byte {at}")
    while at < len(data) and data[at] == 0xFF:
        at += 1
    if at >= len(data):
        raise truncated(_LABEL, "before its end-of-image marker")
    return data[at], at + 1


def _frame(data: bytes, at: int, marker: int) -> tuple[int, int]:
    precision, height, width, components = unpack(_FRAME, data, at, _LABEL)
    if marker not in _DECODED_FRAMES or precision != 8:
        raise unsupported(_LABEL, f"coding process {marker - 0xC0} at {precision} bits")
    if components not in _COMPONENTS:
        raise unsupported(_LABEL, f"{components} components")
    if width == 0 or height == 0:
        raise corrupt(_LABEL, f"it declares a size of {width} x {height} pixels")
    return width, height


def _after_scan(data: bytes, at: int) -> int:
    found = _SCAN_END.search(data, at)
    if found is None:
        raise truncated(_LABEL, "within the picture, before its end-of-image marker")
    return found.start()


def _finish(frame: tuple[int, int] | None, scans: int, orientation: int) -> Header:
    if frame is None or scans == 0:
        raise corrupt(_LABEL, "it holds no picture")
    return Header(Format.JPEG, *frame, orientation=orientation)

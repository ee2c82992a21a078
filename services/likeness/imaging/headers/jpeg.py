"""Reads the container of a JPEG file.

Source: ITU-T T.81 (ISO/IEC 10918-1), annex B; EXIF in APP1 by CIPA DC-008, 4.7.2.

A decoder that meets the end of the data too early fills the rest of the picture with grey and says nothing, so
the walk goes on through every scan to the end-of-image marker. Where that marker alone may be missing, the header
says so and the decoder finds out. Bytes after the marker are left alone: phones append previews and depth maps
there. Stray bytes between two segments are passed over, as every decoder does; ours is not shown them, for it would
write of them to the standard error.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

from likeness.imaging.headers import exif
from likeness.imaging.headers.parts import Format, Header, corrupt, join, truncated, unpack, unsupported

MAX_SEGMENTS = 4096
"""Marker segments in one file; a photograph has tens, a profile and its thumbnails add a few hundred at most."""
MAX_SCANS = 100
"""Scans in one file. Every scan of a progressive file costs a pass over the whole picture; encoders write about
ten. libjpeg-turbo's advice on untrusted progressive files (issue LJT-01-005) is a limit of this kind."""
MAX_STRAY_BYTES = 1 << 16
"""Bytes in one file that belong to no segment. Cameras pad to a sector or a page, transfers add single bytes."""

_LABEL = Format.JPEG.label
_U16 = struct.Struct(">H")
_FRAME = struct.Struct(">BHHB")  # precision in bits, height, width, components
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_DECODED_FRAMES = frozenset(
    (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
)  # sequential and progressive, Huffman or arithmetic
_PROGRESSIVE = frozenset((0xC2, 0xCA))
_BARE = frozenset(range(0xD0, 0xD8)) | {0x01}  # markers without a length: restarts and TEM
_SOI, _EOI, _SOS, _APP1, _JPEG_LS = 0xD8, 0xD9, 0xDA, 0xE1, 0xF7
_COMPONENTS = frozenset((1, 3, 4))
_COEFFICIENTS = 64  # of a block of 8 x 8 pixels
# A marker is FF and a code; 00 and FF are none.
_MARKER = re.compile(rb"\xff([\x01-\xfe])")
# In entropy-coded data FF is followed by 00 (stuffing), FF (fill) or a restart; anything else ends the scan.
_SCAN_END = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


@dataclass(slots=True)
class _Walk:
    """What was met so far. `missing`: of each component the coefficients that no scan brought to their last bit."""

    spans: list[tuple[int, int]] = field(default_factory=lambda: [(0, 2)])
    stray: int = 0
    scans: int = 0
    size: tuple[int, int] | None = None
    components: int = 0
    coding: int = 0
    orientation: int = 0
    missing: dict[int, set[int]] = field(default_factory=dict)

    def header(self, *, unfinished: bool = False) -> Header:
        if self.size is None or self.scans == 0:
            raise corrupt(_LABEL, "it holds no picture")
        parts = ["progressive"] if self.coding in _PROGRESSIVE or self.scans > 1 else []
        parts += {1: ["grey"], 4: ["CMYK"]}.get(self.components, [])
        return Header(
            Format.JPEG,
            *self.size,
            orientation=self.orientation or 1,
            process=" ".join([*parts, "JPEG"]),
            spans=tuple(self.spans) if self.stray or unfinished else (),
            unfinished=unfinished,
        )

    def pass_over(self, count: int, at: int) -> None:
        self.stray += count
        if self.stray > MAX_STRAY_BYTES:
            raise corrupt(_LABEL, f"more than {MAX_STRAY_BYTES} bytes up to byte {at} belong to no segment")


def read(data: bytes) -> Header:
    """The header of a JPEG file that begins with a start-of-image marker.

    Raises:
        Refusal: it is incomplete, damaged or of a kind not decoded (lossless, 12 bits).
    """
    walk = _Walk()
    at = 2
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(data, at)
        if found is None:
            raise truncated(_LABEL, "before its end-of-image marker")
        marker, start, at = found[1][0], found.start(), found.end()
        walk.pass_over(len(data[walk.spans[-1][1] : start].rstrip(b"\xff")), start)
        if marker == _EOI:
            join(walk.spans, start, at)
            return walk.header()
        if marker in _BARE:
            join(walk.spans, start, at)
            continue
        (length,) = unpack(_U16, data, at, _LABEL)
        if marker == _SOI or length < 2:
            raise corrupt(_LABEL, f"no segment belongs at byte {at}")
        end = at + length
        if end > len(data):
            raise truncated(_LABEL, f"within the segment at byte {at}")
        _segment(walk, marker, data[at + 2 : end])
        if marker == _SOS:
            scan = _SCAN_END.search(data, end)
            if scan is None:
                return _without_end(walk, data, start)
            end = scan.start()
        join(walk.spans, start, end)
        at = end
    raise corrupt(_LABEL, f"it has more than {MAX_SEGMENTS} segments")


def _segment(walk: _Walk, marker: int, body: bytes) -> None:
    if marker in _FRAMES:
        if walk.size is not None:
            raise corrupt(_LABEL, "it declares its size twice")
        _frame(walk, marker, body)
    elif marker == _JPEG_LS:
        raise unsupported(_LABEL, "lossless coding (JPEG-LS)")
    elif marker == _APP1 and walk.orientation == 0 and body[:6] == b"Exif\0\0":
        walk.orientation = exif.orientation(body)
    elif marker == _SOS:
        walk.scans += 1
        if walk.scans > MAX_SCANS:
            raise unsupported(_LABEL, f"more than {MAX_SCANS} scans")
        _note_scan(walk, body)


def _frame(walk: _Walk, marker: int, body: bytes) -> None:
    precision, height, width, components = unpack(_FRAME, body, 0, _LABEL)
    if marker not in _DECODED_FRAMES or precision != 8:
        raise unsupported(_LABEL, f"coding process {marker - 0xC0} at {precision} bits")
    if components not in _COMPONENTS:
        raise unsupported(_LABEL, f"{components} components")
    if width == 0:
        raise corrupt(_LABEL, f"it declares a size of {width} x {height} pixels")
    if height == 0:
        raise unsupported(_LABEL, "its height behind its first scan")
    walk.size, walk.components, walk.coding = (width, height), components, marker
    walk.missing = {code: set(range(_COEFFICIENTS)) for code in body[6 : 6 + 3 * components : 3]}


def _note_scan(walk: _Walk, body: bytes) -> None:
    """Note which coefficients of which components a scan brings to their last bit."""
    count = body[0] if body else 0
    if len(body) < 4 + 2 * count:
        return
    first, last, approximation = body[1 + 2 * count : 4 + 2 * count]
    if walk.coding not in _PROGRESSIVE:
        first, last, approximation = 0, _COEFFICIENTS - 1, 0
    if approximation & 0x0F == 0:
        for code in body[1 : 1 + 2 * count : 2]:
            walk.missing.get(code, set()).difference_update(range(first, last + 1))


def _without_end(walk: _Walk, data: bytes, start: int) -> Header:
    """The header of a file that ends in the scan whose segment begins at `start`."""
    if walk.size is None or any(walk.missing.values()):
        raise truncated(_LABEL, "within the picture, before its end-of-image marker")
    join(walk.spans, start, len(data.rstrip(b"\xff")))
    return walk.header(unfinished=True)

"""Reads the directories of a TIFF file.

Source: Adobe TIFF 6.0 (1992), section 2 (structure), 8 (baseline fields), 15 (tiles). OpenCV turns the picture
upright by its orientation tag itself, so the header says 1. libtiff returns 8-bit colours multiplied by their
opacity, whichever way they were stored; transparency at 16 bits is not looked at.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from likeness.imaging.headers.parts import Format, Header, animated, corrupt, truncated, unpack, unsupported

MAX_ENTRIES = 512
"""Fields in one directory; a photograph has twenty to sixty."""
MAX_DIRECTORIES = 16
"""Directories that are followed in search of a second page; the reduced copies of one picture are fewer."""
MAX_PIECES = 65_536
"""Strips or tiles of one picture; one strip per row is the customary worst."""
MAX_VALUES = 16
"""Values of any other field that matters here; the longest has one per channel."""

_LABEL = Format.TIFF.label
_WIDTH, _HEIGHT, _BITS, _COMPRESSION = 256, 257, 258, 259
_SUBFILE, _SAMPLES, _EXTRA, _FORMAT = 254, 277, 338, 339
_STRIPS, _STRIP_BYTES, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = 273, 279, 322, 323, 324, 325
_REDUCED = 1  # bit 0 of NewSubfileType: a smaller copy of another picture
_PIECES = frozenset((_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES))
_WANTED = _PIECES | {
    _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SUBFILE, _SAMPLES, _EXTRA, _FORMAT, _TILE_WIDTH, _TILE_HEIGHT
}  # fmt: skip
_TYPES = {1: "B", 3: "H", 4: "I"}  # BYTE, SHORT, LONG
_COMPRESSIONS = frozenset((1, 2, 3, 4, 5, 7, 8, 32773, 32946))  # none, fax, LZW, JPEG, deflate, PackBits
_DEPTHS = frozenset((1, 2, 4, 8, 16))
_UNSIGNED = 1
_ASSOCIATED, _UNASSOCIATED = 1, 2  # the two kinds of alpha in ExtraSamples

Fields = Mapping[int, tuple[int, ...]]


class _Directories:
    """The chain of directories of one file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._order = "<" if data[:2] == b"II" else ">"
        self.next = self._integer("I", 4)

    def _integer(self, kind: str, at: int) -> int:
        return unpack(struct.Struct(self._order + kind), self._data, at, _LABEL)[0]

    def read(self) -> Fields:
        """The fields that matter of the directory that is next; moves on to the one after it."""
        at = self.next
        count = self._integer("H", at)
        if count > MAX_ENTRIES:
            raise corrupt(_LABEL, f"a directory has {count} fields")
        fields: dict[int, tuple[int, ...]] = {}
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag = self._integer("H", entry)
            if tag in fields:  # decoders differ in which one they believe
                raise corrupt(_LABEL, f"field {tag} occurs twice")
            if tag in _WANTED:
                fields[tag] = self._values(tag, entry)
        self.next = self._integer("I", at + 2 + 12 * count)
        return fields

    def _values(self, tag: int, entry: int) -> tuple[int, ...]:
        kind, count, at = self._integer("H", entry + 2), self._integer("I", entry + 4), entry + 8
        if kind not in _TYPES or count > (MAX_PIECES if tag in _PIECES else MAX_VALUES):
            raise corrupt(_LABEL, f"field {tag} claims {count} values of type {kind}")
        layout = struct.Struct(f"{self._order}{count}{_TYPES[kind]}")
        if layout.size > 4:
            at = self._integer("I", at)
        return unpack(layout, self._data, at, _LABEL)


def read(data: bytes) -> Header:
    """The header of a classic TIFF file.

    Raises:
        Refusal: it is incomplete, damaged, of several pages or of a kind not decoded.
    """
    directories = _Directories(data)
    picture = directories.read()
    _refuse_pages(directories)
    width, height = _one(picture, _WIDTH), _one(picture, _HEIGHT)
    if width <= 0 or height <= 0:
        raise corrupt(_LABEL, f"it declares a size of {width} x {height} pixels")
    _check_coding(picture)
    _check_pieces(picture, width, height, len(data))
    alpha = (
        _one(picture, _BITS, 1) == 8
        and _one(picture, _SAMPLES, 1) in (2, 4)
        and _one(picture, _EXTRA, 0) in (_ASSOCIATED, _UNASSOCIATED)
    )
    return Header(Format.TIFF, width, height, alpha=alpha, premultiplied=alpha)


def _refuse_pages(directories: _Directories) -> None:
    for _ in range(MAX_DIRECTORIES):
        if directories.next == 0:
            return
        if not _one(directories.read(), _SUBFILE, 0) & _REDUCED:
            raise animated(_LABEL)
    raise corrupt(_LABEL, f"it has more than {MAX_DIRECTORIES} directories")


def _one(fields: Fields, tag: int, default: int | None = None) -> int:
    values = fields.get(tag)
    if values:
        return values[0]
    if default is None:
        raise corrupt(_LABEL, f"it lacks field {tag}")
    return default


def _check_coding(fields: Fields) -> None:
    compression = _one(fields, _COMPRESSION, 1)
    if compression not in _COMPRESSIONS:
        raise unsupported(_LABEL, f"compression {compression}")
    depths, formats = set(fields.get(_BITS, (1,))), set(fields.get(_FORMAT, (_UNSIGNED,)))
    if len(depths) != 1 or not depths <= _DEPTHS or formats != {_UNSIGNED}:
        raise unsupported(_LABEL, f"samples of {sorted(depths)} bits in format {sorted(formats)}")


def _check_pieces(fields: Fields, width: int, height: int, size: int) -> None:
    """Every strip or tile lies within the file, and no tile is much larger than the picture."""
    tiled = _TILES in fields
    starts = fields.get(_TILES if tiled else _STRIPS, ())
    lengths = fields.get(_TILE_BYTES if tiled else _STRIP_BYTES, ())
    if not starts or len(starts) != len(lengths):
        raise corrupt(_LABEL, "its table of strips or tiles is incomplete")
    if any(start + length > size for start, length in zip(starts, lengths, strict=True)):
        raise truncated(_LABEL, "within the picture")
    if tiled:
        across, down = _one(fields, _TILE_WIDTH), _one(fields, _TILE_HEIGHT)
        if not (0 < across <= _padded(width) and 0 < down <= _padded(height)):
            raise corrupt(_LABEL, f"its tiles of {across} x {down} pixels exceed the picture")


def _padded(side: int) -> int:
    """The largest reasonable tile for a side: writers pad small pictures to one tile of up to 1024 pixels."""
    return max(1024, side + 16)

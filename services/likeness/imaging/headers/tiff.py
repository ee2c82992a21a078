"""Reads the directories of a TIFF file.

Source: Adobe TIFF 6.0 (1992), section 2 (structure), 8 (baseline fields), 15 (tiles), 18 (associated alpha). Raws
of cameras are TIFF files whose first directory is mostly a preview: TIFF/EP (ISO 12234-2), Adobe DNG 1.7.

What a library makes of grey with alpha, of few bits, of separate planes or of inverted grey differs between
versions and is wrong in silence, so `imaging.tiff` unpacks the samples. Faxes and JPEG within TIFF go to OpenCV,
which turns them upright by their orientation tag itself.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from contextlib import suppress

from likeness.imaging.headers.parts import (
    Format,
    Header,
    Refusal,
    TiffLayout,
    animated,
    camera_raw,
    corrupt,
    truncated,
    unpack,
    unsupported,
)

MAX_ENTRIES = 512
"""Fields in one directory; a photograph has twenty to sixty."""
MAX_DIRECTORIES = 16
"""Directories that are followed in search of a second page; the reduced copies of one picture are fewer."""
MAX_PIECES = 65_536
"""Strips or tiles of one picture; one strip per row is the customary worst."""
MAX_VALUES = 16
"""Values of any other field that matters here; the longest has one per channel."""
MAX_COLOURS = 3 << 8
"""Values of a palette of 8 bits."""

_LABEL = Format.TIFF.label
_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_FILL_ORDER, _STRIPS, _ORIENTATION, _SAMPLES, _ROWS_PER_STRIP, _STRIP_BYTES = 266, 273, 274, 277, 278, 279
_PLANAR, _PREDICTOR, _PALETTE, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = (
    284,
    317,
    320,
    322,
    323,
    324,
    325,
)
_SUB_DIRECTORIES, _EXTRA, _FORMAT, _DNG_VERSION = 330, 338, 339, 50706
_REDUCED = 1  # bit 0 of NewSubfileType: a smaller copy of another picture
_PIECES = frozenset((_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES))
_WANTED = _PIECES | {
    _SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _ORIENTATION, _SAMPLES,
    _ROWS_PER_STRIP, _PLANAR, _PREDICTOR, _PALETTE, _TILE_WIDTH, _TILE_HEIGHT, _SUB_DIRECTORIES, _EXTRA, _FORMAT,
    _DNG_VERSION,
}  # fmt: skip
_TYPES = {1: "B", 3: "H", 4: "I", 13: "I"}  # BYTE, SHORT, LONG, IFD
_FAX, _JPEG = frozenset((2, 3, 4)), 7
NONE, LZW, DEFLATE, PACK_BITS = 1, 5, frozenset((8, 32946)), 32773
_UNPACKED = DEFLATE | {NONE, LZW, PACK_BITS}
_RAW_COMPRESSIONS = frozenset(
    (32767, 32769, 32770, 34713, 34892, 65000, 65535)
)  # of Sony, Epson, Samsung, Nikon, ...
_DEPTHS = frozenset((1, 2, 4, 8, 16))
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
_COLOURS = {
    WHITE_IS_ZERO: 1,
    BLACK_IS_ZERO: 1,
    RGB: 3,
    PALETTE: 1,
    CMYK: 4,
}  # photometric to samples that are colours
_FILTERED, _LINEAR_RAW = (
    32803,
    34892,
)  # photometric: one colour per pixel behind a filter, and such data demosaiced
_UNSIGNED = 1
_ASSOCIATED, _UNASSOCIATED = 1, 2  # the two kinds of alpha in ExtraSamples

Fields = Mapping[int, tuple[int, ...]]


class _Directories:
    """The chain of directories of one file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.order = "<" if data[:2] == b"II" else ">"
        self.next = self._integer("I", 4)

    def _integer(self, kind: str, at: int) -> int:
        return unpack(struct.Struct(self.order + kind), self._data, at, _LABEL)[0]

    def read(self) -> Fields:
        """The fields that matter of the directory that is next; moves on to the one after it."""
        fields, self.next = self.at(self.next)
        return fields

    def at(self, at: int) -> tuple[Fields, int]:
        """The fields that matter of the directory at an offset, and the offset of the one after it."""
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
        return fields, self._integer("I", at + 2 + 12 * count)

    def _values(self, tag: int, entry: int) -> tuple[int, ...]:
        kind, count, at = self._integer("H", entry + 2), self._integer("I", entry + 4), entry + 8
        most = MAX_PIECES if tag in _PIECES else MAX_COLOURS if tag == _PALETTE else MAX_VALUES
        if tag == _PALETTE and count > most:
            raise unsupported(_LABEL, f"a palette of {count // 3} colours")
        if kind not in _TYPES or count > most:
            raise corrupt(_LABEL, f"field {tag} claims {count} values of type {kind}")
        layout = struct.Struct(f"{self.order}{count}{_TYPES[kind]}")
        if layout.size > 4:
            at = self._integer("I", at)
        return unpack(layout, self._data, at, _LABEL)


def read(data: bytes) -> Header:
    """The header of a classic TIFF file.

    Raises:
        Refusal: it is incomplete, damaged, of several pages, a camera's raw or of a kind not decoded.
    """
    directories = _Directories(data)
    picture = directories.read()
    _refuse_raw(data, picture, directories)
    _refuse_pages(directories)
    width, height = _one(picture, _WIDTH), _one(picture, _HEIGHT)
    if width <= 0 or height <= 0:
        raise corrupt(_LABEL, f"it declares a size of {width} x {height} pixels")
    _check_coding(picture)
    layout = _layout(picture, directories.order, width, height)
    _check_pieces(layout, width, height, len(data))
    if _one(picture, _COMPRESSION, NONE) not in _UNPACKED or layout.photometric == YCBCR:
        return Header(Format.TIFF, width, height, process="TIFF by OpenCV")
    orientation = _one(picture, _ORIENTATION, 1)
    upright = orientation if 1 <= orientation <= 8 else 1
    return Header(Format.TIFF, width, height, upright, layout.alpha, "TIFF", layout=layout)


def _refuse_raw(data: bytes, picture: Fields, directories: _Directories) -> None:
    """Refuse a file whose first picture is a preview of another, as in the raws of cameras."""
    sub, area = [], _one(picture, _WIDTH, 0) * _one(picture, _HEIGHT, 0)
    for at in picture.get(_SUB_DIRECTORIES, ()):
        with suppress(Refusal):  # what they hold is not needed
            sub.append(directories.at(at)[0])
    larger = any(_one(one, _WIDTH, 0) * _one(one, _HEIGHT, 0) > area for one in sub)
    if (
        data[8:10] == b"CR"  # Canon's second format
        or _DNG_VERSION in picture
        or larger
        or any(_is_sensor_data(one) for one in (picture, *sub))
    ):
        raise camera_raw()


def _is_sensor_data(fields: Fields) -> bool:
    return (
        _one(fields, _PHOTOMETRIC, BLACK_IS_ZERO) in (_FILTERED, _LINEAR_RAW)
        or _one(fields, _COMPRESSION, NONE) in _RAW_COMPRESSIONS
    )


def _refuse_pages(directories: _Directories) -> None:
    for _ in range(MAX_DIRECTORIES):
        if directories.next == 0:
            return
        page = directories.read()
        if _is_sensor_data(page):
            raise camera_raw()
        if not _one(page, _SUBFILE, 0) & _REDUCED:
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
    """Refuse what neither `imaging.tiff` nor OpenCV reads with the right colours."""
    compression, samples = _one(fields, _COMPRESSION, NONE), _one(fields, _SAMPLES, 1)
    photometric, extra = _photometric(fields), fields.get(_EXTRA, ())
    depths, formats = set(fields.get(_BITS, (1,))), set(fields.get(_FORMAT, (_UNSIGNED,)))
    if len(depths) != 1 or not depths <= _DEPTHS or formats != {_UNSIGNED}:
        raise unsupported(_LABEL, f"samples of {sorted(depths)} bits in format {sorted(formats)}")
    bits = depths.pop()
    if compression in _FAX:
        if (bits, samples) != (1, 1) or photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO):
            raise unsupported(_LABEL, f"a fax of {samples} samples of {bits} bits")
    elif compression == _JPEG:
        if (
            bits != 8
            or extra
            or samples not in (1, 3, 4)
            or photometric not in {*_COLOURS, YCBCR} - {PALETTE}
        ):
            raise unsupported(_LABEL, f"JPEG of {samples} samples in colour space {photometric}")
    elif compression not in _UNPACKED:
        raise unsupported(_LABEL, f"compression {compression}")
    elif photometric == YCBCR:
        if bits != 8 or samples != 3 or extra or _one(fields, _PLANAR, 1) != 1 or _TILES in fields:
            raise unsupported(
                _LABEL, f"an unusual arrangement of {samples} samples in colour space {photometric}"
            )
    else:
        _check_samples(fields, photometric, samples, bits)


def _check_samples(fields: Fields, photometric: int, samples: int, bits: int) -> None:
    if photometric not in _COLOURS:
        raise unsupported(_LABEL, f"colour space {photometric}")
    if samples < _COLOURS[photometric] or samples > MAX_VALUES:
        raise corrupt(_LABEL, f"{samples} samples per pixel in colour space {photometric}")
    if photometric == PALETTE and bits > 8:
        raise unsupported(_LABEL, f"a palette of {bits} bits")
    if photometric == PALETTE and len(fields.get(_PALETTE, ())) != 3 << bits:
        raise corrupt(_LABEL, "its palette is incomplete")
    if _one(fields, _FILL_ORDER, 1) != 1 and bits < 8:
        raise unsupported(_LABEL, "its bits in reverse order")
    if fields.get(_EXTRA, ())[:1] == (_ASSOCIATED,) and photometric not in (BLACK_IS_ZERO, RGB):
        raise unsupported(_LABEL, f"colours multiplied by their opacity in colour space {photometric}")
    predictor = _one(fields, _PREDICTOR, 1)
    if predictor not in (1, 2) or (predictor == 2 and bits < 8):
        raise unsupported(_LABEL, f"predictor {predictor} at {bits} bits")


def _photometric(fields: Fields) -> int:
    """Writers that leave the field out mean grey or RGB."""
    return _one(fields, _PHOTOMETRIC, RGB if _one(fields, _SAMPLES, 1) in (3, 4) else BLACK_IS_ZERO)


def _layout(fields: Fields, order: str, width: int, height: int) -> TiffLayout:
    tiled = _TILES in fields
    rows = _one(fields, _ROWS_PER_STRIP, height)
    photometric = _photometric(fields)
    colours = _COLOURS.get(photometric, 3)
    extra = fields.get(_EXTRA, ())[:1]
    samples = _one(fields, _SAMPLES, 1)
    return TiffLayout(
        order=order,
        bits=_one(fields, _BITS, 1),
        samples=samples,
        photometric=photometric,
        compression=_one(fields, _COMPRESSION, NONE),
        predictor=_one(fields, _PREDICTOR, 1),
        planar=_one(fields, _PLANAR, 1) if samples > 1 else 1,
        alpha=samples > colours and extra in ((_ASSOCIATED,), (_UNASSOCIATED,)),
        associated=extra == (_ASSOCIATED,),
        palette=_palette(fields.get(_PALETTE, ())) if photometric == PALETTE else b"",
        tiled=tiled,
        piece_width=_one(fields, _TILE_WIDTH) if tiled else width,
        piece_height=_one(fields, _TILE_HEIGHT) if tiled else min(rows or height, height),
        starts=fields.get(_TILES if tiled else _STRIPS, ()),
        lengths=fields.get(_TILE_BYTES if tiled else _STRIP_BYTES, ()),
    )


def _palette(values: tuple[int, ...]) -> bytes:
    """The lookup; all red values come first in the file, then green, then blue, of 16 bits each."""
    count = len(values) // 3
    # Some writers put values of 8 bits there.
    shift = 8 if max(values) > 0xFF else 0
    return bytes(min(value >> shift, 0xFF) for n in range(count) for value in values[n::count])


def _check_pieces(layout: TiffLayout, width: int, height: int, size: int) -> None:
    """Every strip or tile is there and lies within the file, and no tile is much larger than the picture."""
    starts, lengths = layout.starts, layout.lengths
    if layout.planar not in (1, 2):
        raise corrupt(_LABEL, f"it arranges its samples in way {layout.planar}")
    across, down = layout.piece_width, layout.piece_height
    if layout.tiled and not (0 < across <= _padded(width) and 0 < down <= _padded(height)):
        raise corrupt(_LABEL, f"its tiles of {across} x {down} pixels exceed the picture")
    pieces = -(-width // across) * -(-height // down) * (layout.samples if layout.planar == 2 else 1)
    if not starts or len(starts) != len(lengths) or len(starts) < pieces:
        raise corrupt(_LABEL, "its table of strips or tiles is incomplete")
    if any(start + length > size for start, length in zip(starts, lengths, strict=True)):
        raise truncated(_LABEL, "within the picture")


def _padded(side: int) -> int:
    """The largest reasonable tile for a side: writers pad small pictures to one tile of up to 1024 pixels."""
    return max(1024, side + 16)

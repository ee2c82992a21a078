"""What it takes to decode a picture, in bytes, estimated from its header before a decoder is called."""

from __future__ import annotations

from likeness.imaging import parameters as p
from likeness.imaging.headers import tiff
from likeness.imaging.headers.parts import Header, TiffLayout

_QUARTER_TURNS = frozenset((5, 6, 7, 8))


def of(header: Header, length: int, working: int = 0) -> int:
    """An upper bound of the bytes that decoding, and then looking at the picture, hold at once in addition to the
    file.

    Args:
        header: of the file.
        length: of the file in bytes.
        working: bytes a pixel of whoever looks at it.
    """
    pixels = header.width * header.height
    a_pixel = max(p.DECODING[header.process], p.PIXEL_BYTES + working)
    if header.orientation in _QUARTER_TURNS:
        a_pixel = max(a_pixel, p.TURNED)
    fixed = p.FILE_COPIES * length + p.BAND_BYTES * min(pixels, p.BAND_PIXELS)
    if isinstance(header.layout, TiffLayout):
        fixed += _pieces(header.layout)
    return int(pixels * a_pixel) + fixed


def _pieces(layout: TiffLayout) -> int:
    """The strips or tiles of a TIFF that are unpacked at once."""
    if layout.compression == tiff.NONE:
        return 0
    copies = p.INFLATED_COPIES if layout.compression in tiff.DEFLATE else p.UNPACKED_COPIES
    return copies * (layout.piece_width * layout.piece_height * layout.samples * layout.bits + 7) // 8

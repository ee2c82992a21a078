"""Numbers of the decoders: what they cost, and what a process gives them."""

from __future__ import annotations

from collections.abc import Mapping

BAND_PIXELS = 1 << 18
"""Pixels that are composed at once, so that what lies between the decoder's picture and ours is small."""

BYTES_DECODING = 1 << 30
"""Bytes, of all pictures in a process that are being decoded or looked at: with it the shipped pod keeps within its
4 GiB, see k8s/README.md."""

LONGEST_WAIT = 20.0
"""Seconds that a picture waits for memory where its request allows more: ten times what the largest one takes."""

PIXEL_BYTES = 3
"""Bytes a pixel of a decoded picture."""

MAX_PIXELS = 52_000_000
"""Pixels of a picture: phones of 50 megapixels take 8192 x 6144."""

DECODING: Mapping[str, float] = {
    "JPEG": 6,
    "grey JPEG": 6,
    "CMYK JPEG": 6,
    "progressive JPEG": 9,
    "progressive grey JPEG": 6,
    "progressive CMYK JPEG": 11,
    "PNG": 6,
    "16-bit PNG": 6,
    "PNG with alpha": 8,
    "16-bit PNG with alpha": 16,
    "WebP": 6,
    "WebP with alpha": 8,
    "lossless WebP": 8,
    "bitmap": 6,
    "masked bitmap": 3,
    "TIFF": 3,
    "TIFF by OpenCV": 12,
}
"""Most bytes a pixel that a decoder and what follows it hold at once, by `Header.process`: the growth of a process
that decodes a picture of 24 million pixels, measured with OpenCV 5.0 and rounded up;
`tests/unit/imaging/test_cost.py` measures again. OpenCV hands over a copy of what it decoded; a progressive JPEG
keeps two bytes a coefficient until its last scan. TIFF: without its strips, see below."""

WORKING_BYTES = 10
"""Bytes a pixel that a modality takes while it looks at a picture, in addition to the pixels: detecting faces and
describing an object each let the process grow by 9 to 9.3 bytes a pixel, measured at 50 million."""

TURNED = 6
"""Bytes a pixel of a picture that is turned by a quarter: as stored, and upright."""

INFLATED_COPIES, UNPACKED_COPIES = 2, 5
"""Bytes for each byte of an unpacked strip or tile of a TIFF: by zlib, and by libtiff through OpenCV."""

FILE_COPIES = 3
"""Bytes for each byte of the file: parts of it are put together again for the decoder."""

BAND_BYTES = 24
"""Bytes for each pixel of a band that is being composed."""

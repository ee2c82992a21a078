"""Plane geometry on pixels: boxes, similarities between point sets, warps.

Coordinates follow OpenCV: the centre of the top-left pixel is (0, 0).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from likeness.domain.errors import InvalidInput
from likeness.imaging.opencv import cv2

Floats = NDArray[np.floating]
Pixels = NDArray[np.uint8]

SHRINK_BELOW = 0.8
"""Scale under which a warp first shrinks by area; at 0.8 and above bilinear sampling skips next to nothing."""
_MARGIN = 3  # pixels left around the part of a picture that a warp reads; bilinear sampling reads one beyond


def similarity(source: Floats, target: Floats) -> NDArray[np.float64]:
    """The rotation, uniform scale and shift that take `source` nearest to `target` in the least squares sense.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", IEEE TPAMI
    13(4), 1991, in the plane, where it has a closed form: with both sets centred and read as complex numbers the
    factor is <source, target> / <source, source>. It never mirrors.

    Args:
        source: points [n, 2], n >= 2, not all the same.
        target: points [n, 2] in the same order.

    Returns:
        float64 [2, 3], to be applied to column vectors (x, y, 1).

    Raises:
        InvalidInput: too few points, points that coincide, or coordinates that are not finite.
    """
    a, b = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if a.shape != b.shape or a.ndim != 2 or a.shape[1] != 2 or len(a) < 2:
        raise InvalidInput(
            f"A similarity needs two lists of at least two points; got {a.shape} and {b.shape}."
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InvalidInput("A similarity needs finite points.")
    z, w = (points[:, 0] + 1j * points[:, 1] for points in (a, b))
    centre_z, centre_w = z.sum() / len(z), w.sum() / len(w)
    z -= centre_z
    spread = np.vdot(z, z).real
    if spread == 0:
        raise InvalidInput("A similarity needs points that do not all coincide.")
    turn = np.vdot(z, w - centre_w) / spread
    shift = centre_w - turn * centre_z
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def invert(transform: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of an affine transform [2, 3].

    Raises:
        InvalidInput: it flattens the plane.
    """
    (a, b, x), (c, d, y) = transform.tolist()
    determinant = a * d - b * c
    if not math.isfinite(determinant) or abs(determinant) < 1e-12:
        raise InvalidInput("The transform cannot be inverted: it flattens the plane.")
    adjugate = np.array([[d, -b, b * y - d * x], [-c, a, c * x - a * y]])
    inverse: NDArray[np.float64] = adjugate / determinant
    return inverse


def apply(transform: NDArray[np.float64], points: Floats) -> NDArray[np.float64]:
    """Points [n, 2] through an affine transform [2, 3]."""
    moved: NDArray[np.float64] = np.asarray(points, np.float64) @ transform[:, :2].T + transform[:, 2]
    return moved


def warp(image: Pixels, transform: NDArray[np.float64], size: tuple[int, int]) -> Pixels:
    """The part of a picture that a similarity maps onto a rectangle; what lies outside the picture is black.

    Where the transform shrinks, the part is first shrunk by averaging areas and only then sampled between
    pixels: sampling alone would pick single pixels out of a large face and turn detail into noise (aliasing).

    Args:
        image: uint8 [height, width, 3] or [height, width].
        transform: similarity [2, 3] from the picture to the rectangle.
        size: (width, height) of the rectangle in pixels.

    Returns:
        uint8 [height, width, ...] of the given size.
    """
    width, height = size
    (a, b, x), (c, d, y) = invert(transform).tolist()
    last, lowest = width - 1, height - 1
    across = (x, x + a * last, x + b * lowest, x + a * last + b * lowest)
    along = (y, y + c * last, y + d * lowest, y + c * last + d * lowest)
    left, top = (max(math.floor(min(seen)) - _MARGIN, 0) for seen in (across, along))
    right, bottom = (math.ceil(max(seen)) + _MARGIN + 1 for seen in (across, along))
    part = image[top : max(bottom, 0), left : max(right, 0)]
    if part.shape[0] == 0 or part.shape[1] == 0:
        return np.zeros((height, width, *image.shape[2:]), np.uint8)
    step = transform.copy()
    step[:, 2] += step[:, :2] @ (left, top)
    scale = math.hypot(float(transform[0, 0]), float(transform[1, 0]))
    if scale < SHRINK_BELOW:
        part, step = _shrunk(part, step, scale)
    return np.asarray(cv2.warpAffine(part, step, (width, height), flags=cv2.INTER_LINEAR), dtype=np.uint8)


def _shrunk(part: Pixels, transform: NDArray[np.float64], scale: float) -> tuple[Pixels, NDArray[np.float64]]:
    """The part shrunk by about `scale`, and the transform from the shrunk part."""
    height, width = part.shape[:2]
    small = max(round(width * scale), 1), max(round(height * scale), 1)
    fx, fy = width / small[0], height / small[1]
    shrunk = cv2.resize(part, small, interpolation=cv2.INTER_AREA)
    # Pixel i of the shrunk part covers the pixels from f*i to f*(i+1) - 1, whose centre is f*i + (f - 1)/2.
    step = transform.copy()
    step[:, 2] += step[:, :2] @ ((fx - 1) / 2, (fy - 1) / 2)
    step[:, :2] *= (fx, fy)
    return np.asarray(shrunk, dtype=np.uint8), step


def overlap(boxes: Floats, others: Floats, *, of_smaller: bool = False) -> NDArray[np.float32]:
    """Overlap of boxes given as (left, top, right, bottom): intersection over union.

    Args:
        boxes: [n, 4].
        others: [m, 4].
        of_smaller: intersection over the smaller of the two areas instead.

    Returns:
        float32 [n, m], 0 for boxes without area.
    """
    a, b = np.asarray(boxes, np.float32), np.asarray(others, np.float32)
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=2)
    area_a = np.prod(np.maximum(a[:, 2:] - a[:, :2], 0), axis=1)
    area_b = np.prod(np.maximum(b[:, 2:] - b[:, :2], 0), axis=1)
    if of_smaller:
        whole = np.minimum(area_a[:, None], area_b[None, :])
    else:
        whole = area_a[:, None] + area_b[None, :] - common
    shares: NDArray[np.float32] = np.divide(common, whole, out=np.zeros_like(common), where=whole > 0)
    return shares

"""Photographs that share what is not the object: a background, a ruler, a watermark, an evidence tag."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Clutter = Callable[[Pixels, int], Pixels]

SIZE = 400
"""Pixels, side of the photographs that are made."""


def before(scene: Pixels) -> Clutter:
    """Other objects before one and the same background, each a little elsewhere."""
    behind = cv2.resize(scene, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)

    def made(thing: Pixels, seed: int) -> Pixels:
        random = np.random.default_rng(seed)
        out = np.array(behind, np.uint8)
        side = SIZE * random.uniform(0.4, 0.62)
        scale = side / max(thing.shape[:2])
        small = cv2.resize(thing, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        x = int(random.integers(0, SIZE - small.shape[1] + 1))
        y = int(random.integers(0, SIZE - small.shape[0] + 1))
        out[y : y + small.shape[0], x : x + small.shape[1]] = small
        return _photographed(out, random)

    return made


def ruler(thing: Pixels, seed: int) -> Pixels:
    """A ruler along the lower edge and a tag in a corner, over the object."""
    random = np.random.default_rng(seed)
    out = np.array(cv2.resize(thing, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR), np.uint8)
    high = SIZE // 8
    out[SIZE - high :] = (235, 225, 190)
    for n in range(0, SIZE, 8):
        length = high // (2 if n % 40 == 0 else 4)
        cv2.line(out, (n, SIZE - high), (n, SIZE - high + length), (20, 20, 20), 1)
        if n % 40 == 0:
            _write(out, str(n // 40), (n + 2, SIZE - 6), 0.45, (20, 20, 20))
    cv2.rectangle(out, (SIZE - 130, 8), (SIZE - 8, 70), (255, 230, 80), -1)
    for line, text in enumerate(("EVIDENCE", "UNIT 7  EX.")):
        _write(out, text, (SIZE - 124, 32 + 26 * line), 0.55, (30, 30, 30))
    return _photographed(out, random)


def watermark(thing: Pixels, seed: int) -> Pixels:
    """The name of an agency, half transparent, in lines all over the object."""
    random = np.random.default_rng(seed)
    out = np.array(cv2.resize(thing, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR), np.uint8)
    veil = out.copy()
    for line in range(5):
        _write(veil, "STOCKPHOTO * 48812", (-40 + 30 * (line % 2), 60 + 80 * line), 1.1, (255, 255, 255))
    cv2.addWeighted(veil, 0.5, out, 0.5, 0, dst=out)
    return _photographed(out, random)


def kinds(scene: Pixels) -> Mapping[str, Clutter]:
    """Every kind of clutter by name; the background is that scene."""
    return {"background": before(scene), "ruler and tag": ruler, "watermark": watermark}


def as_png(image: Pixels) -> bytes:
    """A picture file of pixels uint8 [h, w, 3] RGB."""
    return bytes(cv2.imencode(".png", image[:, :, ::-1])[1].tobytes())


def _photographed(image: Pixels, random: np.random.Generator) -> Pixels:
    """A photograph of its own: slightly moved and turned, lit and compressed."""
    turn = cv2.getRotationMatrix2D(
        (SIZE / 2, SIZE / 2), float(random.uniform(-4, 4)), float(random.uniform(0.95, 1.1))
    )
    turn[:, 2] = turn[:, 2] + random.uniform(-10, 10, 2)
    moved = cv2.warpAffine(image, turn, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    lit = np.clip(moved * random.uniform(0.85, 1.15), 0, 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", lit, [cv2.IMWRITE_JPEG_QUALITY, 85])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def _write(image: Pixels, text: str, at: tuple[int, int], size: float, colour: tuple[int, int, int]) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 2, cv2.LINE_AA)

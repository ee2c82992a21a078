"""Photographs of objects that are drawn, and what is done to them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from likeness.domain.samples import Mode, Sample, Selection, Template
from likeness.object.modality import ObjectModality

Pixels = NDArray[np.uint8]


def thing(seed: int, width: int = 320, height: int = 260) -> Pixels:
    """An object of its own: polygons, discs and letters on a shaded ground; uint8 [h, w, 3] RGB."""
    random = np.random.default_rng(seed)
    ramp = np.linspace(60, 200, width)[None, :, None] * np.ones((height, 1, 3))
    image = (
        np.ascontiguousarray(ramp * random.uniform(0.6, 1.2, 3), dtype=np.float64)
        .clip(0, 255)
        .astype(np.uint8)
    )
    for _ in range(45):
        colour = random.integers(0, 256, 3).tolist()
        x, y = int(random.integers(0, width)), int(random.integers(0, height))
        size = int(random.integers(8, 36))
        match int(random.integers(3)):
            case 0:
                corners = np.array([[x, y]]) + random.integers(-size, size, (int(random.integers(3, 6)), 2))
                cv2.fillPoly(image, [corners.astype(np.int32)], colour, cv2.LINE_AA)
            case 1:
                cv2.ellipse(
                    image, (x, y), (size, max(3, size // 2)), size * 7, 0, 360, colour, 2, cv2.LINE_AA
                )
            case _:
                letters = "".join(chr(c) for c in random.integers(65, 91, 4))
                cv2.putText(
                    image, letters, (x - 20, y), cv2.FONT_HERSHEY_DUPLEX, size / 30, colour, 2, cv2.LINE_AA
                )
    return image


def tilted(image: Pixels, share: float = 0.15) -> Pixels:
    """Seen at an angle on a grey ground."""
    height, width = image.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    seen = corners + np.array([[1, 0.5], [-0.4, 1], [-1, -0.7], [0.6, -1]]) * share * (width, height)
    transform = cv2.getPerspectiveTransform(corners, seen.astype(np.float32))
    return np.asarray(
        cv2.warpPerspective(image, transform, (width, height), borderValue=(128, 128, 128)), np.uint8
    )


def mirrored(image: Pixels) -> Pixels:
    return np.ascontiguousarray(image[:, ::-1])


def inside(image: Pixels, scene: Pixels, at: tuple[int, int], scale: float) -> Pixels:
    """Pasted into a scene at x, y and that much smaller."""
    out = scene.copy()
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    out[at[1] : at[1] + small.shape[0], at[0] : at[0] + small.shape[1]] = small
    return out


def encoded(image: Pixels, kind: str = ".png") -> bytes:
    return bytes(cv2.imencode(kind, image[:, :, ::-1])[1].tobytes())


def template(
    modality: ObjectModality, image: Pixels, mode: Mode, selection: Selection = Selection()
) -> Template:
    extraction = modality.extract([Sample(encoded(image), "a photograph", selection=selection)], mode)[0]
    assert extraction.rejection is None
    made = extraction.findings[0].template
    assert made is not None
    return made

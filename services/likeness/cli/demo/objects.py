"""The demonstration's objects: some are enrolled, and other photographs of them are searched with.

One of those is real, taken from another place; the rest are made from the enrolled pictures by the program.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likeness.cli import files, output
from likeness.cli.demo import pictures
from likeness.cli.demo.stage import Stage
from likeness.cli.failures import Exit
from likeness.cli.words import LEAD, plural
from likeness.domain.samples import Sample
from likeness.imaging.decode import decode
from likeness.imaging.opencv import cv2

Pixels = NDArray[np.uint8]

ENROLLED: Mapping[str, str] = {
    "coffee-cup": "coffee.png",
    "ancient-coins": "coins.png",
    "motorcycle": "motorcycle_left.png",
    "rocket": "rocket.jpg",
    "letter": "page.png",
    "portrait": "astronaut.png",
}
"""Subject to picture."""

GROUND = "gravel.png"
"""What lies behind a picture that is photographed again."""

JPEG_QUALITY = 60
TILT = 0.16
"""Share of a side by which the corners of a picture photographed at an angle move inwards."""
PASTED = 0.6
"""Share of the width of a scene that a picture pasted into it takes."""
CROPPED = 0.55
"""Share of both sides that a crop keeps."""


class ObjectSection:
    """Enrolment, search and evidence of objects.

    Args:
        folder: the demonstration's own.
        cache: where the pictures that come with packages are stored.
    """

    title = "Objects: enrol pictures, search with other photographs of them"

    def __init__(self, folder: Path, cache: Path) -> None:
        self._enrol = folder / "objects" / "enrol"
        self._probes = folder / "objects" / "probes"
        self._evidence = folder / "object-evidence.png"
        self._cache = cache / "demo-photographs"

    def prepare(self) -> None:
        """Lay out the pictures: `enrol/SUBJECT/FILE` and `probes/WHAT.jpg`."""
        folder = pictures.fetch(self._cache, output.note)
        for subject, name in ENROLLED.items():
            target = self._enrol / subject / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to((folder / name).resolve())
        self._probes.mkdir(parents=True, exist_ok=True)
        ground = _read(folder / GROUND)
        made: Mapping[str, Pixels] = {
            "coffee-cup-at-an-angle": _tilted(_read(folder / "coffee.png"), ground),
            "letter-cropped": _cropped(_read(folder / "page.png")),
            "rocket-mirrored": _mirrored(_read(folder / "rocket.jpg")),
            "coins-in-a-scene": _in_scene(_read(folder / "coins.png"), ground),
            "motorcycle-from-elsewhere": _read(folder / "motorcycle_right.png"),
            "not-enrolled": _read(folder / "camera.png"),
        }
        for what, image in made.items():
            _write(self._probes / f"{what}.jpg", image)
        output.note(
            f"{plural(len(ENROLLED), 'picture')} of objects to enrol, {plural(len(made), 'probe')} to search with"
        )

    def run(self, stage: Stage) -> None:
        """Enrol, search every probe, and draw the evidence of one comparison."""
        words = ("--gallery", "demo", "--modality", "object", "--table")
        enrolling = (*words, "--category", "other", "--subject-from-folder")
        stage.likeness("enroll", str(self._enrol), *enrolling)
        stage.likeness("search", str(self._probes), *words, "-k", "2", allow=(Exit.DONE, Exit.PARTLY))
        pair = (self._probes / "coffee-cup-at-an-angle.jpg", self._enrol / "coffee-cup" / "coffee.png")
        stage.likeness(
            "compare", *(str(path) for path in pair), "--modality", "object", "--table",
            "--explain", str(self._evidence),
        )  # fmt: skip

    def conclude(self) -> None:
        """Point to the picture of the evidence."""
        output.note(f"Look at {self._evidence}: what corresponds in two photographs of one object.", "bold")
        output.note(
            "A score counts places that correspond as seen through one camera; 'similar only' says that none were "
            f"found, however similar two pictures look. {LEAD}"
        )


def _read(path: Path) -> Pixels:
    return decode(Sample(files.read(path), name=path.name))


def _write(path: Path, image: Pixels) -> None:
    _, encoded = cv2.imencode(
        ".jpg", np.ascontiguousarray(image[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    path.write_bytes(encoded.tobytes())


def _tilted(image: Pixels, ground: Pixels) -> Pixels:
    """Photographed at an angle, lying on a ground."""
    height, width = image.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    inwards = np.array([[1.2, 0.6], [-0.5, 1.0], [-1.3, -0.6], [0.3, -1.1]]) * TILT
    seen = (corners + inwards * (width, height)).astype(np.float32)
    transform = cv2.getPerspectiveTransform(corners, seen)
    behind = _fitted(ground, width, height)
    front, inside = (
        np.asarray(cv2.warpPerspective(of, transform, (width, height)), np.uint8)
        for of in (image, np.full_like(image, 255))
    )
    return np.where(inside > 127, front, behind)


def _in_scene(image: Pixels, ground: Pixels) -> Pixels:
    """One thing among others: small, on a ground."""
    side = round(max(image.shape[:2]) / PASTED)
    scene = _fitted(ground, side, side).copy()
    top, left = side // 3, side // 4
    scene[top : top + image.shape[0], left : left + image.shape[1]] = image
    return scene


def _cropped(image: Pixels) -> Pixels:
    height, width = (round(side * CROPPED) for side in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def _mirrored(image: Pixels) -> Pixels:
    return np.ascontiguousarray(image[:, ::-1])


def _fitted(image: Pixels, width: int, height: int) -> Pixels:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)

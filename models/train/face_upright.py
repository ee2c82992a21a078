"""Fits `face-upright/upright.npz`, by which a face that lies upright in its view is distinguished from a turned
one.

    python face_upright.py --data images.zip --manifest manifest.csv --into models --seed 0

The photographs are those of Caltech-101 (CC BY 4.0; Li, Andreeto, Ranzato and Perona, 2022) that show faces: its
category Faces and those of its background in which the detector is sure of one. A face in the photograph as it
is counts as upright, under small errors of its landmarks; the same face turned, and what the detector finds in the
turned photograph, count as turned. A ridge-penalised logistic regression is fitted. Every fifth photograph of the
category, in blocks since one person's follow each other, is left out; the errors printed are those on them.
"""

from __future__ import annotations

import argparse
import csv
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.object_attacks import load
from likeness.face import quality
from likeness.face.detect import Detection, Detector, Pixels, find_faces
from likeness.face.detectors import load_detector
from likeness.face.turning import unturned
from likeness.face.upright import FILE, Upright, features
from likeness.imaging.opencv import cv2
from likeness.inference.models.catalogue import Catalogue
from likeness.inference.models.manifest import FaceManifest

DETECTOR = "face-detect-mtcnn"
CATEGORY, BACKGROUND = "/Faces/", "/BACKGROUND_Google/"
ENLARGED = 1.5
"""Factor on the photographs, whose short side is at most 160 px."""
SURE = 0.97
"""Confidence from which something found in a photograph is taken for an upright face."""
CROWD = 6
"""Faces from which on a picture is left out: they are drawn, or too small."""
OF_CATEGORY, OF_BACKGROUND, OF_INVENTED = 6, 24, 12
"""Views made of each face: 27 people make the category, so each other face counts for more."""
RIDGE = 10.0
STEPS = 12
BLOCK, BLOCKS = 20, 5
"""Photographs of a block, and of how many blocks one is left out."""


@dataclass(frozen=True, slots=True)
class Errors:
    """How far landmarks may be off: degrees, log of the scale, shares of the distance between the eyes."""

    degrees: float
    scale: float
    shift: float


OF_LANDMARKS = Errors(12, 0.15, 0.12)
OF_TURNED = Errors(40, 0.3, 0.35)
OF_FOUND = Errors(5, 0.08, 0.06)


@dataclass(frozen=True, eq=False)
class Views:
    """Features float32 [n, FEATURES] and whether each is upright, bool [n]."""

    features: NDArray[np.float32]
    upright: NDArray[np.bool_]


class Maker:
    """Makes views of faces, with errors drawn at random."""

    def __init__(self, detector: Detector, seed: int) -> None:
        self._detector = detector
        self._random = np.random.default_rng(seed)

    def views(self, photograph: Pixels, count: int) -> Iterator[tuple[NDArray[np.float32], bool]]:
        """Features of upright and of turned views of the faces of one photograph."""
        faces = [face for face in find_faces(self._detector, photograph) if face.confidence > SURE]
        if not faces or len(faces) > CROWD:
            return
        for face in faces:
            for _ in range(count):
                yield self._view(photograph, face, OF_LANDMARKS), True
                turn = float(self._random.choice([90, 180, 180, 270]))
                yield self._view(photograph, face, OF_TURNED, turn), False
        for quarters in (1, 2, 3):
            turned = np.ascontiguousarray(np.rot90(photograph, -quarters))
            for face in self._detector.detect(turned):
                if _shows_one_of(faces, face, turned, quarters):
                    for _ in range(OF_INVENTED):
                        yield self._view(turned, face, OF_FOUND), False

    def _view(self, image: Pixels, face: Detection, errors: Errors, turn: float = 0.0) -> NDArray[np.float32]:
        draw = self._random.uniform
        angle = np.radians(turn + draw(-errors.degrees, errors.degrees))
        factor = np.exp(1j * angle + draw(-errors.scale, errors.scale))
        centre = face.landmarks.mean(axis=0)
        moved = (face.landmarks - centre) @ np.array([[1], [1j]]) * factor
        shift = draw(-errors.shift, errors.shift, 2) * face.inter_eye
        marks = np.concatenate([moved.real, moved.imag], axis=1) + centre + shift
        view = quality.face_view(Detection(face.box, face.confidence, marks.astype(np.float32)), image)
        return features(self._lit(view))

    def _lit(self, view: Pixels) -> Pixels:
        """Mirrored, lit otherwise, blurred; each now and then."""
        random = self._random
        changed: Pixels = view[:, ::-1] if random.random() < 0.5 else view
        if random.random() < 0.5:
            changed = np.asarray(255 * (changed / 255.0) ** random.uniform(0.5, 1.6), np.uint8)
        if random.random() < 0.3:
            blur = random.uniform(0.8, 2.5)
            changed = np.asarray(cv2.GaussianBlur(np.ascontiguousarray(changed), (0, 0), blur), np.uint8)
        return np.ascontiguousarray(changed)


def _shows_one_of(faces: list[Detection], found: Detection, turned: Pixels, quarters: int) -> bool:
    """Whether what was found in the turned photograph lies where one of its faces is."""
    size = (turned.shape[1], turned.shape[0])
    point = unturned(found.landmarks, size, quarters).mean(axis=0)
    return any(float(np.linalg.norm(face.landmarks.mean(axis=0) - point)) < face.inter_eye for face in faces)


def photographs(archive: Path, manifest: Path, category: str) -> Iterator[Pixels]:
    """The photographs of a category, in order of their names."""
    with manifest.open(encoding="utf-8", newline="") as rows, zipfile.ZipFile(archive) as images:
        for row in sorted(csv.DictReader(rows), key=lambda row: row["source"]):
            if category in row["source"]:
                image = load(images.read(row["name"]))
                yield np.asarray(
                    cv2.resize(image, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC), np.uint8
                )


def gathered(made: list[tuple[NDArray[np.float32], bool]]) -> Views:
    """Views made one by one, as arrays."""
    return Views(np.stack([view for view, _ in made]), np.array([upright for _, upright in made]))


def fitted(views: Views) -> Upright:
    """The ridge-penalised logistic regression, by Newton's method."""
    mean = views.features.mean(axis=0)
    columns = np.concatenate(
        [views.features - mean, np.ones((len(views.upright), 1))], axis=1, dtype=np.float64
    )
    penalty = np.full(columns.shape[1], RIDGE)
    penalty[-1] = 0
    found = np.zeros(columns.shape[1])
    for _ in range(STEPS):
        likely = 1 / (1 + np.exp(-columns @ found))
        slope = columns.T @ (likely - views.upright) + penalty * found
        curvature = (columns.T * (likely * (1 - likely))) @ columns + np.diag(penalty)
        found -= np.linalg.solve(curvature, slope)
    return Upright(found[:-1].astype(np.float32), float(found[-1] - mean @ found[:-1]))


def main() -> None:
    """Make the views, fit, print the errors on what was left out, write the file."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--data", type=Path, required=True, metavar="ZIP")
    flags.add_argument("--manifest", type=Path, required=True, metavar="CSV")
    flags.add_argument("--into", type=Path, required=True, metavar="FOLDER")
    flags.add_argument("--seed", type=int, default=0)
    arguments = flags.parse_args()
    catalogue = Catalogue.standard()
    maker = Maker(load_detector(catalogue, catalogue.get(DETECTOR, FaceManifest)), arguments.seed)
    fit: list[tuple[NDArray[np.float32], bool]] = []
    left_out: list[tuple[NDArray[np.float32], bool]] = []
    for place, image in enumerate(photographs(arguments.data, arguments.manifest, CATEGORY)):
        held_back = place // BLOCK % BLOCKS == BLOCKS - 1
        (left_out if held_back else fit).extend(maker.views(image, OF_CATEGORY))
    for image in photographs(arguments.data, arguments.manifest, BACKGROUND):
        fit.extend(maker.views(image, OF_BACKGROUND))
    model, measured = fitted(gathered(fit)), gathered(left_out)
    odds = measured.features @ model.weights + model.bias
    for name, chosen, wrong in (
        ("upright", measured.upright, odds < 0),
        ("turned", ~measured.upright, odds >= 0),
    ):
        print(
            f"{name}: {wrong[chosen].mean():.2%} of {chosen.sum()} views of {name} faces are taken for the other"
        )
    model.write(arguments.into / FILE)


if __name__ == "__main__":
    main()

"""Runs a model once on known input and looks whether the answer is sound.

A digest proves that the file is right, not that this processor and this onnxruntime compute it rightly. So the
models are run before they serve, and `likeness models verify` does the same on demand.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from likeness.domain.errors import Corrupt, LikenessError
from likeness.inference.models.catalogue import Catalogue
from likeness.inference.models.embedder import Embedder
from likeness.inference.models.manifest import (
    FaceManifest,
    Family,
    ModelKind,
    ModelManifest,
    PictureManifest,
    SetManifest,
)
from likeness.inference.models.pictures import PictureEmbedder
from likeness.inference.models.runtime import OnnxModel
from likeness.inference.models.sets import SetEmbedder
from likeness.inference.onboarding.layout import recognise

TOLERANCE = 0.01
"""Largest difference between an element of an embedding and its known or repeated value. Float32 arithmetic
stays below 1e-5; a wrong graph or kernel is off by as much as the elements themselves, about 0.09 of 128."""

_MTCNN_OUTPUTS: Mapping[str, tuple[int, Mapping[str, tuple[int, ...]]]] = {
    "pnet": (12, {"probability": (2, 2, 1, 1), "box": (2, 4, 1, 1)}),
    "rnet": (24, {"probability": (2, 2), "box": (2, 4)}),
    "onet": (48, {"probability": (2, 2), "box": (2, 4), "landmarks": (2, 10)}),
}
"""Per role: side of the input in pixels, and the shapes that two pictures give."""


def standard_chip(width: int, height: int) -> npt.NDArray[np.uint8]:
    """A picture that is the same everywhere: slanted ramps, unlike in each channel; uint8 [height, width, 3]."""
    y, x, channel = np.ogrid[:height, :width, :3]
    chip: npt.NDArray[np.uint8] = ((x * (3 + channel) + y * (5 - channel)) % 256).astype(np.uint8)
    return chip


def verify(catalogue: Catalogue, manifest: ModelManifest, threads: int = 1) -> None:
    """Checks the digests of a model's files, loads them and runs a self-test.

    Raises:
        NotFound, Corrupt, Precondition: see `Catalogue.open`.
        LikenessError: a graph fails or answers nonsense (reason MODEL_SELF_TEST_FAILED).
    """
    if isinstance(manifest, SetManifest):
        _self_test_sets(SetEmbedder(manifest.origin, threads=threads))
    elif isinstance(manifest, PictureManifest):
        _self_test_pictures(PictureEmbedder(manifest.origin, threads=threads))
    elif isinstance(manifest, FaceManifest):
        _verify_faces(catalogue, manifest, threads)


def _verify_faces(catalogue: Catalogue, manifest: FaceManifest, threads: int) -> None:
    if manifest.kind is ModelKind.RECOGNISER:
        self_test_embedder(Embedder.open(catalogue, manifest, threads))
    elif manifest.family is Family.MTCNN:
        for role, (side, shapes) in _MTCNN_OUTPUTS.items():
            _self_test_cascade(catalogue.open(manifest, role, threads), manifest, side, shapes)
    else:
        _self_test_detector(catalogue.open(manifest, threads=threads), manifest)


def self_test_embedder(embedder: Embedder) -> None:
    """Embeds the standard chip alone and together with its negative, and compares with the known answer if there is
    one.

    Raises:
        LikenessError: the embeddings are unsound (reason MODEL_SELF_TEST_FAILED).
    """
    manifest = embedder.manifest
    chip = standard_chip(*embedder.size)
    alone = embedder.embed(chip[None])[0]
    _check_vectors(manifest, alone, *embedder.embed(np.stack([chip, 255 - chip])))
    if manifest.self_test is not None:
        known = np.array(manifest.self_test.embedding, np.float32)
        if np.abs(alone[: len(known)] - known).max() > TOLERANCE:
            raise _failed(manifest, "the embedding of the standard chip is not the one in [self_test]")


def _self_test_sets(embedder: SetEmbedder) -> None:
    """Embeds a set of as many rows as the graph takes, alone and together with one of half as many."""
    shape = embedder.manifest.input
    rows = standard_chip(shape.columns - 1, shape.max_count)[:, :, 0].astype(np.float32) / np.float32(255)
    _check_vectors(
        embedder.manifest, embedder.embed([rows])[0], *embedder.embed([rows, rows[: len(rows) // 2]])
    )


def _self_test_pictures(embedder: PictureEmbedder) -> None:
    picture = standard_chip(embedder.side, embedder.side)
    _check_vectors(
        embedder.manifest,
        embedder.embed(picture[None])[0],
        *embedder.embed(np.stack([picture, 255 - picture])),
    )


def _check_vectors(
    manifest: ModelManifest,
    alone: npt.NDArray[np.float32],
    batched: npt.NDArray[np.float32],
    other: npt.NDArray[np.float32],
) -> None:
    """Of one input embedded alone and in a batch, and of another input."""
    if np.abs(alone - batched).max() > TOLERANCE * np.abs(alone).max():
        raise _failed(manifest, "an embedding depends on what is embedded in the same batch")
    if np.abs(alone - other).max() <= TOLERANCE * np.abs(alone).max():
        raise _failed(manifest, "unlike inputs have the same embedding")


def _self_test_cascade(
    model: OnnxModel, manifest: ModelManifest, side: int, shapes: Mapping[str, tuple[int, ...]]
) -> None:
    chip = standard_chip(side, side)
    images = (np.stack([chip, 255 - chip]) - np.float32(127.5)) / np.float32(128)
    results = model.run(images.transpose(0, 3, 1, 2))
    for name, shape in shapes.items():
        value = results.get(name)
        if value is None or value.shape != shape or not np.isfinite(value).all():
            raise _failed(manifest, f"{model.path.name} gives no sound output {name} of shape {list(shape)}")


def _self_test_detector(model: OnnxModel, manifest: FaceManifest) -> None:
    layout = recognise(model)
    if layout.family is not manifest.family:
        raise _failed(
            manifest, f"its outputs are those of {layout.family}, its manifest says {manifest.family}"
        )
    if layout.strides != tuple(sorted(manifest.detector.strides)):
        raise _failed(
            manifest, f"its strides are {layout.strides}, its manifest says {manifest.detector.strides}"
        )


def _failed(manifest: ModelManifest, what: str) -> LikenessError:
    return Corrupt(
        f"Model {manifest.id} failed its self-test: {what}. Check its manifest {manifest.origin}; if that is "
        "right, try another version of onnxruntime",
        reason="MODEL_SELF_TEST_FAILED",
    )

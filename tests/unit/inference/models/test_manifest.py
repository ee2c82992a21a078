"""The manifest: what it accepts, and that every refusal names the file and the key."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from likeness.domain.errors import InvalidInput, NotFound
from likeness.inference.models.manifest import (
    MAX_MANIFEST_BYTES,
    DetectionSettings,
    FaceManifest,
    Family,
    ModelKind,
    PictureManifest,
    SetManifest,
    parse_manifest,
    read_manifest,
)
from tests.unit.inference.graphs import recogniser_toml

ORIGIN = Path("folder/tiny.toml")


def test_a_recogniser() -> None:
    manifest = parse_manifest(recogniser_toml(), ORIGIN, FaceManifest)
    assert (manifest.kind, manifest.family, manifest.label) == (
        ModelKind.RECOGNISER,
        Family.ARCFACE,
        "tiny@1",
    )
    assert manifest.input.mean == (127.5, 127.5, 127.5)
    assert manifest.template.shape == (5, 2) and manifest.template.dtype == np.float32
    assert manifest.origin == ORIGIN


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("mirror", "", None),
        ("mean", "[1.0, 2.0, 3.0]", None),
        ("batch", "4", None),
        ("mean", "[1.0, 2.0]", "input.mean"),
        ("mean", "nan", "input.mean"),
        ("std", "0.0", "std must not be 0"),
        ("layout", '"CHWN"', "input.layout"),
        ("colour", '"GREY"', "input.colour"),
        ("colour", "", "input.colour: missing"),
        ("batch", "0", "input.batch"),
        ("width", "0", "either both given or both 0"),
        ("width", "100000", "input.width"),
        ("dimension", "1", "embedding.dimension"),
        ("normalise", "false", "cosine needs normalise"),
        ("template_space", '"Has Spaces"', "embedding.template_space"),
        ("template", "[[4.0, 5.0]]", "landmarks.template"),
        ("sha256", '"abc"', "files.0.sha256"),
        ("name", '"../up.onnx"', "files.0.name"),
        ("family", '"yunet"', "family yunet does not belong to kind recogniser"),
        ("kind", '"robot"', "kind"),
        ("id", '"Upper"', "id"),
        ("schema", "2", "schema"),
        ("licence", '""', "licence"),
    ],
)
def test_every_key_is_checked(key: str, value: str, problem: str | None) -> None:
    text = recogniser_toml(changes={key: value})
    if problem is None:
        parse_manifest(text, ORIGIN)
        return
    with pytest.raises(InvalidInput) as caught:
        parse_manifest(text, ORIGIN)
    assert str(ORIGIN) in caught.value.message
    assert problem in caught.value.message


def test_a_misspelt_key_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"input\.color: unknown key"):
        parse_manifest(recogniser_toml().replace("colour =", "color ="), ORIGIN)


def test_a_landmark_outside_the_chip_is_refused() -> None:
    text = recogniser_toml().replace("[4.0, 5.0]", "[40.0, 5.0]")
    with pytest.raises(InvalidInput, match=r"landmark \(40.0, 5.0\) lies outside"):
        parse_manifest(text, ORIGIN)


@pytest.mark.parametrize("script", ["/etc/passwd", "../outside.py", "a/../../b.py"])
def test_a_build_script_stays_next_to_its_manifest(script: str) -> None:
    text = f'{recogniser_toml()}\n[build]\nscript = "{script}"\nrequirement = "x==1"\n'
    with pytest.raises(InvalidInput, match=r"build\.script"):
        parse_manifest(text, ORIGIN)


def test_a_model_in_a_folder_of_its_own_may_share_the_script_of_another() -> None:
    text = f'{recogniser_toml()}\n[build]\nscript = "../other/build.py"\nrequirement = "x==1"\n'
    assert parse_manifest(text, Path("models/tiny/manifest.toml")).build is not None
    with pytest.raises(InvalidInput, match=r"build\.script"):
        parse_manifest(text.replace("../other", "../../other"), Path("models/tiny/manifest.toml"))


@pytest.mark.parametrize("kind", ["set-embedder", "picture-embedder"])
def test_a_model_of_another_kind_than_expected_is_refused(kind: str) -> None:
    with pytest.raises(InvalidInput, match=rf"is a recogniser, not a {kind}") as caught:
        parse_manifest(recogniser_toml(), ORIGIN, SetManifest if kind == "set-embedder" else PictureManifest)
    assert caught.value.reason == "MODEL_UNFIT"


@pytest.mark.parametrize("url", ["http://example.org/x.onnx", "file:///etc/passwd", "ftp://x/y"])
def test_only_https_is_fetched(url: str) -> None:
    text = recogniser_toml().replace('name = "tiny.onnx"', f'name = "tiny.onnx"\nurl = "{url}"')
    with pytest.raises(InvalidInput, match=r"files\.0\.url"):
        parse_manifest(text, ORIGIN)


def test_a_cascade_needs_its_three_roles() -> None:
    text = (
        recogniser_toml()
        .split("[embedding]")[0]
        .replace("recogniser", "detector")
        .replace("arcface", "mtcnn")
    )
    with pytest.raises(InvalidInput, match="onet, pnet, rnet"):
        parse_manifest(text, ORIGIN)


@pytest.mark.parametrize("threshold", [0, 1, -0.5])
def test_a_threshold_that_lets_everything_or_nothing_through_is_refused(threshold: float) -> None:
    with pytest.raises(ValidationError):
        DetectionSettings(stage_thresholds=(0.6, threshold, 0.7))


def test_what_is_not_toml_is_refused() -> None:
    with pytest.raises(InvalidInput, match="is not TOML"):
        parse_manifest("a = = b", ORIGIN)


def test_files_are_read_within_limits(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="cannot be read"):
        read_manifest(tmp_path / "none.toml")
    (tmp_path / "large.toml").write_bytes(b"#" * (MAX_MANIFEST_BYTES + 1))
    with pytest.raises(InvalidInput, match="larger than"):
        read_manifest(tmp_path / "large.toml")
    (tmp_path / "latin.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="not UTF-8"):
        read_manifest(tmp_path / "latin.toml")

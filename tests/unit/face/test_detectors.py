"""The one-shot families decode what a known face would look like in their outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from likeness.domain.errors import InvalidInput, Precondition
from likeness.face.detect import Detection
from likeness.face.detectors import load_detector
from likeness.inference.models.catalogue import Catalogue
from likeness.inference.models.manifest import FaceManifest
from tests.unit.face.oneshot import Known, as_maps, detector, encode, known

FACES = [known(40, 30, 30, 0.95, 8), known(130, 50, 60, 0.9, 16), known(20, 100, 80, 0.85, 32)]
WIDTH, HEIGHT = 256, 224


def check(found: list[Detection], faces: list[Known], scale: float = 1.0) -> None:
    """Every face once, best first; `scale` is that of the searched copy."""
    assert len(found) == len(faces)
    for detection, face in zip(found, faces, strict=True):
        assert detection.confidence == pytest.approx(face.score, abs=1e-4)
        box = detection.box
        corners = np.array([box.x, box.y, box.x + box.width, box.y + box.height])
        assert np.allclose((corners + 0.5) * scale - 0.5, face.box, atol=1e-3)
        assert np.allclose((detection.landmarks + 0.5) * scale - 0.5, face.landmarks, atol=1e-3)


@pytest.mark.parametrize("shape", ["rows", "batched", "maps"])
@pytest.mark.parametrize(("family", "anchors"), [("yunet", 1), ("scrfd", 1), ("scrfd", 2)])
@pytest.mark.parametrize("logits", [False, True])
def test_known_faces_are_found_whatever_the_export(
    tmp_path: Path, family: str, anchors: int, shape: str, logits: bool
) -> None:
    outputs = encode(family, FACES, WIDTH, HEIGHT, anchors, logits=logits)
    if shape == "batched":
        outputs = {name: value[None] for name, value in outputs.items()}
    elif shape == "maps":
        outputs = as_maps(outputs, WIDTH, HEIGHT, anchors)
    found = detector(tmp_path, family, outputs, None).detect(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    check(found, FACES)


@pytest.mark.parametrize("family", ["yunet", "scrfd"])
def test_outputs_without_telling_names_are_known_by_shape_and_order(tmp_path: Path, family: str) -> None:
    outputs = encode(family, FACES, WIDTH, HEIGHT)
    by_kind = sorted(outputs, key=lambda name: (name.split("_")[0] != "cls", name.split("_")[0] != "obj"))
    nameless = {f"out{number}": outputs[name] for number, name in enumerate(by_kind)}
    check(detector(tmp_path, family, nameless, None).detect(np.zeros((HEIGHT, WIDTH, 3), np.uint8)), FACES)


def test_the_manifest_can_name_the_outputs(tmp_path: Path) -> None:
    outputs = encode("scrfd", FACES, WIDTH, HEIGHT)
    renamed = {f"out{number}": outputs[name] for number, name in enumerate(outputs)}
    order = [
        list(outputs).index(f"{kind}_{stride}") for kind in ("score", "bbox", "kps") for stride in (8, 16, 32)
    ]
    extra = f"outputs = {[f'out{number}' for number in order]}"
    check(
        detector(tmp_path, "scrfd", renamed, None, extra).detect(np.zeros((HEIGHT, WIDTH, 3), np.uint8)),
        FACES,
    )


@pytest.mark.parametrize("family", ["yunet", "scrfd"])
@pytest.mark.parametrize(("width", "height"), [(512, 384), (100, 400), (128, 112), (1000, 30)])
def test_a_graph_of_fixed_size_gets_the_picture_fitted_in(
    tmp_path: Path, family: str, width: int, height: int
) -> None:
    outputs = encode(family, FACES, WIDTH, HEIGHT)
    found = detector(tmp_path, family, outputs, (WIDTH, HEIGHT)).detect(
        np.zeros((height, width, 3), np.uint8)
    )
    check(found, FACES, min(WIDTH / width, HEIGHT / height))


def test_a_large_picture_is_reduced_and_thoroughly_less_so(tmp_path: Path) -> None:
    outputs = encode("scrfd", FACES, WIDTH, HEIGHT)
    model = detector(tmp_path, "scrfd", outputs, None, f"max_side_px = {WIDTH}")
    check(model.detect(np.zeros((2 * HEIGHT, 2 * WIDTH, 3), np.uint8)), FACES, 0.5)
    check(model.detect(np.zeros((4 * HEIGHT, 4 * WIDTH, 3), np.uint8), thorough=False), FACES, 0.25)
    with pytest.raises(Precondition, match="rows"):  # the graph answers for one size only
        model.detect(np.zeros((2 * HEIGHT, 2 * WIDTH, 3), np.uint8), thorough=True)


def test_scores_under_the_threshold_and_weaker_twins_are_left_out(tmp_path: Path) -> None:
    faces = [known(40, 30, 30, 0.95, 8), known(150, 40, 40, 0.4, 8), known(42, 31, 30, 0.7, 16)]
    found = detector(tmp_path, "scrfd", encode("scrfd", faces, WIDTH, HEIGHT), None).detect(
        np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    )
    check(found, faces[:1])


def test_no_face_is_an_empty_list(tmp_path: Path) -> None:
    assert (
        detector(tmp_path, "yunet", encode("yunet", [], WIDTH, HEIGHT), None).detect(
            np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        )
        == []
    )


def test_outputs_that_do_not_fit_the_family_are_named(tmp_path: Path) -> None:
    outputs = encode("scrfd", FACES, WIDTH, HEIGHT)
    del outputs["kps_16"]
    with pytest.raises(Precondition, match=r"2 outputs look like kps.*score_8") as caught:
        detector(tmp_path, "scrfd", outputs, None).detect(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    assert caught.value.reason == "MODEL_UNFIT"


def test_a_recogniser_is_no_detector(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(
        """
schema = 1
id = "r"
version = "1"
kind = "recogniser"
family = "arcface"
licence = "none"
source = "test"
[[files]]
name = "r.onnx"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
[input]
width = 112
height = 112
colour = "RGB"
mean = 0.0
std = 1.0
[embedding]
template_space = "r"
dimension = 8
[landmarks]
template = [[1, 1], [2, 1], [1, 2], [1, 3], [2, 3]]
""",
        "utf-8",
    )
    catalogue = Catalogue([tmp_path], tmp_path)
    with pytest.raises(InvalidInput, match="detects no faces"):
        load_detector(catalogue, catalogue.get("r", FaceManifest))

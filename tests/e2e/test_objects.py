"""Photographs of objects through a server process and the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from likeness.imaging.opencv import cv2
from tests.e2e.conftest import Run

pytestmark = [pytest.mark.models, pytest.mark.slow]

WORDS = ("-m", "object")


def drawn(seed: int) -> np.ndarray:
    """A picture of discs and lines that no other seed has, uint8 [300, 400, 3]."""
    random = np.random.default_rng(seed)
    canvas = np.full((300, 400, 3), random.integers(60, 200, 3), np.uint8)
    for _ in range(60):
        x, y, r = (int(n) for n in random.integers(5, (395, 295, 40)))
        colour = tuple(int(n) for n in random.integers(0, 256, 3))
        cv2.circle(canvas, (x, y), r, colour, -1 if random.random() < 0.7 else 2, cv2.LINE_AA)
        cv2.line(
            canvas, (x, y), (int(random.integers(400)), int(random.integers(300))), colour, 2, cv2.LINE_AA
        )
    return canvas


def seen_askew(picture: np.ndarray, seed: int) -> np.ndarray:
    """The picture photographed from the side, small, in front of something else."""
    random = np.random.default_rng(seed)
    corners = np.array([[0, 0], [399, 0], [399, 299], [0, 299]], np.float32)
    seen = np.array([[60, 40], [330, 70], [310, 260], [80, 240]], np.float32)
    seen += random.uniform(-15, 15, seen.shape).astype(np.float32)
    transform = cv2.getPerspectiveTransform(corners, seen)
    behind = cv2.GaussianBlur(random.integers(0, 256, picture.shape, np.uint8), (0, 0), 3)
    warped = cv2.warpPerspective(picture, transform, (400, 300))
    mask = cv2.warpPerspective(np.full(picture.shape[:2], 255, np.uint8), transform, (400, 300))
    return np.where(mask[..., None] > 0, warped, behind).astype(np.uint8)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """`enrol/N.png`, and `probe/N.jpg` of three of them and of one that is not enrolled."""
    for folder in ("enrol", "probe"):
        (tmp_path / folder).mkdir()
    for seed in range(8):
        cv2.imwrite(str(tmp_path / "enrol" / f"{seed}.png"), drawn(seed))
    for seed in (0, 3, 5, 99):
        cv2.imwrite(str(tmp_path / "probe" / f"{seed:02d}.jpg"), seen_askew(drawn(seed), seed))
    return tmp_path


def test_an_object_is_found_however_it_was_photographed(run: Run, pictures: Path) -> None:
    code, (summary,), stderr = run(
        "enroll", pictures / "enrol", *WORDS, "-g", "things", "--subject-from-folder"
    )
    assert (code, summary["enrolled"]) == (0, 8), stderr
    code, answers, stderr = run("search", pictures / "probe", *WORDS, "-g", "things", "-k", 1)
    assert code == 0, stderr
    first = [a["answers"][0]["candidates"][0] for a in answers]
    assert [c["reference"]["owner_reference"] for c in first[:3]] == ["0", "3", "5"]
    assert [c["score"]["likelihood"] != "similar only" for c in first] == [True, True, True, False]


def test_the_evidence_is_drawn_over_both_photographs(run: Run, pictures: Path, tmp_path: Path) -> None:
    pair = (pictures / "probe" / "03.jpg", pictures / "enrol" / "3.png")
    code, (answer,), stderr = run("compare", *pair, *WORDS, "--explain", "pair.png")
    assert code == 0, stderr
    assert (tmp_path / "pair.png").stat().st_size > 50_000
    assert answer["score"]["parts"]["inliers"] >= 8


def test_what_is_no_picture_is_refused_with_the_remedy(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"not a picture at all")
    code, (summary,), _ = run("enroll", tmp_path / "bad.jpg", *WORDS, "-g", "bad", "--rejects", "r.jsonl")
    assert (code, summary["rejected"]) == (1, 1)
    assert "bad.jpg" in (tmp_path / "r.jsonl").read_text()

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from likeness.cli.demo.command import MARKER, _fresh
from likeness.cli.demo.faces import FaceSection
from likeness.domain.errors import InvalidInput
from likeness.domain.samples import Sample
from likeness.imaging.decode import decode
from likeness.imaging.opencv import cv2


def picture(path: Path, shade: int = 200) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((80, 100, 3), shade, np.uint8)
    pixels[:, :50] = 10
    cv2.imwrite(str(path), pixels)
    return path


def laid_out(own: Path, out: Path) -> tuple[list[str], list[str]]:
    FaceSection(out, own, out / "cache").prepare()
    enrol, probes = out / "faces" / "enrol", out / "faces" / "probes"
    return (
        sorted(p.relative_to(enrol).as_posix() for p in enrol.rglob("*") if p.is_file()),
        sorted(p.name for p in probes.iterdir()),
    )


def test_of_a_person_with_several_photographs_the_last_is_searched_with(tmp_path: Path) -> None:
    own = tmp_path / "own"
    for name in ("ada/1.png", "ada/2.png", "ada/3.png", "bob/1.png"):
        picture(own / name)
    enrolled, probes = laid_out(own, tmp_path / "out")
    assert enrolled == ["ada/1.png", "ada/2.png", "bob/1.png"]
    assert probes == ["altered-1.jpg", "another-photograph-3.png"]


def test_of_loose_files_some_are_left_out(tmp_path: Path) -> None:
    own = tmp_path / "own"
    for number in range(25):
        picture(own / f"{number:02}.png")
    enrolled, probes = laid_out(own, tmp_path / "out")
    assert len(enrolled) == 23
    assert enrolled[0] == "00/00.png"
    assert probes == ["altered-00.jpg", "not-enrolled-09.png", "not-enrolled-19.png"]


def test_many_people_give_few_probes(tmp_path: Path) -> None:
    own = tmp_path / "own"
    for number in range(30):
        picture(own / f"p{number}" / "1.png")
        picture(own / f"p{number}" / "2.png")
    enrolled, probes = laid_out(own, tmp_path / "out")
    assert len(enrolled) == 30
    assert len(probes) == 5


def test_the_altered_copy_is_mirrored_darker_and_smaller(tmp_path: Path) -> None:
    own = tmp_path / "own"
    picture(own / "1.png")
    laid_out(own, tmp_path / "out")
    altered = decode(Sample((tmp_path / "out" / "faces" / "probes" / "altered-1.jpg").read_bytes()))
    assert altered.shape[:2] == (48, 60)
    assert altered[:, 40:].mean() < 20 < altered[:, :20].mean() < 130


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(InvalidInput, match="--out"):
        _fresh(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_what_an_earlier_demonstration_left_is_removed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    _fresh(out)
    (out / "home").mkdir()
    (out / "home" / "likeness.db").touch()
    (out / "contact-sheet.png").touch()
    (out / "notes.txt").touch()
    _fresh(out)
    assert sorted(p.name for p in out.iterdir()) == [MARKER, "notes.txt"]

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from likeness.cli import files
from likeness.domain.errors import InvalidInput


def touch(path: Path, data: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b/2.JPG", "b/1.png", "a/x/3.webp", "top.jpeg", "notes.txt", ".hidden.jpg", ".git/4.jpg"):
        touch(tmp_path / name)
    return tmp_path


def test_a_folder_gives_its_pictures_in_a_stable_order(folder: Path) -> None:
    assert [f.name for f in files.find([folder])] == ["top.jpeg", "a/x/3.webp", "b/1.png", "b/2.JPG"]


def test_a_file_that_is_named_is_taken_whatever_its_ending(folder: Path) -> None:
    assert [f.name for f in files.find([folder / "notes.txt"])] == ["notes.txt"]


def test_what_is_passed_over_is_counted_by_its_ending(folder: Path) -> None:
    for name in ("IMG_1.HEIC", "a/IMG_2.heic", "plain", "odd.a\nb"):
        touch(folder / name)
    passed: Counter[str] = Counter()
    assert len(files.find([folder], passed=passed)) == 4
    assert passed == {".heic": 2, ".txt": 1, "": 1, ".a\nb": 1}
    assert "5 files with other endings passed over (2 .heic, " in files.passed_over(passed)
    assert "1 .a\\nb" in files.passed_over(passed)


def test_a_file_reached_twice_comes_once(folder: Path) -> None:
    found = files.find([folder / "b" / "1.png", folder, folder / "b"])
    assert sorted(f.path.name for f in found) == ["1.png", "2.JPG", "3.webp", "top.jpeg"]


def test_a_loop_of_links_ends(folder: Path) -> None:
    (folder / "a" / "loop").symlink_to(folder)
    assert len(files.find([folder])) == 4


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_nothing_to_take_is_reported(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match=name):
        files.find([tmp_path / name])


def test_a_file_over_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 4)
    assert files.read(touch(tmp_path / "a.jpg", b"1234")) == b"1234"
    with pytest.raises(InvalidInput, match="larger"):
        files.read(touch(tmp_path / "b.jpg", b"12345"))


def test_what_is_not_a_file_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not a regular file"):
        files.read(tmp_path)


def test_files_are_grouped_by_the_folder_that_holds_them(folder: Path) -> None:
    groups = files.by_folder(files.find([folder]))
    assert {name: len(found) for name, found in groups.items()} == {"top": 1, "a/x": 1, "b": 2}

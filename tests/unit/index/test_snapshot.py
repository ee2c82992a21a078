from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from likeness.domain.errors import Corrupt, Exhausted, LikenessError, Unavailable, WrongKey
from likeness.domain.references import Facets
from likeness.index import Columns, Snapshot, Snapshots, VectorIndex, container
from likeness.index.container import ContainerManifest
from likeness.store.vault import KeyRing, KeyUse, Vault
from tests.oracle.index.naive import clustered

DIMENSION = 16


def vault(folder: Path, name: str = "keys.json") -> Vault:
    return KeyRing.load_or_create(folder / name).vault(KeyUse.SNAPSHOTS)


def snapshot(position: int = 5) -> Snapshot:
    index, columns = VectorIndex(DIMENSION, space="test/1", flat_components=1), Columns()
    index.add(clustered(200, DIMENSION, seed=1))
    index.build(position)
    index.add(clustered(10, DIMENSION, seed=2))
    columns.append(Facets("NCB-AA"), 210)
    return Snapshot(position, index.capture(), columns.capture(), {"ids": np.arange(8, dtype=np.uint8)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "snapshots"


@pytest.fixture
def snapshots(tmp_path: Path, folder: Path) -> Snapshots:
    return Snapshots(folder, vault(tmp_path))


def parts(folder: Path) -> tuple[Path, Path]:
    (manifest,), (data,) = folder.glob("*.json"), folder.glob("*.snapshot")
    return manifest, data


def test_a_snapshot_comes_back_whole(snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "FRAME_BYTES", 4096)  # several frames for one array
    saved = snapshot()
    path = snapshots.save(saved)
    assert ContainerManifest.read(path).frames > 5
    loaded = snapshots.newest()
    assert loaded.refused == ()
    assert loaded.snapshot is not None
    assert loaded.snapshot.position == 5
    assert loaded.snapshot.index.generation == saved.index.generation
    assert loaded.snapshot.index.about == saved.index.about
    for ours, theirs in (
        (saved.index.arrays, loaded.snapshot.index.arrays),
        (saved.extra, loaded.snapshot.extra),
    ):
        assert list(ours) == list(theirs)
        for name, array in ours.items():
            assert array.dtype == theirs[name].dtype
            assert np.array_equal(array, theirs[name])
    assert np.array_equal(saved.columns.cells, loaded.snapshot.columns.cells)
    assert len(VectorIndex.restore(loaded.snapshot.index)) == 210


def test_an_empty_index_is_saved_too(snapshots: Snapshots) -> None:
    index, columns = VectorIndex(DIMENSION, space="test/1"), Columns()
    snapshots.save(Snapshot(0, index.capture(), columns.capture()))
    loaded = snapshots.newest().snapshot
    assert loaded is not None
    assert len(VectorIndex.restore(loaded.index)) == len(Columns.restore(loaded.columns)) == 0


def test_nothing_of_a_reference_is_readable_and_only_the_owner_may_read(
    snapshots: Snapshots, folder: Path
) -> None:
    saved = snapshot()
    snapshots.save(saved)
    manifest, data = parts(folder)
    everything = manifest.read_bytes() + data.read_bytes()
    assert b"NCB-AA" not in everything
    assert saved.index.arrays["1/vectors"][3].tobytes() not in everything
    assert {stat.S_IMODE(path.stat().st_mode) for path in (manifest, data)} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_any_flipped_bit_is_noticed(snapshots: Snapshots, folder: Path) -> None:
    snapshots.save(snapshot())
    for path in parts(folder):
        whole = path.read_bytes()
        for at in {*range(0, len(whole), max(1, len(whole) // 150)), *range(40), len(whole) - 2}:
            flipped = bytearray(whole)
            flipped[at] ^= 1 << (at % 8)
            path.write_bytes(flipped)
            loaded = snapshots.newest()
            assert loaded.snapshot is None, f"byte {at} of {path.suffix}"
            assert len(loaded.refused) == 1
        path.write_bytes(whole)
    assert snapshots.newest().snapshot is not None


def test_a_file_cut_short_grown_or_missing_is_noticed(snapshots: Snapshots, folder: Path) -> None:
    path = snapshots.save(snapshot())
    _, data = parts(folder)
    whole = data.read_bytes()
    for changed in (whole[:-1], whole[: len(whole) // 2], b"", whole + b"\0"):
        data.write_bytes(changed)
        with pytest.raises(Corrupt, match="length differs"):
            snapshots.load(path)
    data.unlink()
    with pytest.raises(Corrupt, match="cannot be used"):
        snapshots.load(path)


def vouched(path: Path, manifest: ContainerManifest, data: bytes) -> None:
    """Write data with a manifest that agrees with it, as someone with access to the disk but no key could."""
    path.with_suffix(".snapshot").write_bytes(data)
    path.write_bytes(
        ContainerManifest(
            manifest.name, manifest.position, manifest.frames, len(data), hashlib.sha256(data).hexdigest()
        ).to_bytes()
    )


def frames(data: bytes) -> list[bytes]:
    found, at = [], 8
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        found.append(data[at:end])
        at = end
    return found


@pytest.mark.parametrize(
    "change", ["swap", "twice", "drop", "repeat", "cut", "length", "magic", "position", "name"]
)
def test_whoever_has_the_disk_but_no_key_cannot_rearrange_a_snapshot(
    snapshots: Snapshots, folder: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "FRAME_BYTES", 2048)
    path = snapshots.save(snapshot())
    manifest, whole = ContainerManifest.read(path), parts(folder)[1].read_bytes()
    listed = frames(whole)
    twin = next(n for n in range(1, len(listed)) if len(listed[n]) == len(listed[n + 1]))
    assert b"".join([whole[:8], *listed]) == whole
    fewer = ContainerManifest(manifest.name, manifest.position, manifest.frames - 1, 0, "")
    listings = {
        "swap": [*listed[:twin], listed[twin + 1], listed[twin], *listed[twin + 2 :]],
        "twice": [*listed[: twin + 1], listed[twin], *listed[twin + 2 :]],
        "drop": listed[:-1],
        "repeat": [*listed, listed[-1]],
        "cut": [*listed[:-1], listed[-1][:-5]],
        "length": [b"\xff\xff\xff\xff" + listed[0][4:], *listed[1:]],
    }
    data = b"".join([b"LKSNAP2\n" if change == "magic" else whole[:8], *listings.get(change, listed)])
    unsealed = {
        "drop": fewer,
        "position": ContainerManifest(manifest.name, manifest.position + 1, manifest.frames, 0, ""),
        "name": ContainerManifest("other", manifest.position, manifest.frames, 0, ""),
    }.get(change, manifest)
    vouched(path, unsealed, data)
    with pytest.raises(Corrupt):
        snapshots.load(path)


def test_a_length_that_no_frame_has_is_refused_before_it_is_read(snapshots: Snapshots, folder: Path) -> None:
    path = snapshots.save(snapshot())
    whole = parts(folder)[1].read_bytes()
    vouched(path, ContainerManifest.read(path), whole[:8] + b"\xff\xff\xff\xff" + whole[12:])
    with pytest.raises(Corrupt, match="longer than a frame"):
        snapshots.load(path)


def test_another_key_is_distinguished_from_damage(snapshots: Snapshots, folder: Path, tmp_path: Path) -> None:
    snapshots.save(snapshot())
    with pytest.raises(WrongKey):
        Snapshots(folder, vault(tmp_path, "other.json")).newest()


def test_two_are_retained_and_the_older_serves_when_the_newer_is_damaged(
    snapshots: Snapshots, folder: Path
) -> None:
    for position in (9, 10, 11):
        snapshots.save(snapshot(position))
    (folder / "00000000000000000012.new").write_bytes(b"left by a crash")
    (folder / "00000000000000000012-ab.snapshot").write_bytes(b"left by a crash")
    (folder / "notes.txt").write_text("not ours")
    assert len(list(folder.glob("*.json"))) == len(list(folder.glob("*.snapshot"))) - 1 == 2
    newest = sorted(folder.glob("*.json"))[-1]
    newest.with_suffix(".snapshot").write_bytes(b"damaged")
    loaded = snapshots.newest()
    assert loaded.snapshot is not None
    assert loaded.snapshot.position == 10
    assert [error.reason for error in loaded.refused] == ["DATA_CORRUPT"]
    snapshots.save(snapshot(13))
    assert sorted(path.name.split("-")[0].lstrip("0") for path in folder.iterdir()) == [
        "11",
        "11",
        "13",
        "13",
        "notes.txt",
    ]


def test_the_same_position_can_be_saved_again(snapshots: Snapshots) -> None:
    snapshots.save(snapshot())
    snapshots.save(snapshot())
    assert snapshots.newest().refused == ()


@pytest.mark.parametrize(("number", "error"), [(errno.ENOSPC, Exhausted), (errno.EIO, Unavailable)])
@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_a_disk_that_fails_leaves_the_older_snapshot_and_no_half_of_the_new(
    snapshots: Snapshots,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    error: type[LikenessError],
    call: int,
) -> None:
    snapshots.save(snapshot(9))
    before = sorted(path.name for path in folder.iterdir())
    fsync, calls = os.fsync, 0

    def failing(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", failing)
        with pytest.raises(error):
            snapshots.save(snapshot(10))
    loaded = snapshots.newest()
    assert loaded.refused == ()
    assert loaded.snapshot is not None
    assert loaded.snapshot.position == (9 if call < 4 else 10)  # after the last rename all is in place
    assert not [path.name for path in folder.iterdir() if path.suffix in {".new", ".part"}]
    assert set(before) <= {path.name for path in folder.iterdir()}
    snapshots.save(snapshot(11))
    assert len(list(folder.glob("*.snapshot"))) == 2


def test_arrays_of_objects_are_not_saved(snapshots: Snapshots, folder: Path) -> None:
    saved = snapshot()
    wrong = Snapshot(5, saved.index, saved.columns, {"ids": np.array([{}], dtype=object)})
    with pytest.raises(ValueError, match="holds no arrays of object"):
        snapshots.save(wrong)
    assert list(folder.iterdir()) == []


def sealed_by_hand(tmp_path: Path, header: object, *payload: bytes) -> tuple[Path, ContainerManifest]:
    """A container with a chosen header, sealed with the right key: a writer of ours gone wrong."""
    seal, path = vault(tmp_path), tmp_path / "made.snapshot"
    unsealed = ContainerManifest("made", 1, 1 + len(payload), 0, "")
    data = b"LKSNAP1\n"
    for number, plaintext in enumerate([json.dumps(header).encode(), *payload]):
        sealed = seal.seal(plaintext, aad=unsealed.aad(number))
        data += len(sealed).to_bytes(4, "little") + sealed
    path.write_bytes(data)
    return path, ContainerManifest("made", 1, unsealed.frames, len(data), hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize(
    ("arrays", "payload"),
    [
        ([["a", "|O", [1]]], [b"12345678"]),
        ([["a", "<f4", [-1]]], [b"1234"]),
        ([["a", "<f4", [10**15]]], [b"1234"]),
        ([["a", "<f4", ["1"]]], [b"1234"]),
        ([["a", "<f4", [2]]], [b"1234"]),
        ([["a", "|u1", [4]]], [b"1234", b"5678"]),
        ([["a", "|u1", [4]]], []),
        ([["a", "|u1", [4]]], [b"1"]),
        ([["a", "|u1"]], [b"1234"]),
        (7, []),
    ],
)
def test_a_header_is_checked_before_memory_is_taken(
    tmp_path: Path, arrays: object, payload: list[bytes]
) -> None:
    path, manifest = sealed_by_hand(tmp_path, {"about": {}, "arrays": arrays}, *payload)
    with pytest.raises(Corrupt):
        container.read(path, manifest, vault(tmp_path))


def test_a_snapshot_that_lacks_a_part_is_corrupt(tmp_path: Path) -> None:
    path, manifest = sealed_by_hand(tmp_path, {"about": {}, "arrays": []})
    listing = tmp_path / "made.json"
    listing.write_bytes(manifest.to_bytes())
    assert path.exists()
    with pytest.raises(Corrupt, match="lacks a part"):
        Snapshots(tmp_path, vault(tmp_path)).load(listing)

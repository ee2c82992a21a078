"""Files that others than their owner can read are named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from likeness.index.snapshot import Snapshots
from likeness.store.modes import exposed
from tests.unit.store.writes import act, open_store

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no POSIX modes")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with a snapshot folder, made under a mask that hides nothing."""
    before = os.umask(0)
    try:
        with open_store(tmp_path) as store:
            store.audit(act(1))
            Snapshots(tmp_path / "data" / "snapshots" / "face", store.snapshot_seal())
            assert (tmp_path / "data" / "likeness.db-wal").exists()
            assert exposed(tmp_path / "data", tmp_path / "key.json") == []
    finally:
        os.umask(before)
    return tmp_path


def test_what_is_made_is_the_owners_alone_whatever_the_mask(folder: Path) -> None:
    assert exposed(folder / "data", folder / "key.json") == []


@pytest.mark.parametrize(
    ("name", "mode", "grave"),
    [
        ("data", 0o755, False),
        ("data", 0o701, False),
        ("data", 0o707, True),
        ("data/likeness.db", 0o604, True),
        ("data/likeness.head", 0o602, True),
        ("data/snapshots", 0o705, False),
        ("data/snapshots/face", 0o705, False),
        ("key.json", 0o644, True),
    ],
)
def test_what_is_open_to_others_is_named(folder: Path, name: str, mode: int, grave: bool) -> None:
    (folder / name).chmod(mode)
    (found,) = exposed(folder / "data", folder / "key.json")
    assert (found.path, found.mode, found.grave) == (folder / name, mode, grave)
    assert f"mode {mode:04o}" in str(found)


def test_a_group_counts_unless_it_is_the_users_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = folder / "data" / "likeness.db"
    database.chmod(0o660)
    group = database.stat().st_gid
    monkeypatch.setattr(os, "geteuid", lambda: group + 1)
    assert [found.path for found in exposed(folder / "data", folder / "key.json")] == [database]
    monkeypatch.setattr(os, "geteuid", lambda: group)
    assert exposed(folder / "data", folder / "key.json") == []


def test_the_other_files_of_an_open_database_are_looked_at_too(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.audit(act(1))
        for suffix in ("-wal", "-shm"):
            (tmp_path / "data" / f"likeness.db{suffix}").chmod(0o644)
        found = exposed(tmp_path / "data", tmp_path / "key.json")
    assert [item.path.name for item in found] == ["likeness.db-wal", "likeness.db-shm"]

"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from likeness.domain.files import write_whole

OWNER, GROUP = 12_345, 23_456


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    write_whole(tmp_path / "key", b"secret")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_what_is_not_to_be_replaced_is_not(tmp_path: Path) -> None:
    write_whole(tmp_path / "key", b"secret")
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "key", b"other", replace=False)
    assert (tmp_path / "key").read_bytes() == b"secret"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("replace", [False, True])
def test_what_root_makes_in_a_folder_of_the_service_is_the_services(tmp_path: Path, replace: bool) -> None:
    os.chown(tmp_path, OWNER, GROUP)
    write_whole(tmp_path / "key", b"secret", replace=replace)
    found = (tmp_path / "key").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (OWNER, GROUP, 0o600)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_replaces_stays_its_owners(tmp_path: Path) -> None:
    write_whole(tmp_path / "key", b"secret")
    os.chown(tmp_path / "key", OWNER, GROUP)
    write_whole(tmp_path / "key", b"other")
    assert ((tmp_path / "key").stat().st_uid, (tmp_path / "key").stat().st_gid) == (OWNER, GROUP)

"""Which entities are cut off."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from likeness.access.suspensions import read_suspensions, resume, suspend
from likeness.domain.errors import InvalidInput


def test_an_entity_is_cut_off_and_let_in_again(tmp_path: Path) -> None:
    file = tmp_path / "suspended.json"
    first = suspend(file, "AA-POLICE", "key lost")
    again = suspend(file, "AA-POLICE", "key stolen")
    assert again.since == first.since
    assert read_suspensions(file.read_bytes(), "f") == {"AA-POLICE": again}
    assert resume(file, "AA-POLICE")
    assert not resume(file, "AA-POLICE")
    assert read_suspensions(file.read_bytes(), "f") == {}


def test_no_suspension_is_lost_where_several_are_made_at_once(tmp_path: Path) -> None:
    file = tmp_path / "suspended.json"
    names = [f"E{number}" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: suspend(file, name, ""), names))
    assert sorted(read_suspensions(file.read_bytes(), "f")) == sorted(names)


def test_a_name_that_no_entity_has_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "suspended.json"
    with pytest.raises(InvalidInput):
        suspend(file, "no entity", "")
    assert not file.exists()


@pytest.mark.parametrize("content", [b"[]", b"{", b'{"E": {}}', b'{"E": {"since": "soon"}}', b"\xff"])
def test_what_is_malformed_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidInput, match="The suspensions F"):
        read_suspensions(content, "F")


def test_whoever_reads_the_directory_can_read_what_is_cut_off(tmp_path: Path) -> None:
    directory, file = tmp_path / "directory.toml", tmp_path / "suspended.json"
    directory.touch()
    directory.chmod(0o644)
    suspend(file, "AA-POLICE", "key lost", like=directory)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    directory.chmod(0o640)
    resume(file, "AA-POLICE", like=directory)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_cuts_off_is_read_by_the_service(tmp_path: Path) -> None:
    directory, file = tmp_path / "directory.toml", tmp_path / "suspended.json"
    directory.touch()
    os.chown(directory, 12_345, 23_456)
    suspend(file, "AA-POLICE", "key lost", like=directory)
    assert (file.stat().st_uid, file.stat().st_gid) == (12_345, 23_456)

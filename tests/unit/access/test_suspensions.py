"""Which entities are cut off."""

from __future__ import annotations

import os
import resource
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from likeness.access.directory import MAX_PRINCIPAL
from likeness.access.suspensions import add, note_record, read_suspensions, resume, suspend
from likeness.domain.errors import Denied, InvalidInput


def test_an_entity_is_cut_off_and_let_in_again(tmp_path: Path) -> None:
    file = tmp_path / "suspended.json"
    first = suspend(file, "AA-POLICE", "key lost", by="Jane")
    note_record(file, "AA-POLICE", 7)
    again = suspend(file, "AA-POLICE", "key stolen", by="John")
    assert (again.since, again.by, again.audit) == (first.since, "Jane", 7)
    assert read_suspensions(file.read_bytes(), "f") == {"AA-POLICE": again}
    assert resume(file, "AA-POLICE")
    assert not resume(file, "AA-POLICE")
    assert read_suspensions(file.read_bytes(), "f") == {}


def test_what_another_file_has_is_added_and_none_is_lost(tmp_path: Path) -> None:
    here, other = tmp_path / "suspended.json", tmp_path / "other.json"
    suspend(here, "A", "mine")
    suspend(here, "B", "of its bureau", caller="D")
    for entity in "ABC":
        suspend(other, entity, "of the other")
    rows = read_suspensions(other.read_bytes(), "f")
    assert list(add(here, rows)) == ["C"]
    found = read_suspensions(here.read_bytes(), "f")
    assert [found[entity].reason for entity in "ABC"] == ["mine", "of the other", "of the other"]


def test_the_first_entry_stays_noted_and_none_brings_an_entity_back(tmp_path: Path) -> None:
    file = tmp_path / "suspended.json"
    suspend(file, "AA-POLICE", "key lost")
    for position in (7, 8):
        note_record(file, "AA-POLICE", position)
        note_record(file, "BB-POLICE", position)
    (row,) = read_suspensions(file.read_bytes(), "f").values()
    assert row.audit == 7


def test_what_a_former_release_wrote_is_read(tmp_path: Path) -> None:
    content = b'{"AA-POLICE": {"since": "2026-01-01T00:00:00Z", "reason": "key lost"}}'
    (row,) = read_suspensions(content, "f").values()
    assert (row.by, row.audit) == ("", 0)


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


def test_who_is_cut_off_itself_changes_nothing(tmp_path: Path) -> None:
    file, recorded = tmp_path / "suspended.json", list[object]()

    def record() -> int:
        recorded.append("suspend")
        return 7

    first = suspend(file, "AA-POLICE", "key lost", caller="AA-BORDER", record=record)
    assert first.audit == 7
    before = file.read_bytes()
    for act in (
        lambda: suspend(file, "AA-BORDER", "revenge", caller="AA-POLICE", record=record),
        lambda: resume(file, "AA-POLICE", caller="AA-POLICE", record=recorded.append),
    ):
        with pytest.raises(Denied) as denied:
            act()
        assert denied.value.reason == "ENTITY_SUSPENDED"
    assert (file.read_bytes(), len(recorded)) == (before, 1)


def test_two_that_cut_each_other_off_at_once_do_not_both_succeed(tmp_path: Path) -> None:
    file = tmp_path / "suspended.json"
    pairs = [(f"A{n}", f"B{n}") for n in range(12)]

    def attempt(pair: tuple[str, str]) -> bool:
        entity, caller = pair
        try:
            suspend(file, entity, "", caller=caller)
        except Denied:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        tried = [*pairs, *((caller, entity) for entity, caller in pairs)]
        done = list(pool.map(attempt, tried))
    assert sum(done) == len(pairs)


def test_what_cannot_be_recorded_is_not_done(tmp_path: Path) -> None:
    file = tmp_path / "suspended.json"

    def failing() -> int:
        raise RuntimeError("the disk is full")

    def failing_too(_: bool) -> None:
        failing()

    with pytest.raises(RuntimeError):
        suspend(file, "AA-POLICE", "key lost", record=failing)
    assert not file.exists()
    suspend(file, "AA-POLICE", "key lost")
    before = file.read_bytes()
    with pytest.raises(RuntimeError):
        resume(file, "AA-POLICE", record=failing_too)
    assert file.read_bytes() == before


class Recorded:
    """Counts the acts that were put on record."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> int:
        self.count += 1
        return self.count


def test_what_cannot_be_written_is_not_recorded(tmp_path: Path) -> None:
    file, recorded = tmp_path / "suspended.json", Recorded()
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, usual[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            suspend(file, "AA-POLICE", "key lost", record=recorded)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert recorded.count == 0
    assert not file.exists()


def test_who_has_the_longest_name_that_a_principal_may_have_cuts_off(tmp_path: Path) -> None:
    file = tmp_path / "suspended.json"
    name = "spiffe://hub.test/".ljust(MAX_PRINCIPAL, "a")
    assert suspend(file, "AA-POLICE", "key lost", by=name).by == name


@pytest.mark.parametrize(
    ("entity", "given"),
    [
        ("AA-POLICE", {"by": "x" * (MAX_PRINCIPAL + 1)}),
        ("AA-POLICE", {"reason": "x" * 257}),
        ("no entity", {}),
    ],
)
def test_what_the_file_cannot_hold_is_refused_before_it_is_on_record(
    entity: str, given: dict[str, str], tmp_path: Path
) -> None:
    file, recorded = tmp_path / "suspended.json", Recorded()
    usual = {"reason": "key lost", "record": recorded}
    with pytest.raises(InvalidInput):
        suspend(file, entity, **(usual | given))  # type: ignore[arg-type]
    assert recorded.count == 0
    assert not file.exists()


def test_what_an_operator_cut_off_a_bureau_does_not_let_in(tmp_path: Path) -> None:
    file = tmp_path / "suspended.json"
    own = suspend(file, "AA-POLICE", "key lost", by="operator")
    assert suspend(file, "AA-POLICE", "ours now", by="bureau", caller="AA-BORDER") == own
    with pytest.raises(Denied) as denied:
        resume(file, "AA-POLICE", caller="AA-BORDER")
    assert denied.value.reason == "SUSPENDED_BY_OPERATOR"
    assert read_suspensions(file.read_bytes(), "f") == {"AA-POLICE": own}
    assert resume(file, "AA-POLICE")


def test_an_operator_takes_over_what_a_bureau_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "suspended.json"
    first = suspend(file, "AA-POLICE", "key lost", by="bureau", caller="AA-BORDER", record=lambda: 7)
    taken = suspend(file, "AA-POLICE", "for good", by="operator")
    assert (taken.since, taken.by, taken.reason, taken.audit) == (first.since, "operator", "for good", 0)
    with pytest.raises(Denied):
        resume(file, "AA-POLICE", caller="AA-BORDER")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_locks_in_a_folder_of_the_service_can_be_locked_by_it(tmp_path: Path) -> None:
    os.chown(tmp_path, 12_345, 23_456)
    suspend(tmp_path / "suspended.json", "AA-POLICE", "key lost")
    assert {path.stat().st_uid for path in tmp_path.iterdir()} == {12_345}
    assert len(list(tmp_path.iterdir())) == 2

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from likeness.cli.journal import Journal, JournalEntry, default_path, find_references
from likeness.domain.errors import InvalidInput


def entry(number: int, **fields: object) -> JournalEntry:
    values: dict[str, object] = {
        "key": f"{number:032x}",
        "sha256": f"{number:064x}",
        "path": f"/pictures/{number}.jpg",
        "reference_id": f"reference-{number}",
        "box": (1.0, 2.0, 3.5, 4.0),
    }
    return JournalEntry(**(values | fields))  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.jsonl"


def test_what_was_recorded_is_found_after_reopening(path: Path) -> None:
    with Journal(path) as journal:
        journal.append(entry(1))
        journal.append(entry(2, reference_id="", reason="NO_FACE", message="no face", box=None))
        assert journal.get(entry(1).key) == entry(1)
    with Journal(path) as journal:
        assert len(journal) == 2
        assert journal.get(entry(1).key) == entry(1)
        rejected = journal.get(entry(2).key)
        assert rejected is not None
        assert not rejected.enrolled
        assert rejected.reason == "NO_FACE"
        assert journal.get(entry(3).key) is None


def test_the_last_outcome_of_a_file_counts(path: Path) -> None:
    with Journal(path) as journal:
        journal.append(entry(1, reference_id="", reason="NO_FACE"))
        journal.append(entry(1))
    with Journal(path) as journal:
        assert len(journal) == 1
        assert journal.get(entry(1).key) == entry(1)


def test_a_line_torn_by_a_crash_is_cut_off_and_the_rest_read(path: Path) -> None:
    with Journal(path) as journal:
        journal.append(entry(1))
        journal.append(entry(2))
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    with Journal(path) as journal:
        assert journal.get(entry(1).key) == entry(1)
        assert journal.get(entry(2).key) is None
        assert journal.damaged == 0
        journal.append(entry(3))
    with Journal(path) as journal:
        assert len(journal) == 2
        assert journal.get(entry(3).key) == entry(3)


@pytest.mark.parametrize(
    "line", [b"{}\n", b"not json\n", b"[1]\n", b"\xff\xfe\n", b'{"key":"zz","sha256":"","path":""}\n']
)
def test_a_damaged_line_is_counted_and_does_not_hide_the_others(path: Path, line: bytes) -> None:
    with Journal(path) as journal:
        journal.append(entry(1))
    path.write_bytes(line + path.read_bytes())
    with Journal(path) as journal:
        assert journal.damaged == 1
        assert journal.get(entry(1).key) == entry(1)


def test_two_runs_cannot_write_one_journal(path: Path) -> None:
    with Journal(path), pytest.raises(InvalidInput, match="Another enrolment"):
        Journal(path)


def test_only_its_owner_can_read_it(path: Path) -> None:
    Journal(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_outcomes_reach_the_disk_in_groups(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with Journal(path) as journal:
        for number in range(64):
            journal.append(entry(number))
        assert len(synced) == 1
        assert path.read_bytes().count(b"\n") == 64


def test_the_last_enrolment_is_known(path: Path) -> None:
    with Journal(path) as journal:
        assert journal.last_enrolled() is None
        journal.append(entry(1))
        journal.append(entry(2, reference_id="", reason="NO_FACE"))
        assert journal.last_enrolled() == entry(1)
    with Journal(path) as journal:
        assert journal.last_enrolled() == entry(1)


def test_references_are_found_by_id(path: Path) -> None:
    with Journal(path) as journal:
        for number in range(3):
            journal.append(entry(number))
    assert find_references(path, ["reference-1", "reference-9"]) == {"reference-1": entry(1)}
    assert find_references(path.with_name("none"), ["reference-1"]) == {}


def test_each_server_and_entity_has_its_own_journal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIKENESS_STATE", str(tmp_path))
    assert default_path("[::1]:5", "NCB/X", "face") == tmp_path / "enrolments" / "___1__5-NCB_X-face.jsonl"
    assert len({default_path(s, "X", m) for s in ("a:1", "a:2") for m in ("face", "object")}) == 4

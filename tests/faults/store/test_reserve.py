"""A full disk: searches go on record and references are expunged from the reserve, enrolments are refused.

Twice: on a real disk of 24 MiB, which takes a mount namespace of one's own; and with the operating system's limit
on the size of a file for the disk, where what a removed file gives back is added to the limit.
"""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from likeness.domain.changes import Receipt
from likeness.domain.errors import Exhausted, Unavailable
from likeness.domain.storage import only
from likeness.engine.store_upkeep import StoreUpkeep
from likeness.store.sqlite.database import PAGE_BYTES
from likeness.store.sqlite.files import RESERVE
from likeness.store.store import Store
from tests.faults.store.small_disk import MOUNT_MIB, fill
from tests.unit.store.writes import act, enrol, expunge

ROOT = Path(__file__).parents[3]
RESERVED = 256 * PAGE_BYTES
IN_NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    folder = tmp_path / "data"
    with Store.open(folder, key_file=tmp_path / "key.json", reserve_bytes=RESERVED) as opened:
        yield opened


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """No file can grow beyond 400,000 bytes; a file that is removed adds its size to that."""
    unlink, before = Path.unlink, resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = 400_000

    def freeing(path: Path, *words: bool, **named: bool) -> None:
        size = path.stat().st_size if path.exists() else 0
        unlink(path, *words, **named)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft + size, hard))

    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    monkeypatch.setattr(Path, "unlink", freeing)
    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_acts_go_on_record_and_references_are_expunged_from_the_reserve(
    store: Store, disk: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done, refused = fill(store)
    assert done
    assert isinstance(refused, Exhausted)
    assert refused.reason == "STORAGE_FULL"
    assert store.is_full
    assert not (tmp_path / "data" / RESERVE).exists()
    assert "The disk is full" in caplog.text
    for number in range(20):
        assert store.audit(act(number)).position == number + 1
    assert isinstance(store.write([expunge(done[0])])[0], Receipt)
    assert store.source(done[0]) is None
    again = store.write([enrol(900, reference_id="r900"), expunge(done[1])])
    assert isinstance(again[0], Exhausted)
    assert isinstance(again[1], Receipt)
    assert store.verify(full=True).problems == ()


def test_what_was_enrolled_is_answered_again_also_on_a_full_disk(store: Store, disk: int) -> None:
    write = enrol(1, reference_id="early")
    first = only(store.write([write]))
    fill(store)
    again = only(store.write([write]))
    assert (again.position, again.replayed) == (first.position, True)


def test_without_a_reserve_nothing_goes_on(tmp_path: Path, disk: int) -> None:
    with Store.open(tmp_path / "none", key_file=tmp_path / "key.json") as store:
        _, refused = fill(store)
        assert isinstance(refused, Unavailable)
        assert not store.is_full
        with pytest.raises(Unavailable, match="disk"):
            for number in range(100):
                store.audit(act(number))


def test_the_reserve_is_held_again_once_there_is_room(store: Store, disk: int, tmp_path: Path) -> None:
    fill(store)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (RESERVED - 1, hard))
    assert not store.hold_reserve()  # as on a disk with a quota, which shows when the file is made
    assert not (tmp_path / "data" / f"{RESERVE}.new").exists()
    assert store.is_full
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert store.hold_reserve()
    assert (tmp_path / "data" / RESERVE).stat().st_size == RESERVED
    assert not store.is_full
    assert isinstance(store.write([enrol(1000)])[0], Receipt)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_upkeep_holds_it_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store._opened.reserve.release()
    upkeep = StoreUpkeep(store)
    upkeep.tick()
    assert not store.is_full


def test_a_reserve_of_another_size_is_made_again_and_one_that_is_not_wanted_removed(tmp_path: Path) -> None:
    folder, key = tmp_path / "data", tmp_path / "key.json"
    for size in (RESERVED, 2 * RESERVED, 0):
        with Store.open(folder, key_file=key, reserve_bytes=size) as store:
            assert not store.is_full
            held = folder / RESERVE
            assert (held.stat().st_size if held.exists() else 0) == size


def test_the_reserve_holds_blocks_and_not_a_hole(store: Store, tmp_path: Path) -> None:
    assert (tmp_path / "data" / RESERVE).stat().st_blocks * 512 >= RESERVED


def test_where_nothing_can_be_set_aside_zeros_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "posix_fallocate", refused)
    with Store.open(tmp_path / "data", key_file=tmp_path / "key.json", reserve_bytes=RESERVED + 1) as store:
        assert not store.is_full
    held = (tmp_path / "data" / RESERVE).stat()
    assert held.st_size == RESERVED + 1
    assert held.st_blocks * 512 >= RESERVED


def mountable(folder: Path) -> bool:
    """Whether a disk of one's own can be mounted here."""
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    attempt = [*IN_NAMESPACE, f"mount -t tmpfs none '{folder}'"]
    return subprocess.run(attempt, capture_output=True, check=False).returncode == 0


def test_on_a_real_disk_that_is_full(tmp_path: Path) -> None:
    if not mountable(tmp_path):
        pytest.skip("no mount namespace of one's own")
    mount = f"mount -t tmpfs -o size={MOUNT_MIB}m none '{tmp_path}'"
    work = f"{mount} && exec '{sys.executable}' -m {fill.__module__} '{tmp_path}'"
    environment = {"PYTHONPATH": f"{ROOT / 'services'}:{ROOT}", "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    done = subprocess.run(
        [*IN_NAMESPACE, work], capture_output=True, text=True, check=False, cwd=ROOT, env=environment
    )
    assert (done.returncode, done.stdout.split()) == (
        0,
        ["refused", "recorded", "expunged", "reopened", "enrolled"],
    ), done.stderr

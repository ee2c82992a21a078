"""A disk that is full: callers are informed, nothing is half-written, and work goes on once there is space.

The operating system's own limit on the size of a file stands for the full disk: every write beyond it fails in
the same place, and it can be lifted again.
"""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from likeness.domain.changes import Enrol, Receipt, Write
from likeness.domain.errors import Unavailable
from likeness.domain.storage import only
from likeness.store.sqlite.database import CHECKPOINT_PAGES, PAGE_BYTES
from likeness.store.store import Store
from tests.unit.store.writes import act, enrol, expunge, open_store

SOURCE = bytes(30_000)
LONG_ACT = act(1, value="x" * 1_000_000)


@contextmanager
def full_disk(file_bytes: int) -> Iterator[None]:
    """No file of this process can grow beyond that size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill(store: Store, writes: list[Write]) -> tuple[list[Write], list[Write]]:
    """Write one by one; returns those that were acknowledged and those that were refused."""
    done, refused = [], []
    for write in writes:
        (outcome,) = store.write([write])
        if isinstance(outcome, Receipt):
            done.append(write)
        else:
            assert isinstance(outcome, Unavailable)
            assert "disk" in outcome.message
            assert outcome.reason == "STORAGE_UNAVAILABLE"
            refused.append(write)
    return done, refused


def names(writes: list[Write]) -> list[str]:
    """The reference ids of enrolments."""
    return [w.change.reference.reference_id for w in writes if isinstance(w.change, Enrol)]


@pytest.mark.parametrize("file_bytes", [400_000, 401_000, 404_321])
def test_a_full_write_ahead_log_loses_nothing(tmp_path: Path, file_bytes: int) -> None:
    writes = [enrol(i, source=SOURCE) for i in range(30)]
    with open_store(tmp_path) as store:
        with full_disk(file_bytes):
            done, refused = fill(store, writes)
            assert done
            assert refused
            assert store.head() == len(done)
            assert set(store.get_many(names(writes))) == set(names(done))
            with pytest.raises(Unavailable, match="disk"):
                store.audit(LONG_ACT)
        assert store.audit(LONG_ACT).position == 1
        again, still_refused = fill(store, refused)
        assert (again, still_refused) == (refused, [])
        assert store.verify(full=True).problems == ()
    with open_store(tmp_path) as store:
        assert [e.reference_id for e in store.tail(0)] == names(done) + names(refused)


def test_a_store_that_dies_with_a_full_disk_opens_with_what_it_acknowledged(tmp_path: Path) -> None:
    writes = [enrol(i, source=SOURCE) for i in range(30)]
    with open_store(tmp_path) as store, full_disk(600_000):
        done, refused = fill(store, writes)
        store.close()
        assert refused
    with open_store(tmp_path) as store:
        assert [e.reference_id for e in store.tail(0)] == names(done)
        assert store.verify(full=True).problems == ()


def test_a_database_that_cannot_grow_keeps_what_is_in_the_write_ahead_log(tmp_path: Path) -> None:
    """SQLite copies its log into the file after a commit; where that fails the commit stands all the same."""
    log_bytes = CHECKPOINT_PAGES * PAGE_BYTES
    big = bytes(2_000_000)
    with open_store(tmp_path) as store:
        store.write([enrol(i, source=big) for i in range(8)])
        with full_disk(log_bytes + 6 * PAGE_BYTES):
            writes = [enrol(i, reference_id=f"r{i}", source=big) for i in range(100, 110)]
            done, _ = fill(store, writes)
            assert set(store.get_many(names(writes))) == set(names(done))
        assert only(store.write([enrol(1)])).position == 9 + len(done)
        for name in names(done):
            assert store.source(name) == big
        assert store.verify(full=True).problems == ()


def test_expunging_on_a_full_disk_is_done_or_refused(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.write([enrol(i, reference_id=f"r{i}", source=SOURCE) for i in range(10)])
        with full_disk(1):
            (outcome,) = store.write([expunge("r3")])
            assert isinstance(outcome, Unavailable)
            assert store.source("r3") == SOURCE
        assert only(store.write([expunge("r3")])).position == 11
        assert store.source("r3") is None

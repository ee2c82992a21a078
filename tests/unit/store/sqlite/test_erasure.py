"""An expunged reference leaves the files, not only the tables."""

import random
from pathlib import Path

import pytest

from likeness.domain.storage import only
from likeness.store.chain import Head
from likeness.store.store import Store
from likeness.store.witness import Heads
from tests.unit.store.writes import enrol, expunge, open_store, tampering, update
from tests.waiting import eventually

PIECE = 24
"""Bytes of a sealed blob that cannot occur twice by chance."""


def wait_until_truncated(folder: Path) -> None:
    """The writer truncates the write-ahead log when it has nothing else to do."""
    log = folder / "data" / "likeness.db-wal"
    eventually(lambda: log.stat().st_size == 0)


def sealed_blobs(folder: Path) -> dict[str, list[bytes]]:
    """Everything sealed about each reference, as it lies in the tables."""
    blobs: dict[str, list[bytes]] = {}
    with tampering(folder) as database:
        for table in ("template", "subject", "source"):
            query = f"SELECT reference_id, body FROM reference JOIN {table} USING (key)"  # noqa: S608
            for name, body in database.execute(query):
                blobs.setdefault(name, []).append(body)
        for name, quality in database.execute("SELECT reference_id, quality FROM reference"):
            blobs[name].append(quality)
    return blobs


def test_what_was_expunged_is_nowhere_in_the_files(tmp_path: Path) -> None:
    rng = random.Random(5)
    with open_store(tmp_path) as store:
        store.write(
            [
                enrol(i, reference_id=f"r{i}", source=rng.randbytes(rng.choice((40, 900, 9_000, 40_000))))
                for i in range(120)
            ]
        )
        store.write([update(store.get(f"r{i}")) for i in range(0, 120, 3)])
    blobs = sealed_blobs(tmp_path)
    gone = [f"r{i}" for i in rng.sample(range(120), 70)]
    with open_store(tmp_path) as store:
        for start in range(0, 70, 10):
            store.write([expunge(name) for name in gone[start : start + 10]])
        wait_until_truncated(tmp_path)
        stored = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
        for name, bodies in blobs.items():
            for body in bodies:
                middle = len(body) // 2
                present = [body[at : at + PIECE] in stored for at in (21, middle, len(body) - 2 * PIECE)]
                assert any(present) is (name not in gone), name


def test_reading_meanwhile_only_delays_the_truncation(store: Store, tmp_path: Path) -> None:
    store.write([enrol(1, reference_id="a"), enrol(2, reference_id="b")])
    with tampering(tmp_path) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM reference").fetchone() == (2,)
        store.write([expunge("a")])
        store.write([enrol(3)])
        assert (tmp_path / "data" / "likeness.db-wal").stat().st_size > 0
    wait_until_truncated(tmp_path)
    assert store.head() == 4


def test_an_interrupt_just_after_a_commit_loses_neither_the_heads_nor_the_erasure(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write([enrol(1, reference_id="a")])
    calls: list[Head] = []

    def interrupted(log: Head, audit: Head) -> Heads:
        calls.append(log)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return Heads(log, audit)

    monkeypatch.setattr("likeness.store.writer.Heads", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.write([expunge("a")])
    wait_until_truncated(tmp_path)
    assert only(store.write([enrol(2)])).position == 3
    assert store.verify(full=True).problems == ()

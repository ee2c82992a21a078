"""What an older key sealed is sealed under the current one, and the older key is needed no more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from likeness.domain.changes import Write
from likeness.domain.errors import Conflict, LikenessError, NotFound, Unavailable, WrongKey
from likeness.domain.storage import ResealReport, only
from likeness.store import reseal as resealing
from likeness.store.reseal import KeyLoad, key_loads
from likeness.store.sealing import place
from likeness.store.store import Store
from likeness.store.vault import KeyRing
from tests.unit.store.writes import (
    act,
    enrol,
    expunge,
    open_store,
    tampering,
    template,
    template_bytes,
    update,
)
from tests.waiting import PATIENCE, eventually

NAMES = tuple(f"r{i}" for i in range(8))


@pytest.fixture
def rotated(tmp_path: Path) -> Path:
    """The folder of a closed store with everything that is sealed, written under one key, and a ring of two."""
    with open_store(tmp_path) as store:
        store.write([enrol(i, reference_id=f"r{i}", source=b"source " * (i + 1)) for i in range(8)])
        store.write([update(store.get("r1")), expunge("r2")])
        store.audit(act(1))
    KeyRing.rotate(tmp_path / "key.json")
    return tmp_path


def without_old_keys(folder: Path) -> None:
    """The ring as somebody leaves it who takes the old keys out."""
    content = json.loads((folder / "key.json").read_text())
    content["keys"] = {content["active"]: content["keys"][content["active"]]}
    (folder / "key.json").write_text(json.dumps(content))


def loads(store: Store) -> dict[str, KeyLoad]:
    return key_loads(store._backend, store._reading)


def chains(folder: Path) -> list[tuple[object, ...]]:
    with tampering(folder) as database:
        return [*database.execute("SELECT * FROM log"), *database.execute("SELECT * FROM audit")]


def everything(folder: Path) -> list[tuple[object, ...]]:
    """All that is stored of the references."""
    with tampering(folder) as database:
        return [
            row
            for table in ("reference", "template", "subject", "source")
            for row in database.execute(f"SELECT * FROM {table} ORDER BY key")  # noqa: S608
        ]


def assert_whole(store: Store) -> None:
    """Everything that was enrolled opens, and nothing that was expunged does."""
    assert store.verify(full=True).problems == ()
    for number, name in enumerate(NAMES):
        if name == "r2":
            assert store.expunge_reason("r2") == "court order"
            assert (store.templates(["r2"]), store.source("r2")) == ({}, None)
            continue
        assert store.get(name).subject_id == f"subject-{number}"
        assert store.get(name).quality.unified == 81.5
        assert template_bytes(store.templates([name])[name]) == template(number).to_bytes()
        assert store.source(name) == b"source " * (number + 1)
    assert len(store.tail(0)) == store.head()
    assert store.audit_entries()[0].entry.caller.case_reference == "case-1"


def test_after_it_the_store_opens_and_reads_everything_without_the_old_key(rotated: Path) -> None:
    before = chains(rotated)
    with open_store(rotated) as store:
        assert store.old_keys()
        steps: list[int] = []
        report = store.reseal(step=steps.append)
        assert (report.references, report.finished) == (8, True)
        assert sum(steps) == 8
        assert store.old_keys() == frozenset()
        assert loads(store).keys() == {store.active_key}
        assert_whole(store)
    assert chains(rotated) == before
    without_old_keys(rotated)
    with open_store(rotated) as store:
        assert_whole(store)
        assert store.verify_audit().ok
        assert only(store.write([enrol(9)])).position == len(before)


def test_a_request_is_known_again_when_its_key_is_gone(tmp_path: Path) -> None:
    write = enrol(1, request_id="request-1")
    with open_store(tmp_path) as store:
        first = only(store.write([write]))
    for _ in range(2):
        KeyRing.rotate(tmp_path / "key.json")
        with open_store(tmp_path) as store:
            assert store.reseal().finished
        without_old_keys(tmp_path)
        with open_store(tmp_path) as store:
            assert only(store.write([write])) == replace(first, replayed=True)
            other = Write(replace(write.key, digest=bytes(32)), write.change)
            with pytest.raises(Conflict):
                only(store.write([other]))


def test_without_it_the_old_key_cannot_be_left_out(rotated: Path) -> None:
    open_store(rotated).close()
    without_old_keys(rotated)
    with pytest.raises(WrongKey, match="put back the key file"):
        open_store(rotated)


def test_a_second_run_changes_nothing(rotated: Path) -> None:
    with open_store(rotated) as store:
        store.reseal()
    first = everything(rotated)
    with open_store(rotated) as store:
        assert store.reseal() == ResealReport(0, [], finished=True)
    assert everything(rotated) == first


def test_positions_and_times_of_references_stay(rotated: Path) -> None:
    with open_store(rotated) as store:
        before = store.get_many(NAMES)
        store.reseal()
        assert store.get_many(NAMES) == before


def test_the_bytes_that_the_old_key_sealed_leave_the_files(rotated: Path) -> None:
    with tampering(rotated) as database:
        old = [body for (body,) in database.execute("SELECT body FROM template")]
    with open_store(rotated) as store:
        store.reseal()
        eventually(lambda: store._writer._erase_at is None)
        stored = b"".join(path.read_bytes() for path in (rotated / "data").iterdir())
    assert not any(body[-40:] in stored for body in old)


def test_a_run_that_is_stopped_is_gone_on_with(rotated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resealing, "BATCH_ROWS", 2)
    stop = threading.Event()
    with open_store(rotated) as store:
        report = store.reseal(stop=stop, step=lambda count: stop.set() if count else None)
        assert (report.references, report.finished) == (2, False)
        assert store.old_keys()
        assert_whole(store)
        left = sum(load.references for key, load in loads(store).items() if key != store.active_key)
        assert left == 6
    with open_store(rotated) as store:
        assert store.reseal().references == 6
        assert_whole(store)


KILLED = """
import os, signal, sys
from pathlib import Path
from likeness.store import reseal
from tests.unit.store.writes import open_store

reseal.BATCH_ROWS = 1
left = int(sys.argv[2])

def die(count):
    global left
    left -= count
    if left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)

with open_store(Path(sys.argv[1])) as store:
    store.reseal(step=die)
"""


def test_a_run_that_is_killed_leaves_a_whole_store_and_is_gone_on_with(rotated: Path) -> None:
    for references in (1, 3):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(rotated), str(references)],
            check=False,
            timeout=PATIENCE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert done.returncode == -signal.SIGKILL
    with open_store(rotated) as store:
        assert_whole(store)
        # The first run sealed one; the second counted that one and sealed two more.
        assert store.reseal().references == 5
    without_old_keys(rotated)
    with open_store(rotated) as store:
        assert_whole(store)


def test_what_is_read_and_written_meanwhile_is_right(rotated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resealing, "BATCH_ROWS", 1)
    with open_store(rotated) as store:
        turn = iter(("update", "expunge", "enrol", "read", "read", "read", "read", "read"))

        def meanwhile(count: int) -> None:
            what = next(turn, "read") if count else ""
            if what == "update":
                store.write([update(store.get("r7"))])
            elif what == "expunge":
                store.write([expunge("r6")])
            elif what == "enrol":
                store.write([enrol(20, reference_id="r20")])
            elif what == "read":
                assert store.verify(full=True).problems == ()
                assert len(store.templates(NAMES)) == 6

        store.reseal(step=meanwhile)
        assert store.templates(["r6"]) == {}
        with pytest.raises(NotFound):
            only(store.write([expunge("r6")]))
    without_old_keys(rotated)
    with open_store(rotated) as store:
        assert store.verify(full=True).problems == ()
        assert store.get("r20").subject_id == "subject-20"


def test_a_row_that_is_damaged_stays_as_it_is_and_keeps_the_old_key_in_use(rotated: Path) -> None:
    with tampering(rotated) as database:
        (body,) = database.execute("SELECT body FROM template WHERE key = 4").fetchone()
        changed = bytes((*body[:-30], body[-30] ^ 1, *body[-29:]))
        database.execute("UPDATE template SET body = ? WHERE key = 4", (changed,))
    with open_store(rotated) as store:
        report = store.reseal()
        assert (report.references, report.finished) == (7, True)
        assert len(report.problems) == 1
        assert "r3" in report.problems[0]
        assert store.old_keys()
        assert store.get("r4").subject_id == "subject-4"
    with tampering(rotated) as database:
        assert database.execute("SELECT body FROM template WHERE key = 4").fetchone() == (changed,)


def test_the_next_rotation_takes_what_is_left_of_retired_keys_along(rotated: Path) -> None:
    for _ in range(3):
        with open_store(rotated) as store:
            store.audit(act(2))
            store.write([update(store.get("r1"))])
            store.reseal()
        without_old_keys(rotated)
        with open_store(rotated) as store:
            assert_whole(store)
        KeyRing.rotate(rotated / "key.json")


def test_two_old_keys_are_retired_at_once(rotated: Path) -> None:
    with open_store(rotated) as store:
        store.write([update(store.get("r1"))])
    KeyRing.rotate(rotated / "key.json")
    with open_store(rotated) as store:
        assert len(store.old_keys()) == 2
        store.reseal()
        assert store.old_keys() == frozenset()
    without_old_keys(rotated)
    with open_store(rotated) as store:
        assert_whole(store)


def test_an_old_copy_of_the_database_does_not_open_with_what_is_left_of_a_key(rotated: Path) -> None:
    """The subkeys that stay open the log and the audit, no template, subject or source."""
    with tampering(rotated) as database:
        (body,) = database.execute("SELECT body FROM template WHERE key = 4").fetchone()
    with open_store(rotated) as store:
        store.reseal()
    without_old_keys(rotated)
    with open_store(rotated) as store, pytest.raises(WrongKey):
        store._seals.templates.unseal(body, aad=place("template", "r3"))


def test_the_closing_of_the_store_ends_it(rotated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resealing, "BATCH_ROWS", 1)
    store = open_store(rotated)
    with pytest.raises(Unavailable):
        store.reseal(step=lambda count: store.close() if count else None)
    with open_store(rotated) as again:
        assert_whole(again)


def test_a_failing_transaction_is_taken_back(rotated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(rotated) as store:
        with monkeypatch.context() as patched:
            fails = sa.text("INSERT INTO nowhere VALUES (1)")
            patched.setattr(
                resealing, "_UPDATE_BODY", dict.fromkeys(("template", "subject", "source"), fails)
            )
            with pytest.raises(LikenessError):
                store.reseal()
        assert_whole(store)
        assert store.reseal().references == 8
        assert_whole(store)

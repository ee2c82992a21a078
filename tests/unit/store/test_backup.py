"""Backups of a store that is written to meanwhile, and stores restored from them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from likeness.domain.audit import AuditMark
from likeness.domain.errors import Conflict, Corrupt, LikenessError, NotFound, Precondition, WrongKey
from likeness.domain.references import Status
from likeness.store.backup import check_backup, make_backup
from likeness.store.backup_manifest import MANIFEST, BackupManifest
from likeness.store.backup_record import last_backup, record_backup
from likeness.store.choice import backend_of
from likeness.store.places import RESTORING
from likeness.store.restore import expunge_again, expunged_since, restore_backup
from likeness.store.store import Store
from likeness.store.vault import KeyRing
from tests.unit.store.writes import (
    act,
    audit_end,
    enrol,
    expunge,
    open_store,
    tampering,
    template,
    template_bytes,
    update,
)
from tests.waiting import PATIENCE


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of a closed store with everything in it."""
    with open_store(tmp_path) as store:
        store.write(
            [enrol(i, reference_id=f"r{i}", owner=("FR", "DE")[i % 2], source=b"s") for i in range(6)]
        )
        store.write([expunge("r5"), update(store.get("r1"))])
        store.audit(act(1))
    return tmp_path


def ring(folder: Path) -> KeyRing:
    return KeyRing.load(folder / "key.json")


def back_up(folder: Path, name: str = "backup", step: Callable[[int, int], None] = lambda *_: None) -> Path:
    make_backup(backend_of, folder / "data", folder / name, ring(folder), release="test", step=step)
    return folder / name


def restore(
    folder: Path, backup: Path, *, since: Path | None = None, expected: AuditMark | None = None
) -> BackupManifest:
    """Into the home "restored" of the folder."""

    def finish(staging: Path, manifest: BackupManifest) -> None:
        with Store.open(staging, key_file=folder / "key.json") as store:
            if since is not None:
                expunge_again(store, expunged_since(backend_of, since, manifest, ring(folder), expected))

    return restore_backup(backend_of, backup, folder / "restored", ring(folder), finish)


def restored(folder: Path) -> Store:
    return Store.open(folder / "restored", key_file=folder / "key.json")


def test_what_was_backed_up_is_restored(home: Path) -> None:
    backup = back_up(home)
    assert not [path for path in backup.rglob("*") if path.stat().st_mode & 0o077]
    manifest = restore(home, backup)
    with restored(home) as store, open_store(home) as original:
        assert (store.head(), manifest.log) == (original.head(), original.head())
        assert store.audit_head() == original.audit_head()
        assert store.verify(full=True).problems == ()
        for number in range(5):
            assert (
                template_bytes(store.templates([f"r{number}"])[f"r{number}"]) == template(number).to_bytes()
            )
            assert store.source(f"r{number}") == b"s"
        assert store.get("r5").facets.status is Status.EXPUNGED
        store.write([enrol(9)])
    assert not (home / "restored" / RESTORING).exists()


def test_a_backup_is_of_one_instant_while_others_write(home: Path) -> None:
    """The writer goes on while pages are copied, and nothing of what it writes is in the copy."""
    written = threading.Event()

    def step(_done: int, _total: int) -> None:
        assert written.wait(PATIENCE)

    with open_store(home) as store:
        before = store.head()

        def write() -> None:
            try:
                for number in range(200):
                    store.write([enrol(number)])
            finally:
                written.set()

        writer = threading.Thread(target=write)

        def begin(done: int, total: int) -> None:
            if not writer.ident:
                writer.start()
            step(done, total)

        backup = back_up(home, step=begin)
        writer.join()
        assert store.head() == before + 200
    assert BackupManifest.read(backup, ring(home)).log == before
    restore(home, backup)
    with restored(home) as copy:
        assert copy.verify(full=True).problems == ()
        assert copy.head() == before


def test_nothing_is_written_over(home: Path) -> None:
    backup = back_up(home)
    with pytest.raises(Conflict, match="exists already"):
        back_up(home)
    restore(home, backup)
    with pytest.raises(Conflict, match="has a store"):
        restore(home, backup)


@pytest.mark.parametrize("remnant", ["likeness.head", "likeness.db-wal", "snapshots/face/1.json"])
def test_what_is_left_of_a_lost_store_is_not_mixed_with_a_backup(home: Path, remnant: str) -> None:
    backup = back_up(home)
    path = home / "restored" / remnant
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    with pytest.raises(Conflict, match="what is left"):
        restore(home, backup)


def test_there_must_be_a_store_to_back_up(tmp_path: Path) -> None:
    KeyRing.create(tmp_path / "key.json")
    with pytest.raises(NotFound, match="no store"):
        back_up(tmp_path)
    assert not list(tmp_path.glob("*backup*"))


def test_a_changed_byte_is_found_wherever_it_is(home: Path) -> None:
    backup = back_up(home)
    files = [path for path in sorted(backup.rglob("*")) if path.is_file()]
    assert len(files) >= 3
    for path in files:
        original = path.read_bytes()
        for place in range(0, len(original), max(1, len(original) // 7)):
            changed = bytearray(original)
            changed[place] ^= 1
            path.write_bytes(changed)
            with pytest.raises(LikenessError) as refusal:
                restore(home, backup)
            assert isinstance(refusal.value, Corrupt), (path, place)
            assert not (home / "restored").exists() or not list((home / "restored").glob("*.db"))
        path.write_bytes(original)
    restore(home, backup)


def test_a_file_more_or_less_is_found(home: Path) -> None:
    backup = back_up(home)
    (backup / "likeness.db-wal").write_bytes(b"frames of somebody else")
    with pytest.raises(Corrupt, match="missing, or was added"):
        check_backup(backend_of, backup, ring(home))
    (backup / "likeness.db-wal").unlink()
    check_backup(backend_of, backup, ring(home))
    (backup / "likeness.head").unlink()
    with pytest.raises(Corrupt, match="missing, or was added"):
        check_backup(backend_of, backup, ring(home))


def test_a_manifest_leads_nowhere_outside_its_folder(home: Path) -> None:
    backup = back_up(home)
    content = json.loads((backup / MANIFEST).read_text())["manifest"]
    with pytest.raises(Corrupt, match="was changed"):
        BackupManifest._parse({**content, "files": {"../key.json": {"bytes": 1, "sha256": ""}}}, backup)


def test_another_ring_opens_nothing(home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    backup = back_up(home)
    other = KeyRing.create(tmp_path_factory.mktemp("other") / "ring.json")
    with pytest.raises(WrongKey, match="put back the key file"):
        check_backup(backend_of, backup, other)


def test_with_a_ring_that_was_rotated_since_it_is_restored(home: Path) -> None:
    backup = back_up(home)
    KeyRing.rotate(home / "key.json")
    restore(home, backup)
    with restored(home) as store:
        assert store.verify(full=True).problems == ()


def test_of_an_owner_that_left_since_nothing_is_restored(home: Path) -> None:
    backup = back_up(home)
    assert KeyRing.erase_owner(home / "key.json", "FR")
    restore(home, backup)
    with restored(home) as store:
        assert {store.get(f"r{i}").facets.status for i in (0, 2, 4)} == {Status.EXPUNGED}
        assert store.get("r3").facets.status is Status.ACTIVE
        assert store.verify(full=True).problems == ()


def test_what_was_expunged_since_is_expunged_again(home: Path) -> None:
    backup = back_up(home)
    with open_store(home) as store:
        store.write([expunge("r0"), enrol(8, reference_id="new")])
        store.write([expunge("new")])
    restore(home, backup, since=home / "data")
    with restored(home) as store:
        assert store.get("r0").facets.status is Status.EXPUNGED
        assert "backup" in store.expunge_reason("r0")
        assert store.audit_entries(store.audit_head().position - 1)[0].entry.rpc == "Expunge"
        assert store.get("r1").facets.status is Status.ACTIVE


def hide_expungement(home: Path) -> None:
    with tampering(home) as database:
        database.execute("DELETE FROM log WHERE kind = 'expunge' AND reference_id = 'r0'")


def hide_expungement_and_renumber(home: Path) -> None:
    hide_expungement(home)
    with tampering(home) as database:
        database.execute(
            "UPDATE log SET position = position - 1 WHERE kind = 'enrol' AND reference_id = 'new'"
        )


def hide_expungement_and_witness(home: Path) -> None:
    with tampering(home) as database:
        database.execute("DELETE FROM log WHERE position >= 9")
    (home / "data" / "likeness.head").unlink()


def rename_expungement(home: Path) -> None:
    with tampering(home) as database:
        database.execute("UPDATE log SET reference_id = 'x' WHERE kind = 'expunge' AND reference_id = 'r0'")


@pytest.mark.parametrize(
    "hide",
    [
        hide_expungement,
        hide_expungement_and_renumber,
        hide_expungement_and_witness,
        rename_expungement,
    ],
)
def test_a_log_that_was_changed_does_not_say_what_was_expunged(
    home: Path, hide: Callable[[Path], None]
) -> None:
    """No key is needed to take an expungement out, and what it erased must not come back in silence."""
    backup = back_up(home)
    with open_store(home) as store:
        assert store.head() == 8
        store.write([expunge("r0"), enrol(8, reference_id="new")])
    hide(home)
    with pytest.raises(Corrupt, match=r"cannot be learnt from .*--expunged"):
        restore(home, backup, since=home / "data")
    assert not list((home / "restored").glob("*.db"))


def test_an_older_copy_of_the_whole_home_is_known_by_the_entry_that_is_expected(home: Path) -> None:
    backup = back_up(home)
    shutil.copytree(home / "data", home / "older")
    with open_store(home) as store:
        store.write([replace(expunge("r0"), audit=act(2))])
    expected = audit_end(home)
    with pytest.raises(Corrupt, match="--expunged") as refusal:
        restore(home, backup, since=home / "older", expected=expected)
    assert refusal.value.reason == "AUDIT_HEAD_MISSING"
    restore(home, backup, since=home / "data", expected=expected)
    with restored(home) as store:
        assert store.get("r0").facets.status is Status.EXPUNGED


def test_another_store_does_not_say_what_was_expunged(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    backup = back_up(home)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with open_store(elsewhere) as store:
        store.write([enrol(i, reference_id=f"r{i}") for i in range(9)])
        for number in range(9):
            store.audit(act(number))
        store.write([expunge("r0")])
    with pytest.raises(Corrupt, match="another store"):
        restore(home, backup, since=elsewhere / "data")
    with pytest.raises(Precondition, match="no store"):
        restore(home, backup, since=home / "nowhere")
    restore(home, backup)  # what was refused left nothing in the way


KILLED = """
import os, signal, sys
from pathlib import Path
from likeness.store import backup, backup_manifest, restore
from likeness.store.choice import backend_of
from likeness.store.store import Store
from likeness.store.vault import KeyRing

folder, kind, at = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
seen = 0

def die(event, arguments):
    global seen
    if event in ("os.rename", "os.mkdir", "open", "os.remove") and str(folder) in str(arguments[0]):
        if event != "open" or (len(arguments) > 2 and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            seen += 1
            if seen == at:
                os.kill(os.getpid(), signal.SIGKILL)

def finish(staging, manifest):
    Store.open(staging, key_file=folder / "key.json").close()

ring = KeyRing.load(folder / "key.json")
sys.addaudithook(die)
if kind == "backup":
    backup.make_backup(backend_of, folder / "data", folder / "killed", ring, release="test")
else:
    restore.restore_backup(backend_of, folder / "backup", folder / "restored", ring, finish)
print(seen)
"""


def killed(folder: Path, kind: str, at: int) -> bool:
    """Whether it was killed at the so-manieth change of the disk, rather than done before."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), kind, str(at)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
def test_a_backup_that_was_killed_is_none_and_the_next_one_is_whole(home: Path, at: int) -> None:
    if killed(home, "backup", at):
        assert not (home / "killed").exists()
        with pytest.raises(NotFound, match="never finished"):
            check_backup(backend_of, home / ".killed.partial", ring(home))
        assert not killed(home, "backup", 0)
    check_backup(backend_of, home / "killed", ring(home))
    assert not (home / ".killed.partial").exists()


@pytest.mark.parametrize("at", [3, 6, 9, 12, 15, 18])
def test_a_restore_that_was_killed_is_served_by_nobody_and_the_next_one_is_whole(home: Path, at: int) -> None:
    back_up(home)
    if killed(home, "restore", at) and not (home / "restored" / "likeness.db").exists():
        if (home / "restored" / RESTORING).exists():
            with pytest.raises(Corrupt, match="run `likeness restore` again"):
                restored(home)
        restore(home, home / "backup")
    with restored(home) as store:
        assert store.verify(full=True).problems == ()
        assert store.count("face") == 5


def test_the_record_of_the_last_backup(home: Path) -> None:
    assert last_backup(home / "data") is None
    manifest = BackupManifest.read(back_up(home), ring(home))
    record_backup(home / "data", manifest)
    assert last_backup(home / "data") == manifest.created
    with open_store(home) as store:
        assert store.verify(full=True).problems == ()
    (home / "data" / "likeness.backup").write_bytes(b"{")
    assert last_backup(home / "data") is None

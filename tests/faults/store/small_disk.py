"""Fill the disk of a folder with enrolments, and say what still goes on. `test_reserve.py` runs it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from likeness.domain.changes import Receipt
from likeness.domain.errors import LikenessError
from likeness.store.store import Store
from tests.unit.store.writes import act, enrol, expunge

MOUNT_MIB = 24
RESERVED = 6 << 20
SOURCE = bytes(30_000)
MOST = 5000
"""Enrolments that are tried before the disk is given up as endless."""


def fill(store: Store) -> tuple[list[str], LikenessError]:
    """Enrol one by one until it is refused; the references that were acknowledged, and the refusal."""
    done = list[str]()
    for number in range(MOST):
        (outcome,) = store.write([enrol(number, reference_id=f"f{number}", source=SOURCE)])
        if not isinstance(outcome, Receipt):
            return done, outcome
        done.append(f"f{number}")
    raise AssertionError("the disk is not full yet")


def recorded(store: Store, count: int) -> None:
    """Put acts on record."""
    for number in range(count):
        store.audit(act(number))


def main(folder: Path) -> None:
    """Walk through a full disk, printing each step that succeeded."""

    def opened() -> Store:
        return Store.open(folder / "data", key_file=folder / "key.json", reserve_bytes=RESERVED)

    ballast = folder / "ballast"
    with opened() as store:
        assert not store.is_full
        done, refused = fill(store)
        assert refused.reason == "STORAGE_FULL", refused
        print("refused")
        recorded(store, 300)
        print("recorded")
        for name in done[:50]:
            (outcome,) = store.write([expunge(name)])
            assert isinstance(outcome, Receipt), outcome
        print("expunged")
        assert not store.hold_reserve()
    ballast.write_bytes(bytes(max(0, shutil.disk_usage(folder).free - (2 << 20))))
    with opened() as store:
        assert store.is_full
        recorded(store, 10)
        assert store.verify(full=True).problems == ()
        print("reopened")
        for name in done[50:]:
            store.write([expunge(name)])
        ballast.unlink()
        assert shutil.disk_usage(folder).free >= 2 * RESERVED
        assert store.hold_reserve()
        (outcome,) = store.write([enrol(1)])
        assert isinstance(outcome, Receipt), outcome
        print("enrolled")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Which key a store's audit is signed with is on record in the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from likeness.domain.errors import Corrupt
from likeness.store.vault import KeyRing
from likeness.transparency.note import Signer
from tests.unit.store.writes import open_store, tampering

KEY = str(Signer.generate("hub.example/audit").verifier)


def test_it_stays_until_another_is_put_in_its_place(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        assert store.signer_on_record() == ""
        store.record_signer(KEY)
    with open_store(tmp_path) as store:
        assert store.signer_on_record() == KEY
        other = str(Signer.generate("hub.example/audit").verifier)
        store.record_signer(other)
        assert store.signer_on_record() == other


def test_it_outlives_the_key_that_sealed_it(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.record_signer(KEY)
        former = store.active_key
    KeyRing.rotate(tmp_path / "key.json")
    with open_store(tmp_path) as store:
        assert store.reseal().finished
    KeyRing.remove(tmp_path / "key.json", former)
    with open_store(tmp_path) as store:
        assert store.signer_on_record() == KEY


@pytest.mark.parametrize(
    "value", ["CAST(substr(value, 1, length(value) - 1) || x'40' AS BLOB)", "x''", "'text'", "zeroblob(40)"]
)
def test_a_record_that_was_changed_is_refused(tmp_path: Path, value: str) -> None:
    with open_store(tmp_path) as store:
        store.record_signer(KEY)
    with tampering(tmp_path) as database:
        database.execute(f"UPDATE meta SET value = {value} WHERE name = 'signer'")  # noqa: S608
    with open_store(tmp_path) as store, pytest.raises(Corrupt, match="signing key"):
        store.signer_on_record()

"""An owner's exit: nothing of it opens any more, in whatever copy of the data, and everything else does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from likeness.domain.changes import Write
from likeness.domain.errors import Corrupt, LikenessError, Precondition, Unavailable, WrongKey
from likeness.domain.references import Facets, Status
from likeness.domain.storage import Outcome, only
from likeness.store import exits
from likeness.store.owner_vault import OwnerVault, SnapshotVault
from likeness.store.sealing import Seals, place
from likeness.store.store import Store
from likeness.store.vault import KeyRing, KeyUse
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


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """The folder of a closed store of two owners."""
    with open_store(tmp_path) as store:
        store.write([enrol(i, reference_id=f"fr{i}", owner="FR", source=b"source") for i in range(3)])
        store.write([enrol(i, reference_id=f"de{i}", owner="DE", source=b"source") for i in range(3)])
        store.write([expunge("fr2"), update(store.get("de1"))])
        store.audit(act(1))
    return tmp_path


@pytest.fixture
def backup(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the whole home, and no key ring."""
    folder = tmp_path_factory.mktemp("backup")
    shutil.copytree(shared / "data", folder / "data")
    return folder


def leave(folder: Path, owner: str = "FR") -> None:
    assert KeyRing.erase_owner(folder / "key.json", owner)


def sealed(folder: Path) -> list[tuple[str, str, str, bytes]]:
    """Owner, reference, what and sealed bytes of everything that belongs to an owner."""
    query = (
        "SELECT r.owner, r.reference_id, '{0}', t.body FROM reference r JOIN {0} t ON t.key = r.key "
        "WHERE r.status <> 'expunged'"
    )
    with tampering(folder) as database:
        found = [
            row for name in ("template", "subject", "source") for row in database.execute(query.format(name))
        ]
        quality = "SELECT owner, reference_id, 'quality', quality FROM reference WHERE status <> 'expunged'"
        reason = "SELECT owner, reference_id, 'reason', reason FROM reference WHERE status = 'expunged'"
        return found + list(database.execute(quality)) + list(database.execute(reason))


def opens(ring: KeyRing, row: tuple[str, str, str, bytes]) -> bool:
    _, name, what, blob = row
    uses = {"template": KeyUse.TEMPLATES, "source": KeyUse.SOURCES}
    aad = place("reference", name, what) if what in ("quality", "reason") else place(what, name)
    try:
        OwnerVault(ring, uses.get(what, KeyUse.SUBJECTS)).unseal(blob, aad=aad)
    except WrongKey:
        return False
    return True


def test_a_backup_from_before_an_exit_cannot_be_read_with_the_ring_of_afterwards(
    shared: Path, backup: Path
) -> None:
    before = KeyRing.load(shared / "key.json")
    leave(shared)
    after = KeyRing.load(shared / "key.json")
    rows = sealed(backup)
    assert {row[0] for row in rows} == {"FR", "DE"}
    assert {row[2] for row in rows} == {"template", "subject", "source", "quality", "reason"}
    for row in rows:
        assert opens(before, row)
        assert opens(after, row) == (row[0] == "DE"), row[:3]


def test_no_key_of_the_ring_opens_it_by_another_way(shared: Path, backup: Path) -> None:
    """No key that is derived from the ring's own keys, for whatever use, is the one that sealed it."""
    leave(shared)
    ring = KeyRing.load(shared / "key.json")
    rows = [row for row in sealed(backup) if row[0] == "FR"]
    relabelled = [
        b"\x01" + row[3][1:9] + row[3][17:] for row in rows
    ]  # as if the ring's own key had sealed it
    for use in KeyUse:
        for row, blob in zip(rows, relabelled, strict=True):
            with pytest.raises(Corrupt):
                ring.vault(use).unseal(blob, aad=place(row[2], row[1]))


def test_the_store_follows_as_it_is_opened_and_puts_it_on_record(shared: Path) -> None:
    leave(shared)
    with open_store(shared) as store:
        (exit_,) = store.exits
        assert (exit_.owner, exit_.references, exit_.log_position) == ("FR", 2, store.head())
        assert {store.get(f"fr{i}").facets.status for i in range(3)} == {Status.EXPUNGED}
        assert store.expunge_reason("fr0") == "its owner has left"
        with pytest.raises(WrongKey) as erased:  # given before
            store.expunge_reason("fr2")
        assert erased.value.reason == "OWNER_KEY_ERASED"
        assert store.templates(["fr0", "fr1"]) == {}
        assert template_bytes(store.templates(["de2"])["de2"]) == template(2).to_bytes()
        assert store.verify(full=True).problems == ()
        *expungements, whole = [record.entry for record in store.audit_entries()][-3:]
        assert [entry.details["reference_id"] for entry in expungements] == ["fr0", "fr1"]
        assert (whole.rpc, whole.details["owner"], whole.details["references"]) == ("ExpungeOwner", "FR", 2)
        assert store.audit_head().position == exit_.audit.position
    with open_store(shared) as store:
        assert store.exits == ()


def test_a_reason_given_before_an_exit_opens_no_more_and_holds_no_key_in_use(shared: Path) -> None:
    with open_store(shared) as store:
        store.write([expunge("de0", reason="acquitted")])
    leave(shared)
    open_store(shared).close()
    KeyRing.rotate(shared / "key.json")
    with open_store(shared) as store:
        report = store.reseal()
        assert (report.problems, report.finished, store.old_keys()) == ([], True, frozenset())
    ring = KeyRing.load(shared / "key.json")
    for key_id in ring.ids - {ring.active}:
        KeyRing.remove(shared / "key.json", key_id)
    with open_store(shared) as store:
        assert store.expunge_reason("fr2") == store.expunge_reason("fr0") == "its owner has left"
        assert store.expunge_reason("de0") == "acquitted"
        assert store.verify(full=True).problems == ()


def test_a_reason_given_when_its_owner_has_left_is_that(shared: Path) -> None:
    """Under the store's key nothing of it is stored that it did not leave under its own."""
    leave(shared)
    seals = Seals(KeyRing.load(shared / "key.json"))
    aad = place("reference", "fr0", "reason")
    assert (
        seals.reasons.unseal(seals.seal_reason("FR", "court order", "fr0"), aad=aad) == b"its owner has left"
    )
    assert seals.reasons.unseal(seals.seal_reason("DE", "court order", "fr0"), aad=aad) == b"court order"


def test_a_backup_from_before_an_exit_comes_up_without_what_the_owner_left(
    shared: Path, backup: Path
) -> None:
    leave(shared)
    shutil.copy(shared / "key.json", backup / "key.json")
    with open_store(backup) as store:
        assert [found.references for found in store.exits] == [2]
        assert len(store.tail(0)) == store.head()
        assert store.count("face") == 3
        assert store.verify(full=True).problems == ()


def test_an_owner_that_has_left_stores_nothing_until_the_ring_is_rotated(shared: Path) -> None:
    leave(shared)
    with open_store(shared) as store:
        refused, taken = store.write([enrol(8, owner="FR"), enrol(9, owner="DE")])
        assert isinstance(refused, Precondition)
        assert refused.reason == "OWNER_KEY_ERASED"
        assert not isinstance(taken, LikenessError)
    KeyRing.rotate(shared / "key.json")
    with open_store(shared) as store:
        only(store.write([enrol(8, owner="FR", reference_id="back")]))
        store.reseal()
    with open_store(shared) as store:  # what came back stays
        assert store.exits == ()
        assert template_bytes(store.templates(["back"])["back"]) == template(8).to_bytes()
        assert store.verify(full=True).problems == ()


def test_where_an_owner_came_back_a_backup_loses_what_it_left_alone(shared: Path, backup: Path) -> None:
    leave(shared)
    KeyRing.rotate(shared / "key.json")
    shutil.copy(shared / "key.json", backup / "key.json")
    with open_store(backup) as store:
        assert [found.references for found in store.exits] == [2]
        only(store.write([enrol(8, owner="FR", reference_id="back")]))
    with open_store(backup) as store:
        assert store.exits == ()
        assert store.get("back").facets.status is Status.ACTIVE


def test_what_changes_hands_is_sealed_under_the_new_owners_key(shared: Path) -> None:
    with open_store(shared) as store:
        given = replace(store.get("fr0"), facets=Facets("DE"))
        only(store.write([update(given)]))
        born = enrol(7, reference_id="born", owner="FR", source=b"source")
        described = replace(born.change.reference, facets=Facets("DE"))  # type: ignore[union-attr]
        assert [not isinstance(r, LikenessError) for r in store.write([born, update(described)])] == [
            True,
            True,
        ]
    leave(shared)
    with open_store(shared) as store:
        assert [found.references for found in store.exits] == [1]
        for name, number in (("fr0", 0), ("born", 7)):
            assert template_bytes(store.templates([name])[name]) == template(number).to_bytes()
            assert store.source(name) == b"source"
            assert store.get(name).quality.unified == 81.5
        assert store.verify(full=True).problems == ()


def test_snapshots_from_before_an_exit_open_no_more(shared: Path) -> None:
    before = SnapshotVault(KeyRing.load(shared / "key.json"))
    blob = before.seal(b"vectors of everybody", aad=b"frame 0")
    assert (
        SnapshotVault(KeyRing.load(shared / "key.json")).unseal(blob, aad=b"frame 0")
        == b"vectors of everybody"
    )
    leave(shared)
    after = SnapshotVault(KeyRing.load(shared / "key.json"))
    assert not after.is_current(blob[: after.prefix_bytes])
    with pytest.raises(Corrupt, match="rebuilt") as refusal:
        after.unseal(blob, aad=b"frame 0")
    assert not isinstance(refusal.value, WrongKey)  # passed over, not a reason to stop
    fresh = after.seal(b"vectors of the others", aad=b"frame 0")
    assert after.unseal(fresh, aad=b"frame 0") == b"vectors of the others"


def as_older_release(folder: Path) -> None:
    """A ring as older releases wrote it, before anything is stored."""
    made = KeyRing.create(folder / "key.json")
    (folder / "key.json").write_bytes(KeyRing(made._keys, made.active, made.created).to_json())


def test_a_store_of_an_older_release_comes_under_owners_keys_with_a_rotation(tmp_path: Path) -> None:
    as_older_release(tmp_path)
    with open_store(tmp_path) as store:
        store.write([enrol(i, reference_id=f"r{i}", owner="FR", source=b"source") for i in range(3)])
        store.write([enrol(9, owner="DE"), expunge("r2")])
    assert {row[3][:1] for row in sealed(tmp_path)} == {b"\x01"}
    KeyRing.rotate(tmp_path / "key.json")
    with open_store(tmp_path) as store:
        assert template_bytes(store.templates(["r1"])["r1"]) == template(1).to_bytes()
        assert store.reseal().problems == []
        assert store.verify(full=True).problems == ()
        assert store.expunge_reason("r2") == "court order"
    assert {row[3][:1] for row in sealed(tmp_path)} == {b"\x02"}
    leave(tmp_path)
    with open_store(tmp_path) as store:
        assert [found.references for found in store.exits] == [2]


def test_what_was_not_resealed_yet_is_expunged_too(tmp_path: Path) -> None:
    as_older_release(tmp_path)
    with open_store(tmp_path) as store:
        store.write([enrol(i, reference_id=f"r{i}", owner="FR") for i in range(3)])
    KeyRing.rotate(tmp_path / "key.json")
    leave(tmp_path)
    with open_store(tmp_path) as store:
        assert [found.references for found in store.exits] == [3]
        assert store.reseal().problems == []


def test_an_exit_of_thousands_is_finished_where_it_was_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(tmp_path) as store:
        store.write([enrol(i, reference_id=f"r{i}") for i in range(10)])
    leave(tmp_path)
    done = Store.write
    turns = iter([True, False])

    def write(self: Store, writes: Sequence[Write]) -> list[Outcome]:
        if not next(turns):
            raise Unavailable("the power failed")
        return done(self, writes)

    with monkeypatch.context() as cut:
        cut.setattr(exits, "_LIVE", exits._LIVE.limit(4))
        cut.setattr(Store, "write", write)
        with pytest.raises(Unavailable, match="power"):
            open_store(tmp_path)
    with open_store(tmp_path) as store:
        assert [found.references for found in store.exits] == [6]
        assert store.count("face") == 0


def test_a_ring_that_lost_its_owners_keys_opens_nothing_of_them(shared: Path) -> None:
    content = json.loads((shared / "key.json").read_text())
    content["owners"] = {}
    (shared / "key.json").write_text(json.dumps(content))
    with open_store(shared) as store, pytest.raises(WrongKey, match="newest key file"):
        store.templates(["fr0"])

"""Enrol, update, expunge: receipts, idempotency, refusals."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from likeness.domain.audit import JsonValue
from likeness.domain.changes import Change, ChangeKind, Enrol, Expunge, Receipt, RequestKey, Update, Write
from likeness.domain.errors import Conflict, InvalidInput, LikenessError, NotFound, Stale
from likeness.domain.ids import new_id
from likeness.domain.references import Facets, Purpose, Reference, Restrictions, Status
from likeness.domain.samples import Quality, Template
from likeness.domain.storage import only
from likeness.store.sealing import Seals
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
    write_of,
)


def enrolled(write: Write) -> Reference:
    assert isinstance(write.change, Enrol)
    return write.change.reference


def replace_template(space: str, detail: bytes) -> Template:
    return Template(space, "model-1", template().vectors, detail)


def test_what_was_enrolled_is_read_back_whole(store: Store) -> None:
    restrictions = Restrictions(
        frozenset({"XX"}), frozenset({"FR", "DE"}), frozenset({Purpose.WANTED_PERSON})
    )
    review_at = datetime(2031, 2, 3, 4, 5, 6, 789, UTC)
    write = enrol(7, source=b"\x00image\xff", review_at=review_at, quality_override="only picture there is")
    reference = enrolled(write)
    reference = replace(reference, facets=replace(reference.facets, restrictions=restrictions))
    receipt = only(store.write([write_of(Enrol(reference, template(7), b"\x00image\xff"))]))
    assert receipt == Receipt(reference.reference_id, 1, receipt.at)
    assert store.get(reference.reference_id) == replace(
        reference,
        created_at=receipt.at,
        updated_at=receipt.at,
        template_space="test/1",
        model="model-1",
        position=1,
        enrolled_position=1,
    )
    found = store.templates([reference.reference_id])[reference.reference_id]
    assert template_bytes(found) == template_bytes(template(7))
    assert store.source(reference.reference_id) == b"\x00image\xff"


def test_positions_are_contiguous_in_the_order_asked(store: Store) -> None:
    receipts = store.write([enrol(i) for i in range(5)])
    assert [only([r]).position for r in receipts] == [1, 2, 3, 4, 5]
    assert store.head() == 5


def test_more_writes_than_a_group_holds_are_all_done(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("likeness.store.store.GROUP_WRITES", 4)
    assert [only([r]).position for r in store.write([enrol(i) for i in range(10)])] == list(range(1, 11))


def test_an_update_replaces_the_description_and_nothing_else(store: Store) -> None:
    write = enrol(1, quality_override="reason")
    name = enrolled(write).reference_id
    first = only(store.write([write]))
    before = store.get(name)
    changed = Reference(
        name,
        "face",
        Facets("DE", frozenset({"missing"}), status=Status.SUSPENDED),
        subject_id="other",
        attributes={"k": "v"},
        quality=Quality(1.0),
        template_space="forged",
        model="forged",
    )
    second = only(store.write([update(changed, first.position)]))
    assert store.get(name) == replace(
        before,
        facets=changed.facets,
        subject_id="other",
        owner_reference="",
        notices=(),
        attributes={"k": "v"},
        updated_at=second.at,
        position=2,
    )
    assert template_bytes(store.templates([name])[name]) == template_bytes(template(1))


def test_a_change_in_between_is_noticed(store: Store) -> None:
    write = enrol(1)
    reference = enrolled(write)
    store.write([write, update(reference, 1)])
    with pytest.raises(Stale, match="log position 2, after position 1"):
        only(store.write([update(reference, 1)]))
    with pytest.raises(Stale):
        only(store.write([expunge(reference.reference_id, 1)]))
    assert only(store.write([update(reference, 0)])).position == 3


def test_an_expunged_reference_is_a_tombstone_for_good(store: Store) -> None:
    write = enrol(1, source=b"image")
    name = enrolled(write).reference_id
    store.write([write, expunge(name, reason="court order 12")])
    tombstone = store.get(name)
    assert tombstone.facets.status is Status.EXPUNGED
    assert (tombstone.subject_id, tombstone.owner_reference, tombstone.notices) == ("", "", ())
    assert (tombstone.attributes, tombstone.quality) == ({}, Quality())
    assert store.expunge_reason(name) == "court order 12"
    assert store.templates([name]) == {}
    assert store.source(name) is None
    for late in (update(enrolled(write)), expunge(name)):
        with pytest.raises(NotFound):
            only(store.write([late]))
    with pytest.raises(Conflict, match="not even after Expunge"):
        only(store.write([enrol(1, reference_id=name)]))


def test_a_repeated_request_gets_the_first_receipt(tmp_path: Path) -> None:
    write = enrol(1, request_id="request-1")
    with open_store(tmp_path) as store:
        first = only(store.write([write]))
        store.write([enrol(2)])
        assert only(store.write([write])) == replace(first, replayed=True)
    with open_store(tmp_path) as store:
        assert only(store.write([write])) == replace(first, replayed=True)
        assert store.head() == 2


def test_what_is_stored_of_a_request_confirms_no_guess_of_its_content(tmp_path: Path) -> None:
    writes = [enrol(1, reference_id="r"), update(enrolled(enrol(1, reference_id="r"))), expunge("r")]
    with open_store(tmp_path) as store:
        store.write(writes)
    with tampering(tmp_path) as database:
        in_log = [row[0] for row in database.execute("SELECT request_digest FROM log ORDER BY position")]
        names = {row[0] for row in database.execute("SELECT request_id FROM log")}
    assert not names & {write.key.request_id for write in writes}
    assert not names & {hashlib.sha256(write.key.request_id.encode()).hexdigest()[:32] for write in writes}
    rings = [KeyRing.create(tmp_path / "another.json"), KeyRing.load(tmp_path / "key.json")]
    for ring, opens in zip(rings, (False, True), strict=True):
        seals = Seals(ring)
        for write, stored in zip(writes, in_log, strict=True):
            assert write.key.digest not in stored
            assert (stored == seals.sign_request(write.key.digest)) == opens
            assert (seals.request_names("FR", write.key.request_id)[0] in names) == opens
            assert seals.probes.sign(write.key.digest) != stored


def test_a_request_of_a_release_that_stored_its_id_and_digest_themselves_is_known_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = enrol(1, request_id="request-1")
    with monkeypatch.context() as older, open_store(tmp_path) as store:
        older.setattr(Seals, "sign_request", lambda _, digest: digest)
        older.setattr(Seals, "request_names", lambda _, _entity, request_id: [request_id])
        first = only(store.write([write]))
    with open_store(tmp_path) as store:
        assert only(store.write([write])) == replace(first, replayed=True)
        assert store.receipt(write.key, ChangeKind.ENROL, "face") == replace(first, replayed=True)
        other = Write(replace(write.key, digest=bytes(32)), write.change)
        with pytest.raises(Conflict):
            only(store.write([other]))
        assert store.verify(full=True).problems == ()


def test_the_receipt_of_a_request_is_found_before_its_sample_is_looked_at(store: Store) -> None:
    write = enrol(1, request_id="request-1")
    assert store.receipt(write.key, ChangeKind.ENROL, "face") is None
    first = only(store.write([write]))
    found = store.receipt(write.key, ChangeKind.ENROL, "face")
    assert found == only(store.write([write])) == replace(first, replayed=True)
    assert store.receipt(replace(write.key, entity="DE"), ChangeKind.ENROL, "face") is None
    for key, kind, of in (
        (replace(write.key, digest=bytes(32)), ChangeKind.ENROL, "face"),
        (write.key, ChangeKind.ENROL, "object"),
        (write.key, ChangeKind.UPDATE, first.reference_id),
    ):
        with pytest.raises(Conflict) as refusal:
            store.receipt(key, kind, of)
        assert refusal.value.reason == "REQUEST_ID_REUSED"


def test_a_request_repeated_inside_one_batch_is_done_once(store: Store) -> None:
    write = enrol(1, request_id="request-1")
    first, second = store.write([write, write])
    assert only([second]) == replace(only([first]), replayed=True)
    assert store.head() == 1


def test_a_request_id_for_other_content_is_refused(store: Store) -> None:
    write = enrol(1, request_id="request-1")
    other = Write(replace(write.key, digest=bytes(32)), write.change)
    for outcomes in (store.write([write, other]), store.write([other])):
        with pytest.raises(Conflict, match="request-1") as refusal:
            only(outcomes[-1:])
        assert refusal.value.reason == "REQUEST_ID_REUSED"
    elsewhere = enrol(2, request_id="request-1")
    assert not only(store.write([replace(elsewhere, key=replace(elsewhere.key, entity="DE"))])).replayed


def test_a_request_id_never_acknowledges_another_kind_modality_or_reference(store: Store) -> None:
    """Even with the same digest: what was never stored must not be answered as stored."""
    write = enrol(1, request_id="request-1")
    first = only(store.write([write]))
    other = only(store.write([enrol(2)])).reference_id
    reference = enrolled(write)
    changes: list[Change] = [
        Enrol(replace(reference, reference_id=new_id(), modality="object"), template(1)),
        Update(reference, 0),
        Expunge(first.reference_id, 0),
    ]
    for change in changes:
        late = Write(write.key, change)
        for outcomes in (store.write([late]), store.write([enrol(3), late])):
            with pytest.raises(Conflict) as refusal:
                only(outcomes[-1:])
            assert refusal.value.reason == "REQUEST_ID_REUSED"
    gone = expunge(other)
    assert not only(store.write([gone])).replayed
    with pytest.raises(Conflict):
        only(store.write([Write(gone.key, Expunge(first.reference_id, 0))]))
    one = enrol(4, request_id="request-4")
    same_batch = store.write([one, Write(one.key, changes[0])])
    with pytest.raises(Conflict):
        only(same_batch[-1:])


def test_a_refused_write_leaves_the_others_alone(store: Store) -> None:
    good = enrol(1)
    reference = enrolled(good)
    bad = [
        enrol(2, reference_id="a\x00b"),
        enrol(2, modality=""),
        enrol(3, owner="\ud800"),
        update(replace(reference, reference_id="\ud800")),
        expunge("\ud800"),
        write_of(Enrol(reference, replace_template("\ud800", b""))),
        write_of(Enrol(reference, replace_template("test/1", bytes(17_000_000)))),
        enrol(3, galleries=frozenset(f"{i:0>500}" for i in range(200))),
        enrol(3, quality_override="x" * 70_000),
        enrol(4, quality=Quality(float("nan"))),
        enrol(5, attributes={"k": "v" * 530_000}),
        enrol(6, review_at=datetime(2030, 1, 1)),
        Write(RequestKey("FR", "r", b"short"), good.change),
        Write(RequestKey("FR", "", bytes(32)), good.change),
        update(replace(reference, facets=Facets("FR", status=Status.EXPUNGED))),
        update(replace(reference, facets=Facets("FR", expires_at=2**70))),
        expunge(reference.reference_id, reason="x" * 70_000),
        update(replace(reference, modality="object")),
    ]
    first, *refusals, last = store.write([good, *bad, enrol(9)])
    assert [type(r) for r in refusals] == [InvalidInput] * len(bad)
    assert (only([first]).position, only([last]).position) == (1, 2)
    assert store.get(reference.reference_id).subject_id == "subject-1"
    assert store.verify(full=True).problems == ()


def test_a_refused_modality_leaves_the_subject_in_place(store: Store) -> None:
    write = enrol(1)
    reference = enrolled(write)
    store.write([write])
    (refusal,) = store.write([update(replace(reference, modality="object", subject_id="lost"))])
    assert isinstance(refusal, InvalidInput)
    assert store.get(reference.reference_id).subject_id == "subject-1"


def test_an_audit_entry_is_committed_with_its_write_or_replay_and_with_no_refusal(store: Store) -> None:
    write = replace(enrol(1), audit=act(1))
    first = only(store.write([write]))
    store.write([write])
    store.write([replace(enrol(2, reference_id=first.reference_id), audit=act(2))])
    record, replay = store.audit_entries()
    repeated: dict[str, JsonValue] = {"reference_id": first.reference_id, "replayed": True}
    assert replay.entry == replace(record.entry, details={**record.entry.details, **repeated})
    assert record.entry == replace(act(1), log_position=first.position)


def test_a_write_whose_audit_entry_cannot_be_stored_is_refused(store: Store) -> None:
    (refusal,) = store.write([replace(enrol(1), audit=act(1, value=float("inf")))])
    assert isinstance(refusal, InvalidInput)
    assert store.head() == 0


def test_a_closed_store_refuses_and_closing_twice_is_harmless(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.write([enrol(1)])
    store.close()
    store.close()
    with pytest.raises(LikenessError, match="closed") as refusal:
        store.write([enrol(2)])
    assert refusal.value.reason == "STORE_CLOSED"
    with pytest.raises(LikenessError, match="closed"):
        store.tail(0)


def test_update_takes_no_reference_that_was_never_enrolled(store: Store) -> None:
    with pytest.raises(NotFound):
        only(store.write([write_of(Update(enrolled(enrol(1)), 0))]))
    with pytest.raises(NotFound):
        store.get("nobody")
    assert store.get_many(["nobody"]) == {}


def test_a_connection_that_lost_its_way_is_replaced(store: Store) -> None:
    assert only(store.write([enrol(1)])).position == 1
    store._writer._connection.close()
    assert only(store.write([enrol(2)])).position == 2


def test_an_id_is_taken_once_by_writes_of_one_commit(store: Store) -> None:
    first, second = store.write([enrol(1, reference_id="a"), enrol(2, reference_id="a")])
    assert isinstance(first, Receipt)
    assert isinstance(second, Conflict)

"""A service whose disk is full says so to who enrols, and serves the others."""

from __future__ import annotations

import pytest

from likeness.client import LikenessClient, ResourceExhausted
from tests.contract.conftest import Served


@pytest.fixture
def full(served: Served, client: LikenessClient, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a reference that was enrolled before the disk was full."""
    reference_id = client.face.enroll(b"1,0,0").reference.reference_id
    reserve = served.composition.store._opened.reserve
    monkeypatch.setattr(reserve, "size", 1 << 20)  # wanted, and not held
    assert served.composition.store.is_full
    return str(reference_id)


def test_enrolment_is_refused_with_the_remedy_and_not_tried_again(full: str, client: LikenessClient) -> None:
    with pytest.raises(ResourceExhausted, match="free space on the disk") as refusal:
        client.face.enroll(b"0,1,0")
    assert refusal.value.reason == "STORAGE_FULL"
    assert not refusal.value.is_transient


def test_searches_and_expunge_go_on(full: str, client: LikenessClient) -> None:
    found = client.face.search(b"1,0,0")
    assert found.header.audit_position
    assert [c.reference.reference_id for c in found.answers[0].candidates] == [full]
    assert client.face.list()
    client.face.expunge(full, reason="court order")
    assert client.face.search(b"1,0,0").answers[0].candidates == []

"""Receipts of expungements: what they state, and that nothing else passes for one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from likeness.domain.errors import Corrupt, InvalidInput, LikenessError
from likeness.transparency.note import Note, Signer, sign
from likeness.transparency.receipt import Expunged, ExpungementReceipt, receipt_for

AT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
HUB = Signer.generate("hub.example/audit")


def made(kind: Expunged = Expunged.REFERENCE, name: str = "0198c0de-7000-7000-8000-000000000000") -> str:
    return receipt_for(HUB, kind, name, 42, AT)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(Expunged.REFERENCE, "r-1"), (Expunged.OWNER, "NCB-FR"), (Expunged.OWNER, "Zoë and sons")],
)
def test_what_was_signed_is_read(kind: Expunged, name: str) -> None:
    opened = ExpungementReceipt.open(Note.parse(made(kind, name).encode()), HUB.verifier)
    assert opened == ExpungementReceipt("hub.example/audit", kind, name, 42, AT)


def test_the_same_expungement_has_the_same_receipt() -> None:
    assert made() == made()


def test_a_changed_byte_is_found() -> None:
    text = made().encode()
    for place in range(len(text)):
        changed = bytearray(text)
        changed[place] ^= 1
        with pytest.raises(LikenessError):
            ExpungementReceipt.open(Note.parse(bytes(changed)), HUB.verifier)


def test_another_key_has_signed_nothing() -> None:
    for other in (Signer.generate("hub.example/audit"), Signer.generate("elsewhere")):
        with pytest.raises(Corrupt, match="not signed"):
            ExpungementReceipt.open(Note.parse(made().encode()), other.verifier)


@pytest.mark.parametrize(
    "text",
    [
        "hub.example/audit\n3\nAAAA\n",
        "likeness expungement 1\nanother\nreference r\nfree from log position 1\n2026-01-01T00:00:00+00:00\n",
        "likeness expungement 1\nhub.example/audit\nreference r\nfree from log position 1\nyesterday\n",
        "likeness expungement 1\nhub.example/audit\nreference r\nfree from log position 01\n2026-01-01\n",
        "likeness expungement 1\nhub.example/audit\nreference r\nfree from log position 1\n2026-01-01\nmore\n",
    ],
)
def test_what_the_key_signed_for_something_else_is_no_receipt(text: str) -> None:
    with pytest.raises(InvalidInput):
        ExpungementReceipt.open(sign(text, HUB), HUB.verifier)

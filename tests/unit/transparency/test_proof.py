"""What is handed to a court and to a witness, as text."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from likeness.domain.errors import Corrupt, InvalidInput
from likeness.transparency.checkpoint import Checkpoint, cosign
from likeness.transparency.disclosure import Disclosure
from likeness.transparency.merkle import HASH_BYTES
from likeness.transparency.note import Algorithm, Signer, encode64
from likeness.transparency.proof import MAX_HASHES, MAX_PROOF_BYTES, EntryProof, Growth, check_proof
from tests.unit.transparency.logs import Log, hub

AT = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
WITNESSES = [Signer.generate(f"witness{i}.example", Algorithm.COSIGNATURE) for i in range(2)]


@pytest.fixture(scope="module")
def log() -> Log:
    return hub(11)


def witnessed(log: Log) -> EntryProof:
    note = log.checkpoint()
    for witness in WITNESSES:
        note = cosign(note, witness, AT)
    return log.proof(4, note)


def test_every_entry_is_proved_from_the_text_alone(log: Log) -> None:
    for position in range(1, log.size + 1):
        read = EntryProof.parse(str(log.proof(position)).encode())
        proven = check_proof(read, log.signer.verifier)
        assert proven.entry.body == log.acts[position - 1].body
        assert (proven.entry.position, proven.checkpoint.size) == (position, 11)


def test_a_proof_shows_no_other_entry(log: Log) -> None:
    text = str(log.proof(4))
    assert text.startswith("c2sp.org/tlog-proof@v1\nextra ")
    shown = EntryProof.parse(text.encode()).entry.encode()
    assert b"case-3" in shown
    for other in (b"case-2", b"case-4"):
        assert other not in shown


def test_witnesses_that_are_asked_for_must_have_cosigned(log: Log) -> None:
    keys = [witness.verifier for witness in WITNESSES]
    proven = check_proof(EntryProof.parse(str(witnessed(log)).encode()), log.signer.verifier, keys)
    assert proven.witnessed == {"witness0.example": AT, "witness1.example": AT}
    with pytest.raises(Corrupt, match=r"not cosigned by witness0\.example"):
        check_proof(log.proof(4), log.signer.verifier, keys)


def test_the_key_of_another_log_proves_nothing(log: Log) -> None:
    with pytest.raises(Corrupt, match="not signed by"):
        check_proof(log.proof(4), Signer.generate("hub.example/audit").verifier)


def test_an_entry_that_was_changed_is_not_proved(log: Log) -> None:
    proof = log.proof(4)
    for entry in (
        replace(proof.entry, body=proof.entry.body.replace(b"case-3", b"case-9")),
        replace(proof.entry, at=proof.entry.at + 1),
        replace(proof.entry, position=5),
        replace(proof.entry, digest=bytes(32)),
        replace(proof.entry, salt=bytes(32)),
        log.proof(5).entry,
    ):
        with pytest.raises(Corrupt):
            check_proof(EntryProof.parse(str(replace(proof, entry=entry)).encode()), log.signer.verifier)


def test_the_proof_of_an_entry_of_a_thousand_million_is_under_two_kilobytes(log: Log) -> None:
    """All but the entry itself, with two witnesses."""
    note = Checkpoint(log.signer.name, 10**9, bytes(32)).signed(log.signer)
    for witness in WITNESSES:
        note = cosign(note, witness, AT)
    entry = Disclosure(10**9, log.rows[0][0], bytes(32), bytes(32), b"{")
    assert len(str(EntryProof(entry, (bytes(range(32)),) * 30, note)).encode()) < 2048 + 150
    twenty = EntryProof(entry, (bytes(range(32)),) * 20, note)
    assert len(str(twenty).encode()) < 2048


def test_growth_reads_and_writes_as_a_request_to_a_witness(log: Log) -> None:
    growth = log.growth(5)
    assert str(growth).startswith(f"old 5\n{encode64(growth.hashes[0])}\n")
    assert Growth.parse(str(growth).encode()) == growth
    assert Growth.parse(str(log.checkpoint()).encode()) == Growth(0, log.checkpoint())


def malformed(log: Log) -> dict[str, bytes]:
    text = str(log.proof(4))
    title, extra, index, *_ = text.split("\n")
    rest = text.split("\n\n", 1)[1]
    hash_line = encode64(bytes(HASH_BYTES))
    return {
        "nothing": b"",
        "a checkpoint": str(log.checkpoint()).encode(),
        "another version": text.replace("@v1", "@v2", 1).encode(),
        "no entry": text.replace(f"{extra}\n", "", 1).encode(),
        "an entry in no base64": text.replace("extra ", "extra *", 1).encode(),
        "too short an entry": text.replace(extra, f"extra {encode64(bytes(72))}", 1).encode(),
        "no index": text.replace(f"{index}\n", "", 1).encode(),
        "an index with a zero before it": text.replace("index 3", "index 03", 1).encode(),
        "a huge index": text.replace("index 3", f"index {10**30}", 1).encode(),
        "a short hash": f"{title}\n{extra}\n{index}\nAAAA\n\n{rest}".encode(),
        "too many hashes": "\n".join(
            [title, extra, index, *[hash_line] * (MAX_HASHES + 1), "", rest]
        ).encode(),
        "no checkpoint": text.split("\n\n", 1)[0].encode(),
        "no signature": text.split("\n\n\u2014", 1)[0].encode() + b"\n",
        "binary": b"\x00\xff" * 100,
    }


@pytest.mark.parametrize("case", malformed(hub(11)))
def test_what_is_no_proof_is_refused(log: Log, case: str) -> None:
    with pytest.raises(InvalidInput):
        check_proof(EntryProof.parse(malformed(log)[case]), log.signer.verifier)


def test_too_long_a_proof_is_refused_unread() -> None:
    with pytest.raises(InvalidInput, match="more than"):
        EntryProof.parse(bytes(MAX_PROOF_BYTES + 1))


@pytest.mark.parametrize(
    "head", ["old 05", "old ", "old x", "old 5\nAAAA", "old 5\n" + "\n".join(["A" * 44] * 64)]
)
def test_what_is_no_growth_is_refused(log: Log, head: str) -> None:
    with pytest.raises(InvalidInput):
        Growth.parse(f"{head}\n\n{log.checkpoint()}".encode())

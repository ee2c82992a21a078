"""Checkpoints and cosignatures, against the layout that C2SP tlog-checkpoint and tlog-cosignature give."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from likeness.domain.errors import Corrupt, InvalidInput
from likeness.transparency.checkpoint import Checkpoint, check_cosigned, cosign, open_checkpoint
from likeness.transparency.merkle import EMPTY_ROOT
from likeness.transparency.note import Algorithm, Note, Signature, Signer, sign

LOG = Signer.generate("example.com/behind-the-sofa")
WITNESS = Signer.generate("witness.example.com/w1", Algorithm.COSIGNATURE)
TEXT = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
"""The example of the specification."""

AT = datetime(2023, 3, 20, 12, 25, 47, tzinfo=UTC)


def test_a_checkpoint_reads_and_writes_as_the_specification_does() -> None:
    found = Checkpoint.parse(TEXT)
    assert (found.origin, found.size, found.root[:2]) == (
        "example.com/behind-the-sofa",
        20852163,
        b"\x0a\xc5",
    )
    assert str(found) == TEXT
    assert open_checkpoint(found.signed(LOG), LOG.verifier) == found


def test_lines_after_the_third_are_signed_and_say_nothing() -> None:
    note = sign(f"{TEXT}more\n", LOG)
    assert open_checkpoint(note, LOG.verifier) == Checkpoint.parse(TEXT)


ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
MALFORMED = {
    "two lines": "log\n7\n",
    "no origin": f"\n7\n{ROOT}\n",
    "a size with a zero before it": f"log\n07\n{ROOT}\n",
    "a negative size": f"log\n-7\n{ROOT}\n",
    "a size with a sign": f"log\n+7\n{ROOT}\n",
    "digits of another script": f"log\n\u0667\n{ROOT}\n",
    "too large a size": f"log\n{2**63}\n{ROOT}\n",
    "a huge size": f"log\n{'9' * 5000}\n{ROOT}\n",
    "no base64": "log\n7\nroot\n",
    "a short root": "log\n7\nAAAA\n",
    "an empty line among more": f"log\n7\n{ROOT}\n\nmore\n",
    "an empty log with a root": f"log\n0\n{ROOT}\n",
    "no end of line": f"log\n7\n{ROOT}",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Checkpoint.parse(text)


def test_the_checkpoint_of_an_empty_log() -> None:
    empty = Checkpoint("log", 0, EMPTY_ROOT)
    assert Checkpoint.parse(str(empty)) == empty


def test_a_checkpoint_of_another_origin_is_not_this_logs_even_with_its_key() -> None:
    note = Checkpoint("other.example", 0, EMPTY_ROOT).signed(LOG)
    with pytest.raises(Corrupt, match=r"of the log other\.example"):
        open_checkpoint(note, LOG.verifier)


def test_a_cosignature_is_laid_out_as_the_specification_says() -> None:
    note = cosign(sign(TEXT, LOG), WITNESS, AT)
    line = str(note).splitlines()[-1]
    assert line.startswith("\u2014 witness.example.com/w1 ")
    raw = base64.b64decode(line.split(" ")[2])
    assert len(raw) == 4 + 8 + 64
    assert raw[:4] == WITNESS.verifier.key_id
    assert int.from_bytes(raw[4:12], "big") == 1679315147
    message = f"cosignature/v1\ntime 1679315147\n{TEXT}".encode()
    Ed25519PublicKey.from_public_bytes(WITNESS.verifier.public).verify(raw[12:], message)
    assert check_cosigned(Note.parse(str(note).encode()), WITNESS.verifier) == AT
    open_checkpoint(note, LOG.verifier)


def test_a_witness_signs_once() -> None:
    note = sign(TEXT, LOG)
    for minute in range(3):
        note = cosign(note, WITNESS, AT.replace(minute=minute))
    assert len(note.signatures) == 2
    assert check_cosigned(note, WITNESS.verifier).minute == 2


def test_what_a_witness_did_not_cosign_is_refused() -> None:
    note = cosign(sign(TEXT, LOG), WITNESS, AT)
    other = Signer.generate(WITNESS.name, Algorithm.COSIGNATURE)
    with pytest.raises(Corrupt, match="not cosigned"):
        check_cosigned(note, other.verifier)
    with pytest.raises(Corrupt, match="does not match"):
        check_cosigned(replace(note, text=TEXT.replace("20852163", "20852164")), WITNESS.verifier)
    with pytest.raises(InvalidInput, match="not that of a witness"):
        check_cosigned(note, LOG.verifier)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda value: b"\x00" * 7 + b"\x01" + value[8:], "does not match"),
        (lambda value: value[:-1], "does not match"),
        (lambda value: b"", "does not match"),
    ],
    ids=["another time", "too short", "nothing"],
)
def test_a_cosignature_that_was_changed_is_refused(change: object, words: str) -> None:
    note = cosign(sign(TEXT, LOG), WITNESS, AT)
    log, own = note.signatures
    changed = Signature(own.name, own.key_id, change(own.value))  # type: ignore[operator]
    with pytest.raises(Corrupt, match=words):
        check_cosigned(replace(note, signatures=(log, changed)), WITNESS.verifier)


def test_a_time_outside_the_calendar_is_refused() -> None:
    note = sign(TEXT, LOG)
    seconds = 2**63 - 1
    value = seconds.to_bytes(8, "big") + WITNESS.sign(f"cosignature/v1\ntime {seconds}\n{TEXT}".encode())
    note = note.with_signature(Signature(WITNESS.name, WITNESS.verifier.key_id, value))
    with pytest.raises(Corrupt, match="calendar"):
        check_cosigned(note, WITNESS.verifier)

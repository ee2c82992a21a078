"""Signed notes, with the examples of C2SP signed-note and of the tests of golang.org/x/mod/sumdb/note."""

from __future__ import annotations

import pytest

from likeness.domain.errors import Corrupt, InvalidInput
from likeness.transparency.note import (
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    Algorithm,
    Note,
    Signature,
    Signer,
    VerifierKey,
    check_signed,
    sign,
)

SPECIFIED_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPECIFIED_NOTE = (
    "This is an example message.\n\n\u2014 example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
GO_PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
)
GO_SIGNATURE = (
    "\u2014 PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
)


def test_the_specifications_example_verifies() -> None:
    key = VerifierKey.parse(SPECIFIED_KEY)
    assert str(key) == SPECIFIED_KEY
    note = Note.parse(SPECIFIED_NOTE.encode())
    check_signed(note, key)
    assert str(note) == SPECIFIED_NOTE


def test_a_note_is_signed_as_gos_package_signs_it() -> None:
    signer = Signer.parse(GO_PRIVATE)
    assert (signer.private_text, str(signer.verifier)) == (GO_PRIVATE, GO_PUBLIC)
    assert str(sign(GO_TEXT, signer)) == f"{GO_TEXT}\n{GO_SIGNATURE}\n"


def test_a_text_that_was_changed_does_not_verify() -> None:
    note = Note.parse(SPECIFIED_NOTE.replace("example message", "eXample message").encode())
    with pytest.raises(Corrupt, match="does not match"):
        check_signed(note, VerifierKey.parse(SPECIFIED_KEY))


def test_a_note_of_another_key_is_not_signed_however_it_is_named() -> None:
    signer = Signer.generate("example.com/foo")
    with pytest.raises(Corrupt, match="not signed by example"):
        check_signed(sign("text\n", signer), VerifierKey.parse(SPECIFIED_KEY))


def test_one_wrong_signature_of_a_known_key_spoils_the_note() -> None:
    signer = Signer.generate("hub")
    note = sign("text\n", signer)
    wrong = Signature("hub", signer.verifier.key_id, bytes(64))
    with pytest.raises(Corrupt):
        check_signed(Note(note.text, (*note.signatures, wrong)), signer.verifier)


def test_signatures_of_unknown_keys_are_passed_over_and_a_key_signs_once() -> None:
    hub, other = Signer.generate("hub"), Signer.generate("other")
    note = sign("text\n", hub).with_signature(sign("text\n", other).signatures[0])
    note = note.with_signature(sign("text\n", hub).signatures[0])
    read = Note.parse(str(note).encode())
    check_signed(read, hub.verifier)
    check_signed(read, other.verifier)
    assert len(read.signatures) == 2


def test_a_text_may_have_empty_lines() -> None:
    signer = Signer.generate("hub")
    note = sign("one\n\ntwo\n", signer)
    read = Note.parse(str(note).encode())
    assert read.text == "one\n\ntwo\n"
    check_signed(read, signer.verifier)


LINE = GO_SIGNATURE
MALFORMED = {
    "nothing": b"",
    "text alone": b"text\n",
    "no signature": b"text\n\n",
    "no text": f"\n\n{LINE}\n".encode(),
    "no empty line": f"text\n{LINE}\n".encode(),
    "no end of line": f"text\n\n{LINE}".encode(),
    "not UTF-8": b"text\xff\n\n" + LINE.encode() + b"\n",
    "a control character": f"te\x1bxt\n\n{LINE}\n".encode(),
    "carriage returns": f"text\r\n\r\n{LINE}\r\n".encode(),
    "a hyphen for the dash": f"text\n\n- {LINE[2:]}\n".encode(),
    "a name with a plus": "text\n\n\u2014 a+b AAAAAAAA\n".encode(),
    "a name with a space of Unicode": "text\n\n\u2014 a\u00a0b AAAAAAAA\n".encode(),
    "no name": "text\n\n\u2014  AAAAAAAA\n".encode(),
    "no base64": "text\n\n\u2014 hub A*AA\n".encode(),
    "base64 in another form": "text\n\n\u2014 hub AAAAAAB=\n".encode(),
    "a key id without a signature": "text\n\n\u2014 hub AAAAAA==\n".encode(),
    "a line between signatures": f"text\n\n{LINE}\n\nx\n".encode(),
    "more than there may be": ("text\n\n" + f"{LINE}\n" * (MAX_SIGNATURES + 1)).encode(),
    "too long": b"t" * MAX_NOTE_BYTES + f"\n\n{LINE}\n".encode(),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_no_note_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        Note.parse(data)


def test_as_many_signatures_as_there_may_be_are_read() -> None:
    assert len(Note.parse(("text\n\n" + f"{LINE}\n" * MAX_SIGNATURES).encode()).signatures) == MAX_SIGNATURES


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        GO_PUBLIC.replace("c74f20a3", "c74f20a4"),
        GO_PUBLIC.replace("PeterNeumann", "Peter"),
        GO_PUBLIC[:-4],
        GO_PUBLIC.replace("+AR", "+Ax"),
        "a b+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        GO_PRIVATE,
    ],
)
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        VerifierKey.parse(text)


@pytest.mark.parametrize(
    "text", ["", GO_PUBLIC, GO_PRIVATE[:-4], GO_PRIVATE.replace("c74f", "c74e"), f"x{GO_PRIVATE}"]
)
def test_what_is_no_signing_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Signer.parse(text)
    assert "AYEKFALVFGyN" not in caught.value.message


def test_a_signer_is_not_shown() -> None:
    assert "AYEKFALVFGyN" not in repr(Signer.parse(GO_PRIVATE))


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u2003b", "n" * 256])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        Signer.generate(name)


def test_the_two_kinds_of_key_have_different_ids() -> None:
    log = Signer.generate("hub")
    witness = Signer("hub", Algorithm.COSIGNATURE, log.seed)
    assert log.verifier.key_id != witness.verifier.key_id
    assert Signer.parse(witness.private_text) == witness

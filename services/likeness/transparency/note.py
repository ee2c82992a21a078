"""Signed notes: a text with signatures under it, and the keys that make and check them (C2SP signed-note v1).

Signatures are Ed25519 (RFC 8032). A key is named by a name and the first four bytes of a digest over name,
algorithm and public key; what other keys signed is passed over.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from enum import IntEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from likeness.domain.errors import Corrupt, InvalidInput

MAX_NOTE_BYTES = 1 << 16
MAX_SIGNATURES = 64
"""In one note; the specification asks for at least 16."""

MAX_NAME_BYTES = 255
KEY_ID_BYTES = 4
ED25519_BYTES = 32
"""Of a public key, and of the seed of a private one."""

_DASH = "\u2014"
_PRIVATE = "PRIVATE+KEY"
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


class Algorithm(IntEnum):
    """The types of signature that are understood here."""

    ED25519 = 0x01
    """Over the note's text."""
    COSIGNATURE = 0x04
    """Of a witness, with a time (C2SP tlog-cosignature)."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name; written as `name+id+key`, the id in hexadecimal, the key in base64."""

    name: str
    algorithm: Algorithm
    public: bytes

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read what `str` of a key wrote.

        Raises:
            InvalidInput: it is something else, or its id does not match it.
        """
        parts = text.strip().split("+", 2)
        if len(parts) != 3:
            raise InvalidInput(f"'{text[:80]}' is not a verifier key, written NAME+ID+KEY.")
        name, key_id, encoded = parts
        key = cls(check_name(name), *_algorithm_and_bytes(encoded))
        if key_id != key.key_id.hex():
            raise InvalidInput(f"The verifier key of {name} does not match its id {key_id[:16]}.")
        return key

    @property
    def key_id(self) -> bytes:
        """Four bytes that name the key together with its name."""
        named = self.name.encode() + b"\n" + bytes([self.algorithm]) + self.public
        return hashlib.sha256(named).digest()[:KEY_ID_BYTES]

    @property
    def is_witness(self) -> bool:
        """Whether it checks the cosignatures of a witness, and not what a log signs."""
        return self.algorithm is Algorithm.COSIGNATURE

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Whether an Ed25519 signature of 64 bytes is this key's over a message."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def __str__(self) -> str:
        """The key as people exchange it."""
        encoded = encode64(bytes([self.algorithm]) + self.public)
        return f"{self.name}+{self.key_id.hex()}+{encoded}"


@dataclass(frozen=True, slots=True, repr=False)
class Signer:
    """A private key with its name; written as `PRIVATE+KEY+name+id+seed`. Its `repr` does not show the seed."""

    name: str
    algorithm: Algorithm
    seed: bytes

    @classmethod
    def generate(cls, name: str, algorithm: Algorithm = Algorithm.ED25519) -> Signer:
        """A new random key.

        Raises:
            InvalidInput: the name is none.
        """
        return cls(check_name(name), algorithm, Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> Signer:
        """Read what `private_text` of a key gave; no message holds any of it.

        Raises:
            InvalidInput: it is something else, or its id does not match it.
        """
        prefix, _, rest = text.strip().partition(f"{_PRIVATE}+")
        parts = rest.split("+", 2)
        if prefix or len(parts) != 3:
            raise InvalidInput(f"This is not a signing key, written {_PRIVATE}+NAME+ID+KEY.")
        name, key_id, encoded = parts
        signer = cls(check_name(name), *_algorithm_and_bytes(encoded))
        if key_id != signer.verifier.key_id.hex():
            raise InvalidInput(f"The signing key of {name} does not match its id.")
        return signer

    @property
    def private_text(self) -> str:
        """The key as its file holds it: whoever has it can sign."""
        encoded = encode64(bytes([self.algorithm]) + self.seed)
        return f"{_PRIVATE}+{self.name}+{self.verifier.key_id.hex()}+{encoded}"

    @property
    def verifier(self) -> VerifierKey:
        """The public key."""
        public = Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()
        return VerifierKey(self.name, self.algorithm, public)

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature of a message, 64 bytes."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)

    def __repr__(self) -> str:
        return f"Signer({self.verifier})"


@dataclass(frozen=True, slots=True)
class Signature:
    """One line under a note: whose it is, and the bytes after the key id."""

    name: str
    key_id: bytes
    value: bytes

    def is_of(self, key: VerifierKey) -> bool:
        """Whether it says that a key made it."""
        return self.name == key.name and self.key_id == key.key_id

    def __str__(self) -> str:
        """The line, without its end."""
        return f"{_DASH} {self.name} {encode64(self.key_id + self.value)}"


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends with a newline, and the signatures under it."""

    text: str
    signatures: tuple[Signature, ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> Note:
        """Read a note; nothing is verified.

        Raises:
            InvalidInput: it is not one, or is too long.
        """
        whole = checked_text(data, MAX_NOTE_BYTES, "note")
        text, separator, lines = whole.rpartition("\n\n")
        if not separator or not text or not lines.endswith("\n"):
            raise InvalidInput("A signed note is a text, an empty line, and lines of signatures.")
        signatures = [_signature(line) for line in lines[:-1].split("\n")]
        if len(signatures) > MAX_SIGNATURES:
            raise InvalidInput(f"The note has {len(signatures)} signatures; {MAX_SIGNATURES} are read.")
        return cls(f"{text}\n", tuple(signatures))

    def of(self, key: VerifierKey) -> list[Signature]:
        """The signatures that say they are a key's, unverified."""
        return [signature for signature in self.signatures if signature.is_of(key)]

    def with_signature(self, added: Signature) -> Note:
        """The note with one more signature under it; in place of those that the same key made."""
        others = (s for s in self.signatures if (s.name, s.key_id) != (added.name, added.key_id))
        return Note(self.text, (*others, added))

    def __str__(self) -> str:
        """The note as it is exchanged."""
        return f"{self.text}\n" + "".join(f"{signature}\n" for signature in self.signatures)


def sign(text: str, signer: Signer) -> Note:
    """A note of a text that ends with a newline, signed with an Ed25519 key."""
    signature = signer.sign(text.encode())
    return Note(text, (Signature(signer.name, signer.verifier.key_id, signature),))


def check_signed(note: Note, key: VerifierKey) -> None:
    """Whether a note is signed by an Ed25519 key.

    Raises:
        Corrupt: it is not, or a signature of that key does not match the text.
    """
    signatures = note.of(key)
    if not signatures:
        raise Corrupt(f"The note is not signed by {key.name} with key {key.key_id.hex()}.")
    if not all(key.verify(signature.value, note.text.encode()) for signature in signatures):
        raise Corrupt(f"The signature of {key.name} does not match the note: one of them was changed.")


def check_name(name: str) -> str:
    """A key's name, if it is one: not empty, without spaces, plus signs and control characters.

    Raises:
        InvalidInput: it is none.
    """
    wrong = not name.isprintable() or "+" in name or any(c.isspace() for c in name)
    if not name or wrong or len(name.encode()) > MAX_NAME_BYTES:
        raise InvalidInput(
            f"'{name[:80]}' is not a name of a key: 1 to {MAX_NAME_BYTES} bytes without spaces and plus signs, "
            "best an address without a scheme, such as hub.example/audit."
        )
    return name


def checked_text(data: bytes, limit: int, what: str) -> str:
    """UTF-8 text of lines, without other control characters.

    Raises:
        InvalidInput: it is none, or is longer than `limit` bytes; `what` names it.
    """
    if len(data) > limit:
        raise InvalidInput(f"The {what} has more than {limit} bytes.")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"The {what} is not UTF-8 text.") from error
    if _CONTROL.search(text):
        raise InvalidInput(f"The {what} has control characters other than ends of lines.")
    return text


def encode64(data: bytes) -> str:
    """Standard base64 (RFC 4648, section 4)."""
    return base64.b64encode(data).decode("ascii")


def decode64(text: str, what: str) -> bytes:
    """The bytes of standard base64, of which each has one form alone.

    Raises:
        InvalidInput: it is something else; `what` names it.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data or encode64(data) != text:
        raise InvalidInput(f"The {what} is not in base64.")
    return data


def _algorithm_and_bytes(encoded: str) -> tuple[Algorithm, bytes]:
    key = decode64(encoded, "key")
    if len(key) != 1 + ED25519_BYTES or key[0] not in set(Algorithm):
        raise InvalidInput(
            "The key is not of a kind that is understood here: Ed25519 of a log or of a witness."
        )
    return Algorithm(key[0]), key[1:]


def _signature(line: str) -> Signature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != _DASH:
        raise InvalidInput(f"A line of signature is {_DASH} NAME SIGNATURE, not '{line[:80]}'.")
    value = decode64(parts[2], "signature")
    if len(value) <= KEY_ID_BYTES:
        raise InvalidInput("A signature has no bytes after the id of its key.")
    return Signature(check_name(parts[1]), value[:KEY_ID_BYTES], value[KEY_ID_BYTES:])

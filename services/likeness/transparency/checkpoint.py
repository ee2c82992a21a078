"""Checkpoints of a log: its name, size and root, signed by the log (C2SP tlog-checkpoint) and by witnesses that
checked that it goes on from all they saw before (C2SP tlog-cosignature, cosignature/v1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from likeness.domain.errors import Corrupt, InvalidInput
from likeness.transparency.merkle import EMPTY_ROOT, HASH_BYTES, MAX_SIZE
from likeness.transparency.note import (
    Algorithm,
    Note,
    Signature,
    Signer,
    VerifierKey,
    check_signed,
    decode64,
    encode64,
    sign,
)

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_TIME_BYTES = 8
_SIGNATURE_BYTES = 64


def parse_size(text: str) -> int:
    """The size of a tree as decimal digits without leading zeros.

    Raises:
        InvalidInput: it is something else.
    """
    if _SIZE.fullmatch(text) is None or int(text) > MAX_SIZE:
        raise InvalidInput(f"'{text[:40]}' is not the size of a tree.")
    return int(text)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log states: of which name it is, how many entries it has, and the root of the tree over them."""

    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read the text of a checkpoint's note; lines after the third say nothing here.

        Raises:
            InvalidInput: it is none.
        """
        lines = text.split("\n")
        if len(lines) < 4 or not all(lines[:-1]) or lines[-1]:
            raise InvalidInput("A checkpoint is three lines at least: the log's name, its size, its root.")
        size, root = parse_size(lines[1]), decode64(lines[2], "root")
        if len(root) != HASH_BYTES:
            raise InvalidInput(f"The root of a tree has {HASH_BYTES} bytes, this one {len(root)}.")
        if size == 0 and root != EMPTY_ROOT:
            raise InvalidInput("The checkpoint of an empty log does not have the root of an empty tree.")
        return cls(lines[0], size, root)

    def __str__(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{encode64(self.root)}\n"

    def signed(self, signer: Signer) -> Note:
        """The checkpoint as its log signs it."""
        return sign(str(self), signer)


def open_checkpoint(note: Note, log: VerifierKey) -> Checkpoint:
    """The checkpoint that a log signed.

    Raises:
        InvalidInput: the note is none.
        Corrupt: the log did not sign it, or it is of another log.
    """
    check_signed(note, log)
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != log.name:
        raise Corrupt(f"The checkpoint is of the log {checkpoint.origin[:80]}, the key of {log.name}.")
    return checkpoint


def cosign(note: Note, witness: Signer, at: datetime) -> Note:
    """The checkpoint with a witness's signature, in place of an earlier one of the same witness."""
    seconds = int(at.timestamp())
    value = seconds.to_bytes(_TIME_BYTES, "big") + witness.sign(_cosigned(note, seconds))
    return note.with_signature(Signature(witness.name, witness.verifier.key_id, value))


def check_cosigned(note: Note, witness: VerifierKey) -> datetime:
    """When a witness cosigned a checkpoint.

    Raises:
        InvalidInput: the key is not a witness's.
        Corrupt: it did not, or its signature does not match the checkpoint.
    """
    if witness.algorithm is not Algorithm.COSIGNATURE:
        raise InvalidInput(f"The key of {witness.name} is not that of a witness.")
    signatures = note.of(witness)
    if not signatures:
        raise Corrupt(f"The checkpoint is not cosigned by {witness.name} with key {witness.key_id.hex()}.")
    return min(_time(note, witness, signatures))


def _time(note: Note, witness: VerifierKey, signatures: Sequence[Signature]) -> list[datetime]:
    times = []
    for signature in signatures:
        seconds = int.from_bytes(signature.value[:_TIME_BYTES], "big")
        value = signature.value[_TIME_BYTES:]
        if len(value) != _SIGNATURE_BYTES or not witness.verify(value, _cosigned(note, seconds)):
            raise Corrupt(f"The cosignature of {witness.name} does not match the checkpoint.")
        times.append(_moment(seconds, witness))
    return times


def _moment(seconds: int, witness: VerifierKey) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        raise Corrupt(
            f"The cosignature of {witness.name} has a time that lies outside the calendar."
        ) from None


def _cosigned(note: Note, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{note.text}".encode()

"""What a log hands out, as text: the proof of one entry for a court (C2SP tlog-proof), and the proof for a witness
that a checkpoint goes on from an earlier one (the request of C2SP tlog-witness)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from likeness.domain.errors import InvalidInput
from likeness.transparency.checkpoint import Checkpoint, check_cosigned, open_checkpoint, parse_size
from likeness.transparency.disclosure import Disclosure
from likeness.transparency.merkle import HASH_BYTES, check_inclusion
from likeness.transparency.note import MAX_NOTE_BYTES, Note, VerifierKey, checked_text, decode64, encode64

MAX_PROOF_BYTES = 8 << 20
"""Of a proof with its entry, of which the store takes 4 MiB as JSON."""

MAX_HASHES = 63
_TITLE = "c2sp.org/tlog-proof@v1"
_EXTRA, _INDEX, _OLD = "extra ", "index ", "old "


@dataclass(frozen=True, slots=True)
class EntryProof:
    """That one entry is in the log: the entry, the hashes from it to the root, and the signed checkpoint."""

    entry: Disclosure
    hashes: tuple[bytes, ...]
    note: Note

    @classmethod
    def parse(cls, data: bytes) -> EntryProof:
        """Read a proof; nothing is verified.

        Raises:
            InvalidInput: it is none.
        """
        head, note = _parts(data, MAX_PROOF_BYTES, "proof")
        wrong = InvalidInput(f"The file is not the proof of an audit entry; it does not begin with {_TITLE}.")
        if len(head) < 3 or head[0] != _TITLE:
            raise wrong
        if not (head[1].startswith(_EXTRA) and head[2].startswith(_INDEX)):
            raise wrong
        index = parse_size(head[2].removeprefix(_INDEX))
        entry = Disclosure.decode(index + 1, decode64(head[1].removeprefix(_EXTRA), "entry"))
        return cls(entry, _hashes(head[3:]), note)

    def __str__(self) -> str:
        """The proof as it is handed out."""
        lines = [_TITLE, f"{_EXTRA}{encode64(self.entry.encode())}", f"{_INDEX}{self.entry.position - 1}"]
        return "\n".join([*lines, *map(encode64, self.hashes), "", str(self.note)])


@dataclass(frozen=True, slots=True)
class Proven:
    """What a proof shows: the entry, the log's checkpoint that holds it, and when each witness cosigned that."""

    entry: Disclosure
    checkpoint: Checkpoint
    witnessed: dict[str, datetime]


def check_proof(proof: EntryProof, log: VerifierKey, witnesses: Sequence[VerifierKey] = ()) -> Proven:
    """Check a proof with the keys of a log and of witnesses, every one of which must have cosigned.

    Raises:
        Corrupt: it does not hold.
        InvalidInput: the note is no checkpoint, or a key is not a witness's.
    """
    checkpoint = open_checkpoint(proof.note, log)
    witnessed = {witness.name: check_cosigned(proof.note, witness) for witness in witnesses}
    index = proof.entry.position - 1
    check_inclusion(proof.entry.leaf, index, checkpoint.size, checkpoint.root, proof.hashes)
    return Proven(proof.entry, checkpoint, witnessed)


@dataclass(frozen=True, slots=True)
class Growth:
    """That a signed checkpoint goes on from the log as it was at the size `old`; for a witness."""

    old: int
    note: Note
    hashes: tuple[bytes, ...] = field(default_factory=tuple)

    @classmethod
    def parse(cls, data: bytes) -> Growth:
        """Read such a proof, or a checkpoint alone, which goes on from the empty log; nothing is verified.

        Raises:
            InvalidInput: it is neither.
        """
        if not is_growth(data):
            return cls(0, Note.parse(data))
        head, note = _parts(data, MAX_NOTE_BYTES, "checkpoint")
        return cls(parse_size(head[0].removeprefix(_OLD)), note, _hashes(head[1:]))

    def __str__(self) -> str:
        """The proof as it is handed out."""
        return "\n".join([f"{_OLD}{self.old}", *map(encode64, self.hashes), "", str(self.note)])


def is_growth(data: bytes) -> bool:
    """Whether a file begins as the proof for a witness does, and not as a checkpoint."""
    return data.startswith(_OLD.encode())


def _parts(data: bytes, limit: int, what: str) -> tuple[list[str], Note]:
    """The lines before the first empty one, and the note after it."""
    head, separator, rest = checked_text(data, limit, what).partition("\n\n")
    if not separator:
        raise InvalidInput(f"The {what} is cut off: it has no empty line before the log's checkpoint.")
    return head.split("\n"), Note.parse(rest.encode())


def _hashes(lines: Sequence[str]) -> tuple[bytes, ...]:
    if len(lines) > MAX_HASHES:
        raise InvalidInput(f"A proof has at most {MAX_HASHES} hashes, this one {len(lines)}.")
    hashes = tuple(decode64(line, "hash of the proof") for line in lines)
    if any(len(found) != HASH_BYTES for found in hashes):
        raise InvalidInput(f"A hash of the proof does not have {HASH_BYTES} bytes.")
    return hashes

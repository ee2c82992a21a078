"""A witness: it remembers the last checkpoint of a log that it saw, and cosigns one that goes on from it.

What a witness has cosigned the log can neither change nor take back without being found out: a checkpoint of a
changed, shortened or forked log goes on from none that came before.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from likeness.domain.errors import Corrupt, InvalidInput, LikenessError, NotFound, Stale
from likeness.transparency.checkpoint import Checkpoint, check_cosigned, cosign, open_checkpoint
from likeness.transparency.files import read_private, write_private
from likeness.transparency.merkle import EMPTY_ROOT, check_consistency
from likeness.transparency.note import MAX_NOTE_BYTES, Algorithm, Note, Signer, VerifierKey
from likeness.transparency.proof import Growth

_MAX_FILE_BYTES = 2 * MAX_NOTE_BYTES
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Witness:
    """Its own key, the key of the log that it watches, and the last checkpoint that it cosigned, if any.

    `former` is the key that signed that checkpoint, where the log has another since.
    """

    signer: Signer
    log: VerifierKey
    cosigned: Note | None = None
    former: VerifierKey | None = None

    @classmethod
    def new(cls, name: str, log: VerifierKey) -> Witness:
        """A witness with a key of its own that has seen nothing yet.

        Raises:
            InvalidInput: the name is none, or the key is not a log's.
        """
        _check_of_log(log)
        return cls(Signer.generate(name, Algorithm.COSIGNATURE), log)

    def with_key(self, log: VerifierKey) -> Witness:
        """The witness of the log with another key; what it has seen stays, and the next checkpoint goes on from it.

        Raises:
            InvalidInput: the key is not a log's.
        """
        _check_of_log(log)
        former = None if self.cosigned is None else self.former or self.log
        return replace(self, log=log, former=None if former == log else former)

    @property
    def seen(self) -> Checkpoint:
        """The last checkpoint; that of the empty log before the first."""
        if self.cosigned is None:
            return Checkpoint(self.log.name, 0, EMPTY_ROOT)
        return Checkpoint.parse(self.cosigned.text)

    def follow(self, growth: Growth, at: datetime) -> Witness:
        """The witness after it has checked and cosigned one more checkpoint.

        Raises:
            InvalidInput: what is given is no checkpoint.
            Stale: its proof is from another size than that of the last checkpoint; the message names it.
            Corrupt: the log did not sign it, or it does not go on from the last checkpoint: the log was changed.
        """
        checkpoint, seen = open_checkpoint(growth.note, self.log), self.seen
        if checkpoint.size < seen.size:
            raise Corrupt(
                f"The log {self.log.name} has {checkpoint.size} entries, after {seen.size} that this witness has "
                "seen: it was cut off or is an older copy. Keep both checkpoints: they prove it."
            )
        if checkpoint.size == seen.size or not seen.size:
            check_consistency(seen.size, seen.root, checkpoint.size, checkpoint.root, [])
        elif growth.old != seen.size:
            raise Stale(
                f"The proof is from {growth.old} entries, and this witness has seen {seen.size}: ask for one from "
                f"there, with --since {seen.size}.",
                metadata={"size": str(seen.size)},
            )
        else:
            check_consistency(seen.size, seen.root, checkpoint.size, checkpoint.root, growth.hashes)
        # What others signed is not the witness's to store: nothing limits it but the length of a note.
        signature = next(iter(growth.note.of(self.log)))
        cosigned = cosign(Note(growth.note.text, (signature,)), self.signer, at)
        return replace(self, cosigned=cosigned, former=None)

    def encode(self) -> bytes:
        """The content of its file."""
        content = {
            "version": _VERSION,
            "key": self.signer.private_text,
            "log": str(self.log),
            "cosigned": "" if self.cosigned is None else str(self.cosigned),
        }
        if self.former is not None:
            content["former"] = str(self.former)
        return json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Witness:
        """Read what `encode` wrote.

        Raises:
            ValueError, KeyError, TypeError, LikenessError: it is something else.
        """
        content = json.loads(data)
        if content["version"] != _VERSION:
            raise ValueError(f"version {content['version']!r} is not known")
        signer, log = Signer.parse(content["key"]), VerifierKey.parse(content["log"])
        cosigned = Note.parse(content["cosigned"].encode()) if content["cosigned"] else None
        former = VerifierKey.parse(content["former"]) if "former" in content else None
        if cosigned is not None:
            open_checkpoint(cosigned, former or log)
            check_cosigned(cosigned, signer.verifier)
        return cls(signer, log, cosigned, former)


def _check_of_log(key: VerifierKey) -> None:
    if key.algorithm is not Algorithm.ED25519:
        raise InvalidInput(f"The key of {key.name} is not that of a log.")


def create(path: Path, name: str, log: VerifierKey) -> Witness:
    """A new witness with its file, mode 0600.

    Raises:
        InvalidInput: the name is none, or the key is not a log's.
        Conflict: the file exists; a witness is never overwritten.
        Unavailable: it cannot be written.
    """
    witness = Witness.new(name, log)
    write_private(path, witness.encode(), replace=False)
    return witness


def load(path: Path) -> Witness:
    """Read a witness's file.

    Raises:
        NotFound: there is none.
        Precondition: others can read it.
        Corrupt: it was changed.
    """
    try:
        data = read_private(path, _MAX_FILE_BYTES)
    except FileNotFoundError as error:
        raise NotFound(f"There is no witness {path}; `likeness audit witness init` makes one.") from error
    try:
        return Witness.decode(data)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, Corrupt, InvalidInput) as error:
        raise Corrupt(
            f"{path} is not the file of a witness, or was changed; restore it from a copy."
        ) from error


def update(path: Path, growth: Growth, at: datetime) -> Witness:
    """Let the witness of a file check and cosign a checkpoint; remembered before it is returned.

    Raises:
        LikenessError: as `load`, `Witness.follow` and `write_private`; the file is as it was.
    """
    with _alone(path):
        witness = load(path).follow(growth, at)
        data = witness.encode()
        if not _is_readable(data, witness):
            raise InvalidInput("The checkpoint is too long to be cosigned; the witness stays as it is.")
        write_private(path, data, replace=True)
    return witness


def change_key(path: Path, log: VerifierKey) -> Witness:
    """Let the witness of a file take another key of its log; see `Witness.with_key`.

    Raises:
        LikenessError: as `load`, `Witness.with_key` and `write_private`; the file is as it was.
    """
    with _alone(path):
        witness = load(path).with_key(log)
        write_private(path, witness.encode(), replace=True)
    return witness


def _is_readable(data: bytes, witness: Witness) -> bool:
    """Whether the content of a file is read as this witness, which must not be lost for a checkpoint."""
    try:
        return len(data) <= _MAX_FILE_BYTES and Witness.decode(data) == witness
    except LikenessError:
        return False


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Of two updates at once the later one sees what the earlier one remembered."""
    try:
        folder = os.open(path.resolve().parent, os.O_RDONLY)
    except FileNotFoundError as error:
        raise NotFound(f"There is no witness {path}; `likeness audit witness init` makes one.") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)

"""The key that the audit's checkpoints, and whatever else a store states to others, are signed with (Ed25519).

It is apart from the key ring, which encrypts: the ring is rotated, while this key's public half is what witnesses
and courts hold. It lies where the ring lies, and is backed up with it.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from likeness.domain.errors import Conflict, Corrupt, InvalidInput, Precondition
from likeness.transparency.files import read_private, write_private
from likeness.transparency.note import Algorithm, Signer, VerifierKey

_MAX_FILE_BYTES = 4096

_REPLACE = (
    "If it is lost for good, `likeness keys replace-signing-key` makes another, for every witness to take."
)


def signing_key(path: Path, origin: str = "", *, known: str = "") -> Signer:
    """The signing key in a file; it is made where there is none, and no other is known.

    Args:
        path: the file.
        origin: the name of the log that the key signs for; empty takes that of the file, or a random one for a new
            file.
        known: the verifier key that the store has on record, by which witnesses know the log; empty where it has
            none yet.

    Raises:
        InvalidInput: the origin is no name of a key.
        Precondition: others can read the file, or its key is that of another log than `origin`; or it is missing or
            another one than is known.
        Corrupt: it holds no signing key.
        Unavailable: it cannot be read or written.
    """
    try:
        signer = _read(path)
    except FileNotFoundError:
        if known:
            raise _lost(path, known) from None
        signer = _made(path, origin)
    if known and str(signer.verifier) != known:
        raise Precondition(
            f"{path} has the signing key {_short(signer.verifier)}, and the checkpoints of this store's audit are "
            f"signed with {_short(known)}: put that key back from its backup. {_REPLACE}",
            reason="SIGNING_KEY_OF_ANOTHER_LOG",
        )
    if origin and signer.name != origin:
        raise Precondition(
            f"{path} has the signing key of {signer.name}, and the setting audit.origin is {origin}. Witnesses "
            "know the log by the name in the file: set that, or name another file as audit.signing_key.",
        )
    return signer


def new_signer(origin: str = "") -> Signer:
    """A new key for a log of this name, or of a random one.

    Raises:
        InvalidInput: the origin is no name of a key.
    """
    return Signer.generate(origin or f"likeness/{secrets.token_hex(8)}")


def put_signer(path: Path, signer: Signer) -> None:
    """Put a key in the place of the one in a file, or of one that was lost.

    Raises:
        Unavailable: the file cannot be written.
    """
    write_private(path, _content(signer), replace=True)


def _content(signer: Signer) -> bytes:
    return f"{signer.private_text}\n".encode()


def _lost(path: Path, known: str) -> Precondition:
    return Precondition(
        f"The signing key {path} is missing, and the checkpoints of this store's audit are signed with the key "
        f"{_short(known)}: put it back from its backup. {_REPLACE}",
        reason="SIGNING_KEY_MISSING",
    )


def _short(key: VerifierKey | str) -> str:
    """Name and id of a verifier key."""
    return str(key).rpartition("+")[0] if str(key).count("+") == 2 else str(key)[:80]


def _made(path: Path, origin: str) -> Signer:
    signer = new_signer(origin)
    try:
        write_private(path, _content(signer), replace=False)
    except Conflict:
        return _read(path)  # another process made it in between: theirs is the one
    return signer


def _read(path: Path) -> Signer:
    data = read_private(path, _MAX_FILE_BYTES)
    try:
        signer = Signer.parse(data.decode())
    except (InvalidInput, UnicodeDecodeError) as error:
        raise Corrupt(f"{path} does not hold a signing key; restore it from its backup.") from error
    if len(data) > _MAX_FILE_BYTES or signer.algorithm is not Algorithm.ED25519:
        raise Corrupt(f"{path} does not hold the signing key of a log; restore it from its backup.")
    return signer

"""The key that the audit's checkpoints, and whatever else a store states to others, are signed with (Ed25519).

It is apart from the key ring, which encrypts: the ring is rotated, while this key's public half is what witnesses
and courts hold. It lies where the ring lies, and is backed up with it.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from likeness.domain.errors import Conflict, Corrupt, InvalidInput, Precondition
from likeness.transparency.files import read_private, write_private
from likeness.transparency.note import Algorithm, Signer

_MAX_FILE_BYTES = 4096


def signing_key(path: Path, origin: str = "") -> Signer:
    """The signing key in a file; it is made where there is none.

    Args:
        path: the file.
        origin: the name of the log that the key signs for; empty takes that of the file, or a random one for a new
            file.

    Raises:
        InvalidInput: the origin is no name of a key.
        Precondition: others can read the file, or its key is that of another log than `origin`.
        Corrupt: it holds no signing key.
        Unavailable: it cannot be read or written.
    """
    try:
        signer = _read(path)
    except FileNotFoundError:
        signer = _made(path, origin or f"likeness/{secrets.token_hex(8)}")
    if origin and signer.name != origin:
        raise Precondition(
            f"{path} has the signing key of {signer.name}, and the setting audit.origin is {origin}. Witnesses "
            "know the log by the name in the file: set that, or name another file as audit.signing_key.",
        )
    return signer


def _made(path: Path, origin: str) -> Signer:
    signer = Signer.generate(origin)
    try:
        write_private(path, f"{signer.private_text}\n".encode(), replace=False)
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

"""SHA-256 of files: the one check that stands before every parser of a model."""

from __future__ import annotations

import hashlib
from pathlib import Path

_READ_BLOCK = 1 << 20  # bytes per read while hashing


def file_sha256(path: Path) -> str:
    """SHA-256 of a file as 64 lower-case hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BLOCK):
            digest.update(block)
    return digest.hexdigest()

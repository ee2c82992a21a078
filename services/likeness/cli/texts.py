"""Files of text that commands read and write: proofs and checkpoints, which people hand to each other."""

from __future__ import annotations

from pathlib import Path

from likeness.domain.errors import InvalidInput


def read_limited(path: Path, limit: int) -> bytes:
    """The bytes of a file.

    Raises:
        InvalidInput: there are more than `limit`.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise InvalidInput(f"{path} has more than {limit} bytes; it is not what it should be.")
    return data


def write_text(path: Path, text: str) -> None:
    """Write a partial file and then rename it.

    Raises:
        OSError: it cannot be written.
    """
    partial = path.with_name(path.name + ".part")
    partial.write_text(text, encoding="utf-8", newline="")
    partial.replace(path)

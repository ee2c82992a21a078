"""The file of what was rejected, with the reasons, for whoever mends the photographs. One per run."""

from __future__ import annotations

import csv
import io
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from likeness.domain.errors import InvalidInput
from likeness.domain.text import json_line, printable

COLUMNS = ("path", "reason", "message", "sha256")


@dataclass(frozen=True, slots=True)
class Reject:
    """One file that was not enrolled."""

    path: str
    reason: str
    message: str
    sha256: str = ""


def check(path: Path) -> None:
    """Refuse early what could not be written after hours of work.

    Raises:
        InvalidInput: the ending is neither .csv nor .jsonl, or the folder cannot be written to.
    """
    if path.suffix not in (".csv", ".jsonl"):
        raise InvalidInput(f"The rejects file {path} must end in .csv or .jsonl.")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise InvalidInput(f"The folder of the rejects file {path} cannot be written to; name another.")


def write(path: Path, rejects: Sequence[Reject]) -> Path:
    """Write the file as its ending asks, by a partial file that is renamed; never over another.

    Texts are on one line each: unprintable characters, and bytes of a path that are not UTF-8, are escapes. In JSON
    they are JSON's own, from which the path can be read back as it is.

    Returns:
        The file: `path`, or where that exists `NAME-2.csv`, `NAME-3.csv` and so on.

    Raises:
        OSError: it cannot be written.
    """
    text = _text(path, rejects)
    path = _reserved(path)
    partial = path.with_name(path.name + ".part")
    try:
        partial.write_text(text, encoding="utf-8", newline="")
        partial.replace(path)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path


def _reserved(path: Path) -> Path:
    """A name that nobody has, taken by an empty file, so that two runs at once do not take the same."""
    for number in itertools.count(1):
        free = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        try:
            free.open("x").close()
        except FileExistsError:
            continue
        return free
    raise AssertionError("itertools.count ends")


def _text(path: Path, rejects: Sequence[Reject]) -> str:
    rows = [{name: getattr(reject, name) for name in COLUMNS} for reject in rejects]
    if path.suffix == ".jsonl":
        return "".join(json_line(row) + "\n" for row in rows)
    buffer = io.StringIO()
    table = csv.DictWriter(buffer, COLUMNS)
    table.writeheader()
    table.writerows({name: printable(text) for name, text in row.items()} for row in rows)
    return buffer.getvalue()

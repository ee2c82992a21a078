"""The file of what was rejected, with the reasons, for whoever mends the photographs."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from likeness.domain.errors import InvalidInput

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


def write(path: Path, rejects: Sequence[Reject]) -> None:
    """Write the file as its ending asks, beside and renamed.

    Raises:
        OSError: it cannot be written.
    """
    rows = [{name: getattr(reject, name) for name in COLUMNS} for reject in rejects]
    if path.suffix == ".jsonl":
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    else:
        buffer = io.StringIO()
        table = csv.DictWriter(buffer, COLUMNS)
        table.writeheader()
        table.writerows(rows)
        text = buffer.getvalue()
    beside = path.with_name(path.name + ".part")
    beside.write_text(text, encoding="utf-8", newline="")
    beside.replace(path)

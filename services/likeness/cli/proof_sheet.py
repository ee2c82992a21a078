"""What a proof shows, as JSON and as lines for a person; with the packages of the extra `witness` alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from likeness.cli.output import plain_table
from likeness.domain.errors import InvalidInput
from likeness.transparency.note import encode64
from likeness.transparency.proof import Proven


def proven_document(proven: Proven) -> dict[str, Any]:
    """What was proved, for JSON, with the entry as it says of itself.

    Raises:
        InvalidInput: the entry is no JSON object, or has no time of the calendar.
    """
    entry, checkpoint = proven.entry, proven.checkpoint
    return {
        "log": checkpoint.origin,
        "position": entry.position,
        "time": _time(entry.at),
        "size": checkpoint.size,
        "root": encode64(checkpoint.root),
        "digest": entry.digest.hex(),
        "cosigned": {name: at.isoformat() for name, at in proven.witnessed.items()},
        "entry": _labelled(_body(entry.body)),
        "verdict": _verdict(proven),
    }


def _verdict(proven: Proven) -> str:
    names = sorted(proven.witnessed)
    count = "1 witness" if len(names) == 1 else f"{len(names)} witnesses"
    by = f"{count} ({', '.join(names)})" if names else ""
    return (
        f"proved: the audit of {proven.checkpoint.origin} holds this entry; cosigned by "
        f"{by or 'no witness that you named'}"
    )


_CANDIDATE = ("reference_id", "score", "fmr", "measurable", "owner", "level")
"""What an entry says of a candidate, in this order; entries of older releases end earlier."""


def _named(row: list[Any]) -> dict[str, Any]:
    named = dict(zip(_CANDIDATE, row, strict=False))
    if isinstance(named.get("level"), str):
        named["level"] = named["level"].lower()
    return named


def _labelled(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry with a name at each part of its candidates, as `likeness audit show` has them."""
    candidates = entry.get("candidates")
    if not isinstance(candidates, list) or not all(isinstance(row, list) for row in candidates):
        return entry
    return {**entry, "candidates": [_named(row) for row in candidates]}


def _time(micros: int) -> str:
    """The time of an entry.

    Raises:
        InvalidInput: no such moment exists in the calendar.
    """
    try:
        seconds, rest = divmod(micros, 1_000_000)
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest).isoformat()
    except (OverflowError, ValueError, OSError):
        raise InvalidInput("The time of the proven entry lies outside the calendar.") from None


def _body(body: bytes) -> dict[str, Any]:
    """What an entry says.

    Raises:
        InvalidInput: it is no JSON object.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise InvalidInput("The proven entry is not a JSON object.")
    return content


def rows(*documents: dict[str, Any]) -> Table:
    """Names and values, those that say nothing left out; lists of structures by lines, other structures as JSON."""
    table = plain_table("", "")
    table.show_header = False
    for name, value in (pair for document in documents for pair in document.items()):
        if value not in ("", None, [], {}):
            table.add_row(name.replace("_", " "), _shown(value))
    return table


def _shown(value: object) -> str:
    """A value in one cell: of a list of candidates a line for each."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):
        return "\n".join(
            ", ".join(f"{_LABELS.get(k, k)} {_shown(v)}" for k, v in one.items() if v is not None)
            for one in value
        )
    return json.dumps(value, ensure_ascii=False)


_LABELS = {"reference_id": "reference", "fmr": "false match rate", "measurable": "rate measurable"}
"""What the parts of a candidate are called to a person."""

"""`likeness audit export`: the record of a case, of a subject, or of an owner's references, for others to read."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TextIO

import sqlalchemy as sa
import typer

from likeness.app.settings import Settings
from likeness.cli.acts import Operator, put_on_record
from likeness.cli.audit_filters import Since, Until, filters_named, mistyped, moment
from likeness.cli.audit_sheet import audit_document
from likeness.cli.failures import Exit, Stopped
from likeness.cli.local_store import read_only, seals
from likeness.cli.output import meter, note, warn
from likeness.cli.settings_options import configured
from likeness.cli.words import plural
from likeness.domain.audit import JsonValue
from likeness.domain.errors import NotFound
from likeness.domain.operators import HostAct
from likeness.domain.oversight import Received
from likeness.domain.text import printable
from likeness.store.audit import AuditRecord
from likeness.store.audit_search import AuditFilter, find, references_of
from likeness.store.received import received
from likeness.store.sealing import Seals

EXAMPLES = (
    "Examples: `likeness audit export --case 2026-114 --out case.json`, "
    "`likeness audit export --owner NCB-FR --format csv --out ncb-fr.csv`"
)

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that a spreadsheet computes (OWASP, CSV injection)."""

Row = Mapping[str, object]


class Format(StrEnum):
    """How an export is written: an object in each line, or a table."""

    JSON = "json"
    CSV = "csv"


@configured()
def export(
    *,
    case: Annotated[str, typer.Option(help="Whole entries of this case.", show_default=False)] = "",
    subject: Annotated[
        str,
        typer.Option(
            metavar="OWNER/SUBJECT",
            help="Whole entries that name or answer a reference of this subject.",
            show_default=False,
        ),
    ] = "",
    owner: Annotated[
        str,
        typer.Option(
            help="Who received which references of this owner, without the cases, probes and persons of others.",
            show_default=False,
        ),
    ] = "",
    since: Since = None,
    until: Until = None,
    form: Annotated[Format, typer.Option("--format", help="Lines of JSON, or a table.")] = Format.JSON,
    out: Annotated[
        Path | None, typer.Option(help="The file to write. Default: standard output.", show_default=False)
    ] = None,
    operator: Operator = "",
    settings: Settings,
) -> None:
    """Export a part of the audit: by case or subject for who answers for it, by owner for that owner."""
    if sum(map(bool, (case, subject, owner))) != 1:
        raise Stopped("Give one of --case, --subject and --owner.", Exit.USAGE)
    opened = seals(settings)
    asked: dict[str, JsonValue] = {"case": case, "subject": subject, "owner": owner}
    times = {"since": moment(since), "until": moment(until)}
    asked |= {name: at.isoformat() for name, at in times.items() if at is not None}
    entry = put_on_record(
        settings,
        HostAct.EXPORT_AUDIT,
        operator,
        filters={name: value for name, value in asked.items() if value},
        details={"format": form.value, "file": "" if out is None else str(out)},
    )
    with read_only(settings) as connection, _opened(out) as file, meter("looking through the audit") as step:
        wanted = AuditFilter(
            case=case,
            owner=owner,
            references=_of_subject(connection, opened, subject) if subject else None,
            since=times["since"],
            until=times["until"],
        )
        records = find(connection, opened, wanted, 0, entry.position - 1, step)
        rows = map(_row, received(connection, records, owner)) if owner else map(_whole, records)
        columns = _RECEIVED if owner else _WHOLE
        count = _write_csv(file, rows, columns) if form is Format.CSV else _write_lines(file, rows)
        doubts = [] if count else list(mistyped(connection, wanted))
    if not count:
        named = filters_named(replace(wanted, references=None), {"--subject": subject})
        note(f"No entry matches {named}.")
    for doubt in doubts:
        warn(doubt)
    note(f"{plural(count, 'line')} of the audit exported" + (f" to {out}" if out else ""))


_RECEIVED = ("time", "position", "entity", "purpose", "method", "reference_id", "level")
"""What an owner may know of who received its references; its own case and persons are in its own export."""

_WHOLE = (
    *("time", "position", "digest", "rpc", "outcome", "entity", "principal", "person", "operator", "purpose"),
    *(
        "case_reference",
        "modality",
        "probe",
        "searched",
        "candidates",
        "shown",
        "filters",
        "options",
        "details",
    ),
    *("model", "calibration", "generation", "log_position", "policy", "decided_by"),
)


def _row(one: Received) -> Row:
    level = "" if one.level is None else one.level.name.lower()
    values = (
        one.at.isoformat(),
        one.position,
        one.entity,
        one.purpose.value,
        one.method,
        one.reference_id,
        level,
    )
    return dict(zip(_RECEIVED, values, strict=True))


def _whole(record: AuditRecord) -> Row:
    document = audit_document(record)
    return {name: document[name] for name in _WHOLE}


def _of_subject(connection: sa.Connection, opened: Seals, subject: str) -> frozenset[str]:
    """The references of a subject; where the slash is not the only one, an owner's name may hold some of them."""
    parts = subject.split("/")
    splits = [("/".join(parts[:n]), "/".join(parts[n:])) for n in range(1, len(parts))]
    names = [(owner, name) for owner, name in splits if owner and name]
    if not names:
        raise Stopped(f"--subject: write OWNER/SUBJECT, not {printable(subject)!r}.", Exit.USAGE)
    found = frozenset[str]().union(*(references_of(connection, opened, *one) for one in names))
    if not found:
        raise NotFound(
            f"There is no reference of a subject {printable(subject)!r}. An expunged one no longer says whose it "
            "was: find its entries by its identifier, with `likeness audit show --reference`."
        )
    return found


def _write_lines(file: TextIO, rows: Iterable[Row]) -> int:
    """Write an object in each line; returns how many."""
    return sum(1 for row in rows if file.write(json.dumps(row, separators=(",", ":")) + "\n"))


def _write_csv(file: TextIO, rows: Iterable[Row], columns: tuple[str, ...]) -> int:
    """Write a table with a line of heads; returns how many lines came after it."""
    writer = csv.writer(file)
    writer.writerow(columns)
    return sum(1 for row in rows if writer.writerow([_cell(row[name]) for name in columns]))


def _cell(value: object) -> str:
    """A cell that no spreadsheet takes for a formula, on one line."""
    if isinstance(value, int | float):
        return str(value)
    text = printable(value) if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return f"'{text}" if text.startswith(_FORMULA) else text


@contextmanager
def _opened(out: Path | None) -> Iterator[TextIO]:
    """Standard output, or a partial file of the user's own that is renamed once it is whole and on disk."""
    if out is None:
        yield sys.stdout
        return
    partial = out.with_name(f"{out.name}.part")
    own: Callable[[str, int], int] = lambda path, flags: os.open(path, flags, 0o600)  # noqa: E731
    try:
        with open(partial, "w", encoding="utf-8", newline="", opener=own) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)

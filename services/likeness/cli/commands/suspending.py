"""`likeness policy suspend`, `resume` and `suspended`: entities that are cut off."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated

import typer

from likeness.access.directory import read_directory
from likeness.access.sources import Sources
from likeness.access.suspensions import Suspension, load_suspensions, note_record
from likeness.access.suspensions import resume as let_in
from likeness.access.suspensions import suspend as cut_off
from likeness.app.access import sources_of
from likeness.app.settings import Settings
from likeness.cli.acts import Operator, put_on_record, this_user
from likeness.cli.failures import Exit, Stopped
from likeness.cli.option_checks import check_texts
from likeness.cli.options import AsJson
from likeness.cli.output import Output, note, plain_table
from likeness.cli.settings_options import configured
from likeness.cli.words import plural
from likeness.domain.audit import JsonValue
from likeness.domain.errors import InvalidInput, LikenessError, Unavailable
from likeness.domain.operators import HostAct
from likeness.store.act_socket import check_operator

PATIENCE = 5.0
"""Seconds that the record of a suspension may take, which is in force already."""


@configured()
def suspend(
    entity: Annotated[str, typer.Argument(help="The entity that is cut off.", show_default=False)],
    *,
    reason: Annotated[
        str, typer.Option(help="Why; for the record, and for `likeness policy suspended`.")
    ] = "",
    operator: Operator = "",
    settings: Settings,
) -> None:
    """Cut an entity off: its calls are denied, and those that are open end.

    It is cut off first and put on record then, so that nothing hinders it; exit code 1 if it is not on record.
    """
    check_texts({"entity": entity, "reason": reason})
    check_operator(operator)
    sources = sources_of(settings)
    directory = read_directory(sources.directory.read_bytes(), str(sources.directory))
    if entity not in directory.entities:
        near = difflib.get_close_matches(entity, directory.entities, n=3)
        remedy = f"did you mean {' or '.join(near)}?" if near else "check its name."
        raise InvalidInput(f"The directory has no entity '{entity}'; {remedy}")
    by = operator or this_user().principal
    try:
        suspension = cut_off(sources.suspensions, entity, reason, by=by, like=sources.directory)
    except OSError as error:
        raise _unwritable(sources, error) from error
    note(f"{entity} is cut off since {suspension.since:%Y-%m-%d %H:%M:%S} UTC")
    details: dict[str, JsonValue] = {"entity": entity, "reason": reason}
    try:
        entry = put_on_record(settings, HostAct.SUSPEND_ENTITY, operator, details=details, patience=PATIENCE)
        note_record(sources.suspensions, entity, entry.position, like=sources.directory)
    except (LikenessError, OSError) as error:
        raise Stopped(
            f"{entity} is cut off, and that is not on record: {error} Run the same command again once it can be.",
            Exit.PARTLY,
        ) from error


@configured()
def resume(
    entity: Annotated[str, typer.Argument(help="The entity that may call again.", show_default=False)],
    *,
    operator: Operator = "",
    settings: Settings,
) -> None:
    """Let an entity that was cut off call again; refused where that cannot be put on record."""
    check_texts({"entity": entity})
    sources = sources_of(settings)
    if entity not in _suspended(sources):
        raise InvalidInput(f"The entity '{entity}' is not cut off; nothing was changed.")
    put_on_record(settings, HostAct.RESUME_ENTITY, operator, details={"entity": entity})
    try:
        let_in(sources.suspensions, entity, like=sources.directory)
    except OSError as error:
        raise _unwritable(sources, error) from error
    note(f"{entity} may call again")


@configured()
def suspended(*, settings: Settings, as_json: AsJson = None) -> None:
    """List the entities that are cut off: since when, by whom, why, and the audit entry that says so.

    Where their bureau did it, by whom for which of its entities; else an operator did.
    """
    rows = _suspended(sources_of(settings))
    output = Output(as_json)
    table = plain_table("Entity", "Since", "By", "Reason", "Audit entry", whole=("Entity",))
    for entity, row in rows.items():
        document = {
            "entity": entity,
            "since": row.since.isoformat(),
            "by": row.by,
            "caller": row.caller,
            "reason": row.reason,
            "audit_position": row.audit,
        }
        if output.as_json:
            output.answer(document, "")
        entry = str(row.audit or "not on record")
        by = (row.by or "unknown") + (f" for {row.caller}" if row.caller else "")
        table.add_row(entity, f"{row.since:%Y-%m-%d %H:%M} UTC", by, row.reason, entry)
    if rows and not output.as_json:
        output.answer({}, table)
    note(f"{plural(len(rows), 'entity', 'entities')} cut off")


def _suspended(sources: Sources) -> Mapping[str, Suspension]:
    """What the file of suspensions has, by entity.

    Raises:
        InvalidInput: it is malformed, or cannot be read.
    """
    path = sources.suspensions
    try:
        return load_suspensions(path)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error


def _unwritable(sources: Sources, error: OSError) -> Unavailable:
    return Unavailable(
        f"{sources.suspensions} cannot be written ({error.strerror}); run this as whoever may write its folder."
    )

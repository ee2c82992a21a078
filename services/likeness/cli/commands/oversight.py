"""`likeness oversight`: a bureau cuts its entities off, and reads who received its references."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated

import typer

from likeness.cli import documents
from likeness.cli.audit_filters import Since, Until, moment
from likeness.cli.caller import Asking, asks
from likeness.cli.connection import connect
from likeness.cli.failures import Commands, Exit, Stopped
from likeness.cli.options import AsJson
from likeness.cli.output import Output, note, plain_table, warn
from likeness.cli.words import filters_words, plural
from likeness.domain.text import printable
from likeness.rpc.convert.texts import with_printable_texts
from likeness.v1 import common_pb2 as common
from likeness.v1 import oversight_pb2 as oversight

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="A bureau over its entities: cut one off, resume it, list them, and read who received references. Of a "
    "server with policies, over mutual TLS.",
)

Target = Annotated[str, typer.Argument(metavar="NAME", help="The entity that is meant.", show_default=False)]


@app.command(
    epilog="Example: `likeness oversight suspend FR-PJ --reason 'key lost' --entity FR-BORDER`; --entity is "
    "another entity of the bureau, in whose name you ask."
)
@asks(modality=False)
def suspend(
    target: Target,
    *,
    reason: Annotated[str, typer.Option(help="Why; for the record, and for who lists it.")],
    as_json: AsJson = None,
    asking: Asking,
) -> None:
    """Cut an entity of your bureau off: its calls are denied, and those that are open end."""
    with connect(asking) as client:
        done = client.oversight.suspend(target, reason)
    row = with_printable_texts(done.suspension)
    document = {**_suspension(done.suspension), "header": _act(done.header)}
    since = f"{row.since_time.ToDatetime(tzinfo=UTC):%Y-%m-%d %H:%M:%S} UTC"
    Output(as_json).answer(document, f"{row.entity} is cut off since {since}")


@app.command(epilog="Example: `likeness oversight resume FR-PJ --entity FR-BORDER`")
@asks(modality=False)
def resume(target: Target, *, as_json: AsJson = None, asking: Asking) -> None:
    """Let an entity of your bureau call again."""
    with connect(asking) as client:
        done = client.oversight.resume(target)
    document = {"entity": target, "resumed": done.resumed, "header": _act(done.header)}
    words = "may call again" if done.resumed else "was not cut off; nothing was changed"
    Output(as_json).answer(document, f"{printable(target)} {words}")


@app.command(epilog="Example: `likeness oversight suspended --entity FR-BORDER`")
@asks(modality=False)
def suspended(*, as_json: AsJson = None, asking: Asking) -> None:
    """List the entities of your bureau that are cut off: since when, by whom and why."""
    output = Output(as_json)
    table = plain_table("Entity", "Since", "By", "Reason", "Audit entry", whole=("Entity",))
    count = 0
    with connect(asking) as client:
        for row in client.oversight.suspensions():
            count += 1
            if output.as_json:
                output.answer(_suspension(row), "")
                continue
            since = f"{row.since_time.ToDatetime(tzinfo=UTC):%Y-%m-%d %H:%M} UTC"
            entry = str(row.audit_position or "not on record")
            table.add_row(row.entity, since, printable(row.by), printable(row.reason), entry)
    if count and not output.as_json:
        output.answer({}, table)
    note(f"{plural(count, 'entity', 'entities')} of the bureau cut off")


@app.command(
    epilog="Examples: `likeness oversight record --entity FR-PJ --from 2026-01-01 --json`, and what came since, "
    "after the last position in it, `likeness oversight record --entity FR-PJ --after 2041 --json`"
)
@asks(modality=False)
def record(
    *,
    reference: Annotated[str, typer.Option(help="Of this reference alone.", show_default=False)] = "",
    subject: Annotated[
        str, typer.Option(help="Of the references of this subject alone.", show_default=False)
    ] = "",
    since: Since = None,
    until: Until = None,
    after: Annotated[
        int, typer.Option(min=0, metavar="POSITION", help="Of the audit after this position.")
    ] = 0,
    as_json: AsJson = None,
    asking: Asking,
) -> None:
    """Read who received which references of your entity: when, why, by which method, and how much was shown.

    It is what `likeness audit export --owner` writes at the service itself.
    """
    if reference and subject:
        raise Stopped("Give one of --reference and --subject.", Exit.USAGE)
    output = Output(as_json)
    table = plain_table(
        "Time",
        "Position",
        "Entity",
        "Purpose",
        "Method",
        "Reference",
        "Level",
        whole=("Reference",),
        right=("Position",),
    )
    count = 0
    with connect(asking) as client:
        for row in client.oversight.record(
            reference_id=reference, subject_id=subject, since=moment(since), until=moment(until), after=after
        ):
            count += 1
            if output.as_json:
                output.answer(_received(row), "")
            else:
                table.add_row(*_cells(row))
    if count and not output.as_json:
        output.answer({}, table)
    note(f"{plural(count, 'reference')} received")
    named = filters_words({"--reference": reference, "--after": after or None})
    if named and not count:
        warn(
            f"nothing is on record for {named}. Check what you gave: a reference that does not exist or is not "
            "your entity's, and a position after the end of the audit, read as one of which nobody received "
            "anything."
        )


def _cells(row: oversight.ReceivedReference) -> list[str]:
    document = _received(with_printable_texts(row))
    time = f"{row.time.ToDatetime(tzinfo=UTC):%Y-%m-%d %H:%M:%S}"
    return [time, *(str(value) for name, value in document.items() if name != "time")]


def _suspension(row: oversight.Suspension) -> documents.Document:
    return {
        "entity": row.entity,
        "since": row.since_time.ToJsonString(),
        "by": row.by,
        "reason": row.reason,
        "audit_position": row.audit_position,
    }


def _act(header: common.AnswerHeader) -> documents.Document:
    """Where it stands in the audit, and by which policy it was judged."""
    return {
        "audit_position": header.audit_position,
        "audit_digest": header.audit_digest,
        "policy": header.policy,
    }


def _received(row: oversight.ReceivedReference) -> documents.Document:
    """With the names that `likeness audit export --owner` has."""
    return {
        "time": row.time.ToJsonString(),
        "position": row.audit_position,
        "entity": row.entity,
        "purpose": documents.purpose(row.purpose),
        "method": row.method,
        "reference_id": row.reference_id,
        "level": documents.level(row.level),
    }

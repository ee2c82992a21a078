"""`likeness get`, `list`, `update` and `expunge`: what is enrolled, and what its owner says of it."""

from __future__ import annotations

import itertools
from typing import Annotated, Any

import typer
from rich.table import Table

from likeness.cli import documents
from likeness.cli.caller import Asking, asks
from likeness.cli.confirming import confirm
from likeness.cli.connection import connect, explained
from likeness.cli.failures import Exit, Stopped
from likeness.cli.filter_options import InGalleries, OfCategories, OfOwners, OfStatuses
from likeness.cli.options import AsJson
from likeness.cli.output import ROOMY, Output, fail, note, output_width, plain_table
from likeness.cli.restricting import Denied, Disclosed, Permitted, restrictions
from likeness.cli.words import filters_words, label_of, plural
from likeness.client import metadata
from likeness.domain.references import Category, Status
from likeness.domain.text import printable
from likeness.rpc.convert.texts import with_printable_texts
from likeness.v1 import common_pb2 as common

Ids = Annotated[list[str], typer.Argument(help="Ids of references.", show_default=False)]


@asks()
def get(ids: Ids, *, as_json: AsJson = None, asking: Asking) -> None:
    """Show references with all that their owner says of them."""
    output = Output(as_json)
    with connect(asking) as client:
        for reference_id in ids:
            found = client.of(asking.modality).get(reference_id)
            output.answer(documents.reference(found), _card(with_printable_texts(found)))


@asks()
def list_references(
    *,
    gallery: InGalleries = None,
    owner: OfOwners = None,
    category: OfCategories = None,
    status: OfStatuses = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="At most this many; 0 for all.")] = 100,
    as_json: AsJson = None,
    asking: Asking,
) -> None:
    """List references, oldest first: active and suspended ones unless --status says otherwise."""
    output = Output(as_json)
    with connect(asking) as client:
        every = client.of(asking.modality).list(
            galleries=gallery or [],
            owners=owner or [],
            categories=[c.value for c in category or []],
            statuses=[s.value for s in status or []],
            page_size=min(limit or 1000, 1000),
        )
        wanted = itertools.islice(every, limit or None)
        if output.as_json:
            count = 0
            for count, found in enumerate(wanted, start=1):  # noqa: B007  used after the loop
                output.answer(documents.reference(found), "")
        else:
            shown = list(wanted)
            count = len(shown)
            output.answer({}, _table([with_printable_texts(found) for found in shown]))
            if limit and count == limit and next(every, None) is not None:
                note(f"the first {limit:,}; there are more, see --limit")
        if not count:
            given = {
                "--modality": asking.modality,
                "--gallery": gallery,
                "--owner": owner,
                "--category": [c.value for c in category or []],
                "--status": [s.value for s in status or []],
            }
            note(f"No reference that this entity may know of matches {filters_words(given)}.")


@asks()
def update(
    ids: Ids,
    *,
    gallery: Annotated[
        list[str] | None,
        typer.Option("--gallery", "-g", help="Exactly these galleries; repeatable.", show_default=False),
    ] = None,
    category: Annotated[
        Category | None, typer.Option(help="Why the subject is on file.", show_default=False)
    ] = None,
    status: Annotated[
        Status | None,
        typer.Option(help="suspended takes it out of searches, active puts it back.", show_default=False),
    ] = None,
    subject: Annotated[str | None, typer.Option(help="The subject.", show_default=False)] = None,
    owner_reference: Annotated[
        str | None, typer.Option(help="Your own number for the record.", show_default=False)
    ] = None,
    notice: Annotated[
        list[str] | None, typer.Option(help="Exactly these notices; repeatable.", show_default=False)
    ] = None,
    deny: Denied = None,
    permit: Permitted = None,
    disclose: Disclosed = None,
    as_json: AsJson = None,
    asking: Asking,
) -> None:
    """Change what is stored about references; what is not given stays. The sample and its template stay too."""
    options: dict[str, Any] = {
        "galleries": gallery,
        "category": category,
        "status": status,
        "subject_id": subject,
        "owner_reference": owner_reference,
        "notices": notice,
    }
    given = {name: value for name, value in options.items() if value is not None}
    limits = restrictions(deny or (), permit or (), disclose)
    if not given and not limits:
        raise Stopped("Nothing is to change; give one of the options that say what.", Exit.USAGE)
    output = Output(as_json)
    with connect(asking) as client:
        for reference_id in ids:
            done = client.of(asking.modality).update(
                reference_id,
                metadata(**given, **limits),
                fields=[*given, *(f"restrictions.{name}" for name in limits)],
            )
            output.answer(
                documents.reference(done.reference),
                _card(with_printable_texts(done.reference)),
            )


@asks()
def expunge(
    ids: Ids,
    *,
    reason: Annotated[str, typer.Option(help="Why; stored with the tombstone and in the audit.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = None,
    asking: Asking,
) -> None:
    """Erase references for good: template, subject and source. A tombstone with the reason remains."""
    confirm(f"Expunge {plural(len(ids), 'reference')} for good?", "expunge", yes=yes)
    output = Output(as_json)
    failed = 0
    with connect(asking) as client:
        for reference_id in ids:
            try:
                with explained(asking):
                    done = client.of(asking.modality).expunge(reference_id, reason)
            except Stopped as error:
                if error.code is Exit.UNREACHABLE:
                    raise
                fail(f"{reference_id}: {error.message}")
                failed += 1
                continue
            document = {
                "reference_id": reference_id,
                "log_position": done.log_position,
                "receipt": done.receipt,
            }
            receipt = "\n".join(map(printable, done.receipt.split("\n")))
            output.answer(document, f"{reference_id} expunged\n\n{receipt}".rstrip("\n"))
    if failed:
        raise typer.Exit(Exit.PARTLY)


def _table(found: list[common.Reference]) -> Table:
    roomy = output_width() >= ROOMY
    who = ("Reference", "Owner's label", "Category", "Galleries") if roomy else ("Reference",)
    table = plain_table(*who, "Status", "Quality", whole=("Reference", "Status"), right=("Quality",))
    for reference in found:
        stated, whole = reference.metadata, reference.level != common.LEVEL_CANDIDATE
        known = (label_of(stated), documents.category_words(stated.category), ", ".join(stated.galleries))
        table.add_row(
            *(
                (reference.reference_id, *known)
                if roomy
                else ("\n".join((", ".join(filter(None, known)), reference.reference_id)),)
            ),
            documents.status(stated.status) if whole else "not shown",
            f"{reference.quality.unified:.0f}" if whole else "",
        )
    return table


def _card(found: common.Reference) -> Table:
    table = plain_table("", "")
    table.show_header = False
    for name, value in documents.reference(found).items():
        if value not in ("", None, [], {}) and name != "restrictions":
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            table.add_row(name.replace("_", " "), shown)
    limits = found.metadata.restrictions
    if limits.ByteSize():
        table.add_row("restrictions", str(documents.reference(found)["restrictions"]))
    return table

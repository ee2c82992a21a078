"""`likeness audit`: the chained record of who asked what, why, and what was answered."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable
from typing import Annotated

import sqlalchemy as sa
import typer
from rich.console import Group, RenderableType
from rich.text import Text

from likeness.app.settings import Settings
from likeness.cli.acts import VARIABLE, put_on_record
from likeness.cli.audit_filters import (
    Case,
    Entity,
    Method,
    Operator,
    Outcome,
    Owner,
    Principal,
    Probe,
    ReferenceId,
    Since,
    Until,
    facts_of,
    filters_named,
    mistyped,
    moment,
    probe_bytes,
)
from likeness.cli.audit_sheet import audit_document, audit_table
from likeness.cli.commands import audit_export, proofs, witness
from likeness.cli.failures import Commands, Exit, Stopped
from likeness.cli.local_store import read_only, seals
from likeness.cli.options import AsJson
from likeness.cli.output import Output, meter, note, warn
from likeness.cli.settings_options import configured
from likeness.cli.words import plural
from likeness.domain.audit import AuditMark
from likeness.domain.errors import Corrupt, NotFound
from likeness.domain.operators import HostAct
from likeness.store.audit import AuditRecord, verify_links
from likeness.store.audit_search import AuditFilter, find
from likeness.store.chain import AUDIT
from likeness.store.inspection import check_expected
from likeness.store.tree import check_tree, has_tree
from likeness.transparency.note import encode64

DEFAULT_LAST = 10
"""Entries that are shown where nothing says how many."""

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="The record of every call: read and verify it, export parts of it, prove entries of it to others.",
)


@app.command(
    epilog="Example: `likeness audit verify`; exit code 5 if the chain is broken. Keep the digest that it prints "
    "where the server cannot write, and give it to the next check with --expect POSITION:DIGEST."
)
@configured()
def verify(
    *,
    expect: Annotated[
        str,
        typer.Option(
            metavar="POSITION:DIGEST",
            help="Also check that this entry, noted earlier, is still in the chain.",
            show_default=False,
        ),
    ] = "",
    settings: Settings,
    as_json: AsJson = None,
) -> None:
    """Check that no entry was changed or taken out, and that the tree over them agrees; needs no key."""
    noted = _noted(expect)
    with read_only(settings) as connection:
        last = AUDIT.head(connection).position
        report = verify_links(connection, 1, last)
        problems = list(report.problems)
        root = ""
        if report.ok and has_tree(connection):
            try:
                root = encode64(check_tree(connection, 0, last).root())
            except Corrupt as error:
                problems.append(error.message)
        if noted is not None:
            problems += _missing(connection, noted)
    document = {
        "entries": last,
        "verified_to": report.last,
        "digest": report.digest.hex(),
        "root": root,
        "problems": problems,
    }
    Output(as_json).answer(document, _verdict(document))
    if problems:
        raise typer.Exit(Exit.DAMAGED)


def _noted(expect: str) -> AuditMark | None:
    """The entry that was noted earlier.

    Raises:
        Stopped: it is not written as one, which says nothing about the chain.
    """
    try:
        return AuditMark.parse(expect) if expect else None
    except ValueError as error:
        raise Stopped(f"--expect: {error}.", Exit.USAGE) from None


def _missing(connection: sa.Connection, noted: AuditMark) -> list[str]:
    """What is wrong with an entry that was noted earlier."""
    try:
        check_expected(connection, noted)
    except Corrupt as error:
        return [error.message]
    return []


@app.command(
    epilog="Examples: `likeness audit show`, `likeness audit show --position 2`, `likeness audit show -n 0 "
    "--json`, `likeness audit show --case 2026-114 --from 2026-01-01`, `likeness audit show --outcome NOT_FOUND`"
)
@configured()
def show(
    *,
    position: Annotated[
        int | None, typer.Option(min=1, help="One entry, as stated by an answer.", show_default=False)
    ] = None,
    last: Annotated[
        int | None,
        typer.Option(
            "--last",
            "-n",
            min=0,
            help="The last so many; 0 for all. Default: 10, or all that the filters want.",
            show_default=False,
        ),
    ] = None,
    case: Case = "",
    entity: Entity = "",
    operator: Operator = "",
    principal: Principal = "",
    since: Since = None,
    until: Until = None,
    reference: ReferenceId = "",
    owner: Owner = "",
    method: Method = "",
    outcome: Outcome = "",
    probe: Probe = None,
    settings: Settings,
    as_json: AsJson = None,
) -> None:
    """Show entries of the audit chain, decrypted with the key ring, their links checked.

    That it is read goes on record itself, with your name from LIKENESS_OPERATOR: --operator looks for one.
    """
    opened = seals(settings)
    output = Output(as_json)
    wanted = AuditFilter(
        case=case,
        entity=entity,
        operator=operator,
        principal=principal,
        since=moment(since),
        until=moment(until),
        references=frozenset({reference}) if reference else None,
        owner=owner,
        rpc=method,
        outcome=outcome,
        probe=None if probe is None else probe_bytes(probe),
    )
    entry = put_on_record(
        settings,
        HostAct.SHOW_AUDIT,
        os.environ.get(VARIABLE, ""),
        filters=facts_of(wanted, opened),
        details={"position": position, "last": last},
    )
    head = entry.position - 1
    with read_only(settings) as connection:
        if position is not None and position > head:
            there = (
                f"the audit has {plural(head, 'entry', 'entries')}"
                if head
                else "the audit has no entries yet"
            )
            raise NotFound(
                f"There is no audit entry {position}: {there}; check the position, and that {settings.home} is the "
                "home of the server that gave it."
            )
        filtered = wanted != AuditFilter()
        count = (0 if filtered else DEFAULT_LAST) if last is None else last
        first = position or (max(1, head - count + 1) if count and not filtered else 1)
        end = position or head
        shown = 0
        with meter("looking through the audit") as step:
            found: Iterable[AuditRecord] = find(connection, opened, wanted, first - 1, end, step)
            if filtered and count:
                found = deque(found, maxlen=count)
            for record in found:
                output.answer(audit_document(record), audit_table(record))
                shown += 1
        doubts = [] if shown or not filtered else list(mistyped(connection, wanted))
    if not shown:
        named = filters_named(wanted, {"--position": position, "--probe": probe})
        note(f"No entry matches {named}." if filtered else "The audit has no entries yet.")
    for doubt in doubts:
        warn(doubt)


app.command(epilog=audit_export.EXAMPLES)(audit_export.export)
app.command(
    epilog="Examples: `likeness audit checkpoint --out hub.checkpoint` for a witness that has seen nothing, and "
    "for one that has seen one entry `likeness audit checkpoint --since 1 --out hub.checkpoint`"
)(proofs.checkpoint)
app.command(
    epilog="Example: `likeness audit prove 1 --out entry.tlog-proof`; give --checkpoint what a witness cosigned."
)(proofs.prove)
app.command("check-proof", epilog=witness.CHECK_EXAMPLE)(witness.check)
app.command("check-receipt", epilog=witness.RECEIPT_EXAMPLE)(witness.check_receipt)
app.add_typer(witness.app, name="witness")


def _verdict(document: dict[str, object]) -> RenderableType:
    problems = document["problems"]
    if problems and isinstance(problems, list):
        return Group(*(Text(str(problem), style="bold red") for problem in problems))
    entries = int(str(document["entries"]))
    return Text(
        f"{plural(entries, 'entry', 'entries')}, every link holds. Keep this for --expect next time:\n"
        f"{entries}:{document['digest']}"
    )

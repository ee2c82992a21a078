"""`likeness audit`: the chained record of who asked what, why, and what was answered."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from likeness.cli.commands import proofs, witness
from likeness.cli.failures import Commands, Exit, Stopped
from likeness.cli.local_store import read_only, seals
from likeness.cli.options import AsJson
from likeness.cli.output import Output, plain_table
from likeness.cli.settings_options import ConfigFile, Home, Set, settings_from
from likeness.cli.words import plural, rate_short
from likeness.domain.audit import AuditEntry, AuditMark, JsonValue
from likeness.domain.errors import Corrupt, NotFound
from likeness.domain.text import printable
from likeness.store.audit import AuditRecord, read_audit, verify_links
from likeness.store.chain import AUDIT
from likeness.store.inspection import check_expected
from likeness.store.tree import check_tree, has_tree
from likeness.transparency.note import encode64

_CHUNK = 1000
"""Entries read at once."""

_PER_PRESENTATION = "presentations"
"""By this name an entry has the numbers of candidates, one for each presentation in the probe."""

app = typer.Typer(cls=Commands, no_args_is_help=True, help="The audit chain: verify it, read it.")


@app.command(
    epilog="Example: `likeness audit verify`; exit code 5 if the chain is broken. Keep the digest that it prints "
    "where the server cannot write, and give it to the next check with --expect POSITION:DIGEST."
)
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
    config: ConfigFile = None,
    home: Home = None,
    single: Set = None,
    as_json: AsJson = None,
) -> None:
    """Check that no entry was changed or taken out, and that the tree over them agrees; needs no key."""
    settings = settings_from(config, home, single)
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
    epilog="Examples: `likeness audit show`, `likeness audit show --position 2`, `likeness audit show -n 0 --json`"
)
def show(
    *,
    position: Annotated[
        int | None, typer.Option(min=1, help="One entry, as stated by an answer.", show_default=False)
    ] = None,
    last: Annotated[int, typer.Option("--last", "-n", min=0, help="The last so many; 0 for all.")] = 10,
    config: ConfigFile = None,
    home: Home = None,
    single: Set = None,
    as_json: AsJson = None,
) -> None:
    """Show entries of the audit chain, decrypted with the key ring, their links checked."""
    settings = settings_from(config, home, single)
    opened = seals(settings)
    output = Output(as_json)
    with read_only(settings) as connection:
        head = AUDIT.head(connection).position
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
        first = position or (max(1, head - last + 1) if last else 1)
        end = position or head
        for after in range(first - 1, end, _CHUNK):
            records = read_audit(connection, opened, after, min(after + _CHUNK, end))
            for record in records:
                output.answer(_document(record), _entry(record))


app.command(
    epilog="Examples: `likeness audit checkpoint --out hub.checkpoint`, and for a witness that has seen one entry "
    "`likeness audit checkpoint --since 1 --out hub.checkpoint`"
)(proofs.checkpoint)
app.command(
    epilog="Examples: `likeness audit prove 1 --out entry.tlog-proof`, and with what a bureau's witness gave back "
    "`likeness audit prove 1 --checkpoint hub.cosigned --out entry.tlog-proof`"
)(proofs.prove)
app.command("check-proof", epilog=witness.CHECK_EXAMPLE)(witness.check)
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


def _document(record: AuditRecord) -> dict[str, object]:
    entry = record.entry
    return {
        "position": record.position,
        "time": record.at.isoformat(),
        "digest": record.digest.hex(),
        "rpc": entry.rpc,
        "entity": entry.caller.entity,
        "operator": entry.caller.operator,
        "purpose": entry.caller.purpose.value,
        "case_reference": entry.caller.case_reference,
        "outcome": entry.outcome,
        "modality": entry.modality,
        "probe": entry.probe,
        "options": dict(entry.options),
        "filters": dict(entry.filters),
        "searched": entry.searched,
        "candidates": [
            {"reference_id": c.reference_id, "score": c.score, "fmr": c.fmr, "measurable": c.measurable}
            for c in entry.candidates
        ],
        "model": entry.model,
        "calibration": entry.calibration,
        "generation": entry.generation,
        "log_position": entry.log_position,
        "details": dict(entry.details),
        "candidates_per_presentation": _per_presentation(entry),
    }


def _per_presentation(entry: AuditEntry) -> list[JsonValue]:
    """How many candidates were answered for each face, record or object of the probe."""
    counts = entry.details.get(_PER_PRESENTATION)
    return list(counts) if isinstance(counts, list | tuple) else []


def _entry(record: AuditRecord) -> Table:
    entry = record.entry
    who = printable(" / ".join(t for t in (entry.caller.entity, entry.caller.operator) if t))
    why = printable(" / ".join(t for t in (entry.caller.purpose.value, entry.caller.case_reference) if t))
    table = plain_table("", "")
    table.show_header = False
    what = "" if entry.rpc == "Search" else entry.modality  # a search names it with its probe
    heading = "  ".join(
        part for part in (f"{record.at:%Y-%m-%d %H:%M:%S} UTC", entry.rpc, what, entry.outcome) if part
    )
    table.add_row(f"{record.position}", heading, style="bold")
    table.add_row("", f"{who}, for {why}")
    for line in _asked(entry):
        table.add_row("", line)
    if entry.searched or entry.rpc == "Search":
        table.add_row("", f"{plural(entry.searched, 'reference')} searched by {entry.model or 'no model'}")
    for candidate in entry.candidates:
        score_text = _scored(candidate.score, candidate.fmr, candidate.measurable, entry)
        table.add_row("", f"  {candidate.reference_id}  {score_text}")
    details = {name: value for name, value in entry.details.items() if value not in ("", None, [])}
    score, fmr, measurable = (details.pop(name, None) for name in ("score", "fmr", "measurable"))
    if isinstance(score, float) and isinstance(fmr, float):
        table.add_row("", f"  {_scored(score, fmr, measurable, entry)}")
    details.pop(_PER_PRESENTATION, None)
    if details:
        shown = (f"{name.replace('_', ' ')} {_shown(value)}" for name, value in details.items())
        table.add_row("", ", ".join(shown), style="dim")
    table.add_row("", f"digest {record.digest.hex()}", style="dim")
    return table


def _scored(score: float, fmr: float, measurable: object, entry: AuditEntry) -> str:
    """Score and rate; `measurable` as of `AuditCandidate`."""
    rate = rate_short(fmr, measurable is not False, bool(entry.calibration))
    unsure = " or below" if measurable is None and entry.calibration else ""
    return f"score {score:.3f}  FMR {rate}{unsure}"


def _shown(value: JsonValue) -> str:
    """A detail as a person reads it: a list by its parts."""
    return printable(" and ".join(map(str, value)) if isinstance(value, list) else str(value))


def _asked(entry: AuditEntry) -> list[str]:
    """What a search asked for: probe, scope, limits, and how many candidates each presentation has."""
    if entry.rpc != "Search":
        return [f"probe {entry.probe}"] if entry.probe else []
    scope = [f"{name} {_listed(entry.filters.get(name))}" for name in ("galleries", "owners", "categories")]
    options = entry.options
    limit = options.get("max_fmr")
    limits = [
        f"at most {options.get('k', 'unknown')} candidates each",
        f"false match rate limited to {limit:g}"
        if isinstance(limit, int | float) and limit
        else "no limit on the false match rate",
        "every reference compared" if options.get("exhaustive") else "from the shortlist",
    ]
    counts = _per_presentation(entry)
    found = " and ".join(map(str, counts)) if counts else str(len(entry.candidates))
    each = f", for each of {len(counts)} presentations in the probe" if len(counts) > 1 else ""
    return [
        f"{entry.modality or 'unknown modality'}; probe {entry.probe or 'not recorded'}",
        "; ".join(scope),
        "; ".join(limits),
        f"candidates answered: {found}{each}",
    ]


def _listed(value: JsonValue) -> str:
    return printable(", ".join(map(str, value))) if isinstance(value, list | tuple) and value else "all"

"""`likeness policy`: try the rules of who may do what, and cut entities off."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from likeness.access.judging import CedarAccess
from likeness.access.rules import LEVEL_ACTIONS
from likeness.access.ruling import Ruling, question_of
from likeness.app.access import sources_of
from likeness.app.settings import Settings
from likeness.cli.commands import suspending
from likeness.cli.failures import Commands, Exit
from likeness.cli.option_checks import check_texts
from likeness.cli.options import AsJson
from likeness.cli.output import Output, note, plain_table
from likeness.cli.policy_cases import ALLOWED, Case, CaseReference, action_named, outcome, read_cases
from likeness.cli.settings_options import PANEL, configured
from likeness.cli.words import NO_POLICY, decided_words, plural
from likeness.domain.errors import InvalidInput, LikenessError
from likeness.domain.references import Category, Purpose, Status

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="Who may do what: check the policies and the directory, explain and test them; cut entities off.",
)

Policies = Annotated[
    Path | None,
    typer.Option(
        help="A file or folder of policies, instead of what the settings name.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
Directory = Annotated[
    Path | None,
    typer.Option(
        help="A directory of who there is, instead of the one that the settings name.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]


class _Silent:
    """Implements `Observer` for rules that are tried and not in force."""

    def taken(self, digest: str) -> None:
        """Nothing to report."""

    def refused(self, digest: str, error: LikenessError) -> None:
        """Nothing to report."""

    def suspensions_taken(self, digest: str) -> None:
        """Nothing to report."""

    def failed(self, errors: tuple[str, ...]) -> None:
        """Warn of policies that could not be evaluated."""
        note(f"a policy could not be evaluated: {'; '.join(errors)}", "yellow")


RULES = {"access.policies": Policies, "access.directory": Directory}
"""Options by which other rules are tried than those of the settings."""


def _ruling(settings: Settings) -> Ruling:
    return CedarAccess(sources_of(settings), _Silent()).ruling


@app.command(
    epilog="Example: `likeness policy check --policies new-policies --directory directory.toml`; exit code 2 if "
    "they would not be taken."
)
@configured(further=RULES)
def check(
    *,
    settings: Settings,
    as_json: AsJson = None,
) -> None:
    """Check policies and directory as the server does before it takes them."""
    ruling = _ruling(settings)
    counts = {
        "countries": len(ruling.directory.countries),
        "bureaus": len(ruling.directory.bureaus),
        "entities": len(ruling.directory.entities),
        "principals": len(ruling.directory.principals),
        "suspended": len(ruling.suspended),
    }
    words = ", ".join(f"{count} {name}" for name, count in counts.items())
    Output(as_json).answer({"policy": ruling.digest, **counts}, f"good: {words}\npolicy {ruling.digest}")


@app.command(
    epilog="Example: `likeness policy explain --principal spiffe://hub.example/fr/FR-PJ/case_system "
    "--entity FR-PJ --action Search --purpose wanted_person --owner DE-BKA --category suspect`"
)
@configured(further=RULES)
def explain(
    *,
    principal: Annotated[str, typer.Option(help="Who calls, by its SPIFFE identifier.")],
    entity: Annotated[str, typer.Option(help="The entity that it speaks for.")],
    action: Annotated[str, typer.Option(help="The method, for example Search.")],
    modality: Annotated[
        str, typer.Option(help="What it is called for: face, fingerprint or object.")
    ] = "face",
    purpose: Annotated[Purpose, typer.Option(help="Why it calls.")] = Purpose.UNSPECIFIED,
    token_role: Annotated[
        list[str] | None, typer.Option(help="A role in the person's token; repeatable.")
    ] = None,
    frontline: Annotated[
        bool, typer.Option("--frontline", help="It searches by the frontline's profile.")
    ] = False,
    fmr_one_in: Annotated[
        int | None, typer.Option(min=1, help="Its search admits one false match in so many comparisons.")
    ] = None,
    owner: Annotated[str, typer.Option(help="Also explain what it sees of a reference of this owner.")] = "",
    category: Annotated[Category, typer.Option(help="Category of that reference.")] = Category.UNSPECIFIED,
    status: Annotated[Status, typer.Option(help="Status of that reference.")] = Status.ACTIVE,
    gallery: Annotated[
        list[str] | None, typer.Option(help="A gallery of that reference; repeatable.")
    ] = None,
    target: Annotated[
        str,
        typer.Option(help="The entity that is to be suspended or resumed, of oversight.", show_default=False),
    ] = "",
    settings: Settings,
    as_json: AsJson = None,
) -> None:
    """Show whether a call is allowed, which policies decided, and how much it sees of a reference.

    The owner's own limits on a reference come on top. Exit code 1 if the call is denied.
    """
    texts = {"principal": principal, "entity": entity, "owner": owner, "gallery": gallery}
    check_texts({**texts, "action": action, "target": target})
    ruling = _ruling(settings)
    galleries = frozenset(gallery or ())
    asked_about = (
        CaseReference(owner=owner, category=category, status=status, galleries=galleries) if owner else None
    )
    try:
        case = Case(
            principal=principal,
            token_roles=frozenset(token_role or ()),
            entity=entity,
            action=action_named(action),
            target=target,
            modality=modality,
            purpose=purpose,
            frontline=frontline,
            fmr_one_in=fmr_one_in,
            reference=asked_about,
        )
    except ValueError as error:
        raise InvalidInput(f"'{modality}' is not a modality; name face, fingerprint or object.") from error
    found = outcome(ruling, case)
    levels = _levels(ruling, case) if found.result == ALLOWED else {}
    document = {
        "result": found.result,
        "decided_by": list(found.policies),
        "message": found.message,
        "level": found.level,
        "levels": levels,
        "policy": ruling.digest,
    }
    lines = [f"{found.result}: {found.message}" if found.message else found.result]
    lines += filter(None, [decided_words(found.result, found.policies)])
    lines += [f"{name}: {'yes' if row['allowed'] else 'no'}, {row['by']}" for name, row in levels.items()]
    Output(as_json).answer(document, "\n".join([*lines, *([f"level {found.level}"] if found.level else [])]))
    if found.result != ALLOWED:
        raise typer.Exit(Exit.PARTLY)


def _levels(ruling: Ruling, case: Case) -> dict[str, dict[str, object]]:
    """What Cedar itself says of the reference, level by level, and by which policies."""
    known = ruling.directory.principals.get(case.principal)
    if case.reference is None or known is None:
        return {}
    question = question_of(case.asked, known)
    rows: dict[str, dict[str, object]] = {}
    for action in LEVEL_ACTIONS:
        decided = ruling.engine.decide_about(question, action, case.reference.facets)
        words = ", ".join(decided.policies) or NO_POLICY
        rows[action] = {"allowed": decided.allowed, "by": words}
    return rows


@app.command(
    epilog="Example: `likeness policy test cases.toml --policies new-policies`; exit code 1 if a case comes out "
    "otherwise. A case is a table [\\[case]] with principal, entity, action, modality, purpose, expect (ALLOWED or "
    "the reason of the refusal), frontline or fmr_one_in of a search, and with reference and level for what is "
    "seen."
)
@configured(further=RULES)
def test(
    cases: Annotated[Path, typer.Argument(help="The file of cases, TOML or JSON.", show_default=False)],
    *,
    settings: Settings,
    as_json: AsJson = None,
) -> None:
    """Try the rules with a file of cases."""
    ruling = _ruling(settings)
    table = plain_table("case", "result", "level", "expected", "")
    rows, wrong = [], 0
    for number, case in enumerate(read_cases(cases), start=1):
        found = outcome(ruling, case)
        good = found.meets(case)
        wrong += not good
        name = case.name or f"case {number}"
        expected = f"{case.expect} {case.level}".strip()
        rows.append(
            {"case": name, "result": found.result, "level": found.level, "expected": expected, "good": good}
        )
        mark = Text("as expected", "green") if good else Text("OTHERWISE", "bold red")
        table.add_row(name, found.result, found.level, expected, mark)
    Output(as_json).answer({"cases": rows, "wrong": wrong, "policy": ruling.digest}, table)
    note(f"{plural(len(rows), 'case')}, {wrong} otherwise than expected")
    if wrong:
        raise typer.Exit(Exit.PARTLY)


app.command(
    epilog="Example: `likeness policy suspend FR-PJ --reason 'key lost'`; a running server takes it within "
    "access.poll_seconds, and ends the calls of the entity that are open."
)(suspending.suspend)
app.command(epilog="Example: `likeness policy resume FR-PJ`")(suspending.resume)
app.command(epilog="Example: `likeness policy suspended`")(suspending.suspended)

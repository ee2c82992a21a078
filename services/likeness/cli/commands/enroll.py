"""`likeness enroll`: photographs into galleries, many at a time, resumable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from likeness.cli import files, rejects
from likeness.cli.caller import Asking, asks
from likeness.cli.connection import explain
from likeness.cli.enrolment import BulkEnrolment, Fate
from likeness.cli.enrolment_fields import EnrolmentFields, Label
from likeness.cli.enrolment_run import Done, EnrolmentPlan, run
from likeness.cli.failures import Exit, Stopped
from likeness.cli.journal import default_path
from likeness.cli.options import AsJson, FormerSelect
from likeness.cli.output import Output, note, plain_table, warn
from likeness.cli.restricting import Denied, Disclosed, Disclosure, Permitted, restrictions
from likeness.cli.selection import selection
from likeness.cli.words import plural
from likeness.client import CallFailed, metadata
from likeness.domain.references import Category
from likeness.v1 import common_pb2 as common

PANEL = "What is stored with every sample"
RESUMING = "Resuming"


@asks()
def enroll(
    paths: Annotated[
        list[Path], typer.Argument(help="Photographs or minutiae records, and folders of them.")
    ],
    *,
    gallery: Annotated[
        list[str] | None,
        typer.Option("--gallery", "-g", help="Into this gallery; repeatable.", rich_help_panel=PANEL),
    ] = None,
    category: Annotated[
        Category, typer.Option(help="Why the subject is on file.", rich_help_panel=PANEL)
    ] = Category.UNSPECIFIED,
    subject: Annotated[
        str, typer.Option(help="The subject of all of them.", rich_help_panel=PANEL, show_default=False)
    ] = "",
    subject_from_folder: Annotated[
        bool,
        typer.Option(
            "--subject-from-folder",
            help="The subject is the name of the folder that holds the file.",
            rich_help_panel=PANEL,
        ),
    ] = False,
    label: Annotated[
        Label,
        typer.Option(
            help="What becomes your own reference number: the file's name, its path, or nothing.",
            rich_help_panel=PANEL,
        ),
    ] = Label.STEM,
    notice: Annotated[
        list[str] | None,
        typer.Option(help="Identifier or link of a notice; repeatable.", rich_help_panel=PANEL),
    ] = None,
    deny: Denied = None,
    permit: Permitted = None,
    disclose: Disclosed = None,
    select: Annotated[
        str,
        typer.Option(
            "--select",
            "--face",
            metavar="only|largest|central|INDEX|X,Y,WIDTH,HEIGHT",
            help="Of several faces: reject the photograph, or take one. Of an object: where it is, in pixels. "
            "Not for records.",
            rich_help_panel=PANEL,
        ),
    ] = "only",
    former_select: FormerSelect = "",
    override: Annotated[
        str,
        typer.Option(
            metavar="REASON",
            help="Enrol in spite of quality limits, for this reason; it is put on record.",
            rich_help_panel=PANEL,
            show_default=False,
        ),
    ] = "",
    journal: Annotated[
        Path | None,
        typer.Option(
            help="Where outcomes are recorded. Default: one journal per server in ~/.local/state/likeness.",
            rich_help_panel=RESUMING,
            show_default=False,
        ),
    ] = None,
    rejects_file: Annotated[
        Path,
        typer.Option(
            "--rejects",
            help="Where rejected files are listed with the reasons, .csv or .jsonl; written if there are any. "
            "Where the file exists, a number is added: no run overwrites the list of another.",
            rich_help_panel=RESUMING,
        ),
    ] = Path("likeness-rejects.csv"),
    retry_rejected: Annotated[
        bool,
        typer.Option(
            "--retry-rejected", help="Send files that were rejected before.", rich_help_panel=RESUMING
        ),
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Send every file, whatever the journal says; the server answers those it knows with its first "
            "result.",
            rich_help_panel=RESUMING,
        ),
    ] = False,
    salt: Annotated[
        str,
        typer.Option(
            help="Any text: makes new request ids, to enrol again what was expunged.",
            rich_help_panel=RESUMING,
            show_default=False,
        ),
    ] = "",
    as_json: AsJson = None,
    asking: Asking,
) -> None:
    """Enrol samples. Run the same command again to go on after an interruption: nothing is enrolled twice."""
    fields = EnrolmentFields(
        asking,
        galleries=tuple(gallery or ()),
        category=category,
        subject=subject,
        subject_from_folder=subject_from_folder,
        label=label,
        notices=tuple(notice or ()),
        restrictions=_restrictions(deny or (), permit or (), disclose),
        selection=selection(former_select or select, otherwise="only"),
        override=override,
        salt=salt,
    )
    rejects.check(rejects_file)
    plan = EnrolmentPlan(
        journal or default_path(asking.server, asking.entity, asking.modality),
        rejects_file,
        again,
        retry_rejected,
    )
    passed: Counter[str] = Counter()
    found = files.find(paths, asking.words, passed)
    if passed:
        note(files.passed_over(passed))
    done = run(fields, found, plan)
    Output(as_json).answer(_document(done, plan), _table(done.enrolment))
    if done.interrupted:
        if done.rejects is not None:
            note(f"rejected files so far: {done.rejects}")
        note("interrupted; run the same command again to go on")
        raise typer.Exit(Exit.INTERRUPTED)
    _conclude(done, asking)


def _conclude(done: Done, asking: Asking) -> None:
    """Say what to do about files that were not enrolled.

    Raises:
        Stopped: the service refused the caller.
        typer.Exit: files were rejected.
    """
    rejected = done.enrolment.counts[Fate.REJECTED]
    if rejected:
        warn(
            f"{plural(rejected, 'file was', 'files were')} rejected; {done.rejects} says why. "
            + what_next(rejected, done.enrolment.passing)
        )
    if done.enrolment.refusal is not None:
        raise Stopped(_refused(done, done.enrolment.refusal, asking), Exit.REFUSED)
    if rejected:
        raise typer.Exit(Exit.PARTLY)


def _refused(done: Done, refusal: CallFailed, asking: Asking) -> str:
    """That the service refused the caller, why, and what becomes of the files."""
    return (
        f"The service refused who asks, whatever the files hold: {explain(refusal, asking)} "
        f"{plural(done.remaining, 'file is', 'files are')} left; run the same command again once that is put right."
    )


def _restrictions(
    deny: Iterable[str], permit: Iterable[str], disclose: Disclosure | None
) -> common.Restrictions | None:
    """What is sent for them: nothing where there are none, as releases without the options sent it."""
    given = restrictions(deny, permit, disclose)
    return metadata(**given).restrictions if given else None


def what_next(rejected: int, passing: Counter[str]) -> str:
    """What to do about rejected files: fix them, or wait for the service. `passing` as of `BulkEnrolment`."""
    if not passing:
        return "Fix them and run again, or see --select and --override."
    waiting = passing.total()
    whose = "them" if waiting == rejected else f"{waiting:,} of them"
    why = ", ".join(sorted(passing))
    later = f"The service was not able to take {whose} ({why}): run the same command again later."
    return later if waiting == rejected else f"{later} Fix the others, or see --select and --override."


def _document(done: Done, plan: EnrolmentPlan) -> dict[str, object]:
    counts, refusal = done.enrolment.counts, done.enrolment.refusal
    return {
        "enrolled": counts[Fate.ENROLLED],
        "already_enrolled": counts[Fate.KNOWN],
        "same_sample_twice": counts[Fate.TWICE],
        "rejected": counts[Fate.REJECTED],
        "refused": counts[Fate.REFUSED],
        "refusal": "" if refusal is None else refusal.reason or refusal.code.name,
        "remaining": done.remaining,
        "log_position": done.enrolment.log_position,
        "interrupted": done.interrupted,
        "journal": str(plan.journal),
        "rejects": str(done.rejects or ""),
    }


def _table(done: BulkEnrolment) -> Table:
    table = plain_table("Files", "Outcome", right=("Files",))
    for fate in Fate:
        if done.counts[fate] or fate is Fate.ENROLLED:
            table.add_row(f"{done.counts[fate]:,}", fate.value)
    return table

"""`likeness search`: what in the galleries resembles these probes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from likeness.cli import documents, files
from likeness.cli.caller import Asking, asks
from likeness.cli.connection import connect, exit_code, explain
from likeness.cli.failures import Exit, Stopped
from likeness.cli.files import SampleFile
from likeness.cli.filter_options import FILTERS, InGalleries, OfCategories, OfOwners
from likeness.cli.journal import default_path
from likeness.cli.options import AsJson, FormerSelect
from likeness.cli.output import Output, fail, meter, note, warn
from likeness.cli.refusals import is_of_the_caller
from likeness.cli.search_sheet import heading, save_pages
from likeness.cli.search_tables import tables
from likeness.cli.searched import Inquiry, cautions, remark
from likeness.cli.selection import selection
from likeness.cli.words import plural
from likeness.client import CallFailed, LikenessClient, SearchOptions, sample
from likeness.domain.errors import InvalidInput
from likeness.domain.text import printable
from likeness.engine.entry import SampleWords
from likeness.engine.search_rules import FRONTLINE_K
from likeness.rpc.convert.texts import with_printable_texts
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching

ANSWER = "Answer"


@dataclass(frozen=True, slots=True)
class Answered:
    """A probe and its answer, or why there is none."""

    file: SampleFile
    response: matching.SearchResponse | None = None
    refusal: str = ""
    reason: str = ""


@asks(purpose=True)
def search(
    paths: Annotated[
        list[Path], typer.Argument(help="Probes: photographs or minutiae records, and folders of them.")
    ],
    *,
    gallery: InGalleries = None,
    owner: OfOwners = None,
    category: OfCategories = None,
    exhaustive: Annotated[
        bool,
        typer.Option(
            "--exhaustive",
            help="Compare with every allowed reference, each in full: for marks from scenes. Shows how far it is.",
            rich_help_panel=FILTERS,
        ),
    ] = False,
    frontline: Annotated[
        bool,
        typer.Option(
            "--frontline",
            help="Hit or no hit: at most 3 candidates, above a threshold and without scores, within 5 seconds.",
            rich_help_panel=ANSWER,
        ),
    ] = False,
    select: Annotated[
        str,
        typer.Option(
            "--select",
            "--face",
            metavar="each|largest|central|INDEX|X,Y,WIDTH,HEIGHT",
            help="Of several faces, the one searched with. Of an object: where it is, in pixels. Not for records.",
            rich_help_panel=ANSWER,
        ),
    ] = "each",
    former_select: FormerSelect = "",
    k: Annotated[
        int,
        typer.Option(
            "-k",
            min=1,
            help="At most this many candidates for each face, record or object.",
            rich_help_panel=ANSWER,
        ),
    ] = 10,
    max_fmr: Annotated[
        float | None,
        typer.Option(
            help="Leave out candidates whose false match rate is above this, for example 1e-4.",
            rich_help_panel=ANSWER,
            show_default=False,
        ),
    ] = None,
    min_log_position: Annotated[
        int,
        typer.Option(
            help="Answer from a state at least this fresh; an enrolment names its own.",
            rich_help_panel=ANSWER,
        ),
    ] = 0,
    sheet_file: Annotated[
        Path | None,
        typer.Option(
            "--sheet",
            help="Also draw a contact sheet, PNG: probes (of records their minutiae) next to the candidates, with "
            "pictures of those that were enrolled from here. Ten rows a page; further pages are numbered.",
            rich_help_panel=ANSWER,
            show_default=False,
        ),
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(
            help="The enrolment journal that knows the candidates' files, for --sheet.",
            rich_help_panel=ANSWER,
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = None,
    asking: Asking,
) -> None:
    """Search with probes: photographs of faces or objects, or finger minutiae records (--modality).

    Each face in a photograph is answered by itself; a record, and a photograph of an object, once.

    A candidate is a lead for a person to verify, not an identification.
    """
    if frontline and exhaustive:
        raise Stopped("A search is either --frontline or --exhaustive; give one of the two.", Exit.USAGE)
    options = SearchOptions(
        galleries=gallery or [],
        owners=owner or [],
        categories=[c.value for c in category or []],
        k=min(k, FRONTLINE_K) if frontline else k,
        max_fmr=_limit(max_fmr),
        exhaustive=exhaustive,
        min_log_position=min_log_position,
        frontline=frontline,
    )
    chosen = selection(former_select or select, otherwise="each")
    began = datetime.now(UTC)
    inquiry = Inquiry(asking.entity, tuple(gallery or ()), frontline)
    output = Output(as_json)
    answered = []
    passed: Counter[str] = Counter()
    found = files.find(paths, asking.words, passed)
    if passed:
        note(files.passed_over(passed))
    refusal = None
    with connect(asking) as client:
        try:
            for answer in each(client, found, chosen, options, asking):
                show(output, answer, asking.words, inquiry)
                answered.append(answer)
        except CallFailed as error:
            if not answered or not is_of_the_caller(error):
                raise
            refusal = error
    responses = [a.response for a in answered if a.response is not None]
    if not output.as_json:
        for caution in cautions(responses):
            note(caution, "bold")
    remark(responses, options)
    if sheet_file is not None:
        known = journal or default_path(asking.server, asking.entity, asking.modality)
        draw_sheet(answered, sheet_file, known, asking, options, began)
    if refusal is not None:
        left = plural(len(found) - len(answered), "probe was", "probes were")
        raise Stopped(f"{explain(refusal, asking)} {left} not searched with.", exit_code(refusal))
    if any(a.response is None for a in answered):
        raise typer.Exit(Exit.PARTLY)


def _limit(max_fmr: float | None) -> float:
    """The limit on the wire, where 0 stands for none.

    Raises:
        InvalidInput: it was given as 0, as if nothing false were let through, which would lift it.
    """
    if max_fmr == 0:
        raise InvalidInput(
            "--max-fmr is 0, and no calibration shows a false match rate of 0; give one above 0, or leave it out."
        )
    return max_fmr or 0.0


def each(
    client: LikenessClient,
    found: list[SampleFile],
    chosen: common.Selection | None,
    options: SearchOptions,
    asking: Asking,
) -> Iterator[Answered]:
    """Search with one file after the other; what concerns one probe does not stop the others.

    Raises:
        CallFailed: the server cannot be reached, or refuses for a reason that concerns every probe.
    """
    for file in found:
        try:
            probe = sample(files.read(file.path), name=files.sent_name(file.path), selection=chosen)
            yield Answered(file, _searched(client, probe, options, asking))
        except OSError as error:
            yield Answered(file, refusal=error.strerror or str(error), reason="UNREADABLE_FILE")
        except InvalidInput as error:
            yield Answered(file, refusal=error.message, reason=error.reason)
        except CallFailed as error:
            if not _concerns_the_probe(error):
                raise
            yield Answered(file, refusal=explain(error, asking), reason=error.reason)


def _searched(
    client: LikenessClient, probe: common.Sample, options: SearchOptions, asking: Asking
) -> matching.SearchResponse:
    """The answer; a search of every reference shows how far it has come and takes the time that it needs."""
    search_with = client.of(asking.modality).search
    if not options.get("exhaustive"):
        return search_with(probe, **options)
    with meter("comparing") as report:
        return search_with(probe, progress=report, **options)


def _concerns_the_probe(error: CallFailed) -> bool:
    fields = [violation.field for violation in error.field_violations]
    return error.reason == "QUOTA_OF_PROBE" or (
        exit_code(error) is Exit.REFUSED and any(field.startswith("probe") for field in fields)
    )


def show(output: Output, answer: Answered, words: SampleWords, inquiry: Inquiry) -> None:
    """Write one answer, or why there is none."""
    name = str(answer.file.path)
    if answer.response is not None:
        response = answer.response
        shown = tables(printable(name), with_printable_texts(response), words, inquiry)
        output.answer(documents.search(name, response, inquiry.galleries), shown)
        return
    if output.as_json:
        rejection = {"reason": answer.reason, "message": answer.refusal}
        output.answer({"probe": name, "rejection": rejection}, "")
    fail(f"{name}: {answer.refusal}")


def draw_sheet(
    answered: list[Answered], path: Path, journal: Path, asking: Asking, options: SearchOptions, at: datetime
) -> None:
    """Draw the contact sheet for what was answered, and say which pictures it lacks."""
    answers = [
        (a.file.path, None if a.response is None else with_printable_texts(a.response), a.refusal)
        for a in answered
    ]
    headers = [response.header for _, response, _ in answers if response is not None]
    above = heading(asking, options, headers, at)
    inquiry = Inquiry(asking.entity, list(options["galleries"]), options["frontline"])
    drawn = save_pages(answers, path, journal, above, asking.modality, inquiry)
    first, *further = drawn.pages
    note(f"contact sheet: {first}" + (f", and further pages to {further[-1]}" if further else ""))
    if drawn.without:
        warn(
            f"the sheet has no picture of {drawn.without:,} of the {plural(drawn.candidates, 'candidate')} on it: "
            "the service gives out none, and shown are those alone whose files were enrolled from here and are "
            "unchanged; see --journal"
        )
    if drawn.probes_without:
        warn(f"the sheet has no picture of {plural(drawn.probes_without, 'probe')}: the file cannot be drawn")

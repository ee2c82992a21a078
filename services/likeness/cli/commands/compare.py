"""`likeness compare`: two samples or references, 1:1."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from likeness.cli import documents, files
from likeness.cli.caller import Asking, asks
from likeness.cli.connection import connect
from likeness.cli.files import sent_name
from likeness.cli.options import AsJson, FormerSelect
from likeness.cli.output import Output, note, plain_table
from likeness.cli.selection import selection
from likeness.cli.words import rate_words
from likeness.client import reference, sample
from likeness.domain.errors import InvalidInput
from likeness.domain.text import printable
from likeness.engine.entry import SampleWords
from likeness.rpc.convert.texts import with_printable_texts
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching


@asks(purpose=True)
def compare(
    probe: Annotated[Path, typer.Argument(help="A file, or the id of a reference.")],
    candidate: Annotated[Path, typer.Argument(help="A file, or the id of a reference.")],
    *,
    select: Annotated[
        str,
        typer.Option(
            "--select",
            "--face",
            metavar="only|largest|central|INDEX|X,Y,WIDTH,HEIGHT",
            help="Of several faces, the one compared. Of an object: where it is, in pixels.",
        ),
    ] = "largest",
    former_select: FormerSelect = "",
    explain: Annotated[
        Path | None,
        typer.Option(help="Also write a picture of what was compared, PNG.", show_default=False),
    ] = None,
    as_json: AsJson = None,
    asking: Asking,
) -> None:
    """Compare two samples or references and say how often strangers score as high. The judgement is a person's."""
    chosen = selection(former_select or select, otherwise="only")
    one, other = _side(probe, chosen), _side(candidate, chosen)
    with connect(asking) as client:
        response = client.of(asking.modality).compare(one, other, explain=explain is not None)
    Output(as_json).answer(
        _document(str(probe), str(candidate), response),
        _shown(
            printable(str(probe)), printable(str(candidate)), with_printable_texts(response), asking.words
        ),
    )
    if explain is not None:  # after the answer, which is on record and must not be lost for want of a folder
        explain.parent.mkdir(parents=True, exist_ok=True)
        partial = explain.with_name(explain.name + ".part")
        partial.write_bytes(response.explanation)
        partial.replace(explain)
        note(f"explanation: {explain}")


def _side(given: Path, chosen: common.Selection | None) -> matching.Comparand:
    """A file if there is one of that name, else the id of a reference."""
    if given.exists():
        return matching.Comparand(sample=sample(files.read(given), name=sent_name(given), selection=chosen))
    try:
        UUID(str(given))
    except ValueError:
        raise InvalidInput(
            f"There is no file {given}, and it is not the id of a reference either; check the path."
        ) from None
    return reference(str(given))


def _document(probe: str, candidate: str, response: matching.CompareResponse) -> dict[str, object]:
    return {
        "probe": probe,
        "candidate": candidate,
        "score": documents.score(response.score, bool(response.header.calibration)),
        "evidence": documents.evidence(response.evidence) if response.HasField("evidence") else None,
        "probe_finding": documents.finding(response.probe) if response.HasField("probe") else None,
        "candidate_finding": documents.finding(response.candidate)
        if response.HasField("candidate")
        else None,
        "header": documents.header(response.header),
    }


def _shown(
    probe: str, candidate: str, response: matching.CompareResponse, words: SampleWords
) -> RenderableType:
    fmr = response.score.fmr
    table = plain_table("", "", whole=("",))
    table.show_header = False
    likelihood = documents.likelihood(response.score.likelihood)
    table.add_row("score", f"{response.score.value:.3f}  {likelihood}".rstrip(), style="bold")
    for part in response.score.parts:
        table.add_row(f"  {part.name}", f"{part.value:.3f}", style="dim")
    table.add_row(probe, _quality(response.HasField("probe"), response.probe, words))
    table.add_row(candidate, _quality(response.HasField("candidate"), response.candidate, words))
    calibrated = bool(response.header.calibration)
    rate = rate_words(fmr.value, fmr.lower, fmr.upper, fmr.measurable, calibrated)
    issues = [
        Text(issue.message, style="yellow")
        for finding in (response.probe, response.candidate)
        for issue in finding.issues
    ]
    origin = (
        f"models {response.header.model}; calibration {response.header.calibration or 'none'}; "
        f"audit entry {response.header.audit_position}"
    )
    return Group(table, *issues, Text(rate, style="bold"), Text(origin, style="dim"))


def _quality(found: bool, finding: common.Finding, words: SampleWords) -> str:
    return (
        f"{words.presentation} {finding.index}, quality {finding.quality.unified:.0f} of 100"
        if found
        else "enrolled reference"
    )

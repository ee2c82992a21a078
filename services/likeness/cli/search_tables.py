"""The answer of a search as tables for a person."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from likeness.cli import documents
from likeness.cli.output import ROOMY, output_width, plain_table
from likeness.cli.searched import (
    ANYBODY,
    Inquiry,
    has_hits,
    is_partial,
    nothing_words,
    searched_words,
    threshold_words,
    verdict,
)
from likeness.cli.words import expected_of, hit_words, is_of_another, label_of, rate_short
from likeness.engine.entry import SampleWords
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching

_ABRIDGED = "left out, see likeness get"


def tables(
    name: str,
    response: matching.SearchResponse,
    words: SampleWords,
    inquiry: Inquiry = ANYBODY,
) -> RenderableType:
    """The answer for one probe as a person reads it: one table per face, record or object in it.

    Args:
        name: of the probe.
        response: the answer, its texts printable.
        words: what the modality's samples are called.
        inquiry: who asked for what.
    """
    parts: list[RenderableType] = []
    for answer in response.answers:
        parts.append(_heading(name, answer, words.presentation if len(response.answers) > 1 else ""))
        if inquiry.frontline:
            parts.append(Text(f"  {verdict(answer)}", style="bold"))
        if answer.candidates:
            parts.append(_candidates(answer, response.header, inquiry.entity))
        elif not answer.hits and not inquiry.frontline:
            parts.append(Text(f"  {nothing_words(response.header)}"))
        parts.extend(Text(f"  {hit_words(hit)}") for hit in answer.hits)
        parts.extend(
            Text(f"  {issue.message}", style="yellow") for issue in answer.finding.issues if issue.message
        )
    parts.append(Text(_origin(response, inquiry), style="dim"))
    parts.append(Text())
    return Group(*parts)


def _heading(name: str, answer: matching.ProbeAnswer, presentation: str) -> Text:
    finding = answer.finding
    place = f", {presentation} {finding.index}" if presentation else ""
    heading = Text(f"{name}{place}", style="bold")
    return heading.append(f"  quality {finding.quality.unified:.0f} of 100", style="not bold dim")


def _candidates(answer: matching.ProbeAnswer, header: common.AnswerHeader, entity: str) -> RenderableType:
    owned = any(is_of_another(candidate, entity) for candidate in answer.candidates)
    columns = ("Reference", *(("Owner",) if owned else ()), "Owner's label", "Category")
    who = columns if output_width() >= ROOMY else ("Candidate",)
    scored = all(candidate.HasField("score") for candidate in answer.candidates)
    measures = ("Score", "FMR", "Expected false") if scored else ()
    table = plain_table(
        "Rank", *who, *measures,
        whole=("Reference", "Candidate", "Score", "FMR"), right=("Rank", *measures),
    )  # fmt: skip
    for candidate in answer.candidates:
        stated = candidate.reference.metadata
        # Where an answer would have been too long the rest was left out, and was not empty.
        label = _ABRIDGED if candidate.abridged else label_of(stated)
        category = "" if candidate.abridged else documents.category_words(stated.category)
        named = (*((stated.owner,) if owned else ()), label, category)
        known = (candidate.reference.reference_id, *named)
        table.add_row(
            str(candidate.rank),
            *(known if len(who) > 1 else ("\n".join((", ".join(filter(None, named)), known[0])),)),
            *(_measured(candidate, header) if scored else ()),
        )
    return table


def _measured(candidate: common.Candidate, header: common.AnswerHeader) -> tuple[str, str, str]:
    fmr = candidate.score.fmr
    return (
        f"{candidate.score.value:.3f} {documents.likelihood(candidate.score.likelihood)}".rstrip(),
        rate_short(fmr.value, fmr.measurable, bool(header.calibration)),
        expected_of(candidate, header),
    )


def _origin(response: matching.SearchResponse, inquiry: Inquiry) -> str:
    header = response.header
    searched, uncounted = searched_words(header, has_hits(response))
    aside = f" ({uncounted})" if uncounted else ""
    partial = is_partial(header, inquiry.galleries)
    coverage = f" (PARTIAL: only {header.coverage:.3f} of the gallery took part)" if partial else ""
    calibration = header.calibration or "none"
    profile = "; frontline profile" if inquiry.frontline else ""
    threshold = f"; {threshold_words(header.max_fmr)}" if header.max_fmr else ""
    return (
        f"{searched}{aside}{coverage}{profile}{threshold}; models {header.model}; calibration {calibration}; "
        f"log position {header.log_position}; audit entry {header.audit_position}"
    )

"""Rows of a contact sheet from the answers of searches: finds the pictures, and says what is known of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from likeness.cli import files
from likeness.cli.journal import Entry, find_references
from likeness.cli.sheet import MAX_CANDIDATES, MAX_ROWS, Rectangle, Row, Tile, crop
from likeness.cli.words import expected_of, label_of, rate_short
from likeness.domain.errors import LikenessError
from likeness.domain.samples import Sample
from likeness.imaging.decode import Pixels, decode
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching

Answer = tuple[Path, matching.SearchResponse | None, str]
"""The probe's file, its answer, and why there is none."""


def rows_of(answers: Sequence[Answer], journal: Path) -> list[Row]:
    """One row per presentation, or per probe that was refused; pictures only of the first MAX_ROWS.

    Args:
        answers: the probes and their answers.
        journal: the enrolment journal, which knows the files of candidates that were enrolled from here.
    """
    shown = {
        candidate.reference.reference_id
        for _, response, _ in answers
        if response is not None
        for answer in response.answers
        for candidate in answer.candidates[:MAX_CANDIDATES]
    }
    enrolled = find_references(journal, shown)
    rows: list[Row] = []
    for path, response, refusal in answers:
        picture = _picture(path) if len(rows) < MAX_ROWS else None
        if response is None or not response.answers:
            rows.append(Row(_tile([path.name, "no answer"], picture, None), note=refusal))
            continue
        rows += [_row(path.name, picture, answer, response.header, enrolled) for answer in response.answers]
    return rows


def _row(
    name: str,
    picture: Pixels | None,
    answer: matching.ProbeAnswer,
    header: common.AnswerHeader,
    enrolled: Mapping[str, Entry],
) -> Row:
    finding = answer.finding
    lines = [name, f"quality {finding.quality.unified:.0f} of 100"]
    candidates = [_candidate(c, header, enrolled) for c in answer.candidates[:MAX_CANDIDATES]]
    return Row(_tile(lines, picture, _rectangle(finding)), candidates)


def _candidate(
    candidate: common.Candidate, header: common.AnswerHeader, enrolled: Mapping[str, Entry]
) -> Tile:
    said, fmr = candidate.reference.metadata, candidate.score.fmr
    name = label_of(said) or candidate.reference.reference_id
    lines = [
        f"{candidate.rank}. {name}",
        f"score {candidate.score.value:.3f}",
        f"FMR {rate_short(fmr.value, fmr.measurable, bool(header.calibration))}",
    ]
    if header.calibration:
        lines.append(f"expected false {expected_of(candidate, header)}")
    entry = enrolled.get(candidate.reference.reference_id)
    if entry is None:
        return Tile(lines)
    box = Rectangle(*entry.box) if entry.box else None
    return _tile(lines, _picture(Path(entry.path), entry.sha256), box)


def _tile(lines: Sequence[str], picture: Pixels | None, box: Rectangle | None) -> Tile:
    return Tile(lines) if picture is None else Tile(lines, *crop(picture, box))


def _picture(path: Path, sha256: str = "") -> Pixels | None:
    """The pixels of a file, or None where it cannot be read or is not the one that was enrolled."""
    try:
        data = files.read(path)
        if sha256 and files.sha256(data) != sha256:
            return None
        return decode(Sample(data, name=path.name))
    except (LikenessError, OSError):
        return None


def _rectangle(finding: common.Finding) -> Rectangle | None:
    if not finding.HasField("box"):
        return None
    return Rectangle(finding.box.x, finding.box.y, finding.box.width, finding.box.height)

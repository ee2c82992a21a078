"""Contact sheets from the answers of searches: finds the pictures, says what is known of each, makes the pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from likeness.cli import files, sheet
from likeness.cli.caller import Asking
from likeness.cli.journal import JournalEntry, find_references
from likeness.cli.modality import DEFAULT, words_of
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
from likeness.cli.sheet import MAX_CANDIDATES, Rectangle, Row, Tile, crop
from likeness.cli.words import expected_of, hit_words, is_of_another, label_of, plural, rate_short
from likeness.client import SearchOptions
from likeness.domain.errors import LikenessError
from likeness.domain.samples import Sample
from likeness.fingerprint.drawing import minutiae_picture
from likeness.fingerprint.formats import read
from likeness.imaging.decode import Pixels, decode
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching

Answer = tuple[Path, matching.SearchResponse | None, str]
"""The probe's file, its answer, and why there is none."""

ELSEWHERE = ("no picture: enrolled", "elsewhere, and the", "service gives none out")
CHANGED = ("no picture: its file here", "has changed or cannot", "be read")
UNDRAWN = ("no picture: the file", "cannot be drawn")


@dataclass(slots=True)
class Drawn:
    """What became of a contact sheet: its pages, and how many candidates it shows with and without a picture."""

    pages: list[Path]
    candidates: int = 0
    without: int = 0
    probes_without: int = 0

    def count(self, rows: Sequence[Row]) -> None:
        """Take in the rows of one page."""
        for row in rows:
            tiles = row.candidates[:MAX_CANDIDATES]
            self.candidates += len(tiles)
            self.without += sum(tile.square is None for tile in tiles)
            self.probes_without += row.probe.square is None


def save_pages(
    answers: Sequence[Answer],
    path: Path,
    journal: Path,
    subtitle: Sequence[str],
    modality: str,
    inquiry: Inquiry = ANYBODY,
) -> Drawn:
    """Draw the sheet, a page after the other, and write its pages.

    Args:
        answers: the probes and their answers.
        path: the first page; further ones are `NAME-page-2-of-3.png` and so on.
        journal: the enrolment journal, which knows the files of candidates that were enrolled from here.
        subtitle: who asked what; see `heading`.
        modality: how samples are drawn.
        inquiry: who asked for what.

    Raises:
        OSError: a page cannot be written.
    """
    total = sum(max(1, len(response.answers) if response else 0) for _, response, _ in answers)
    pages = max(1, -(-total // sheet.ROWS_PER_PAGE))
    rows = rows_of(answers, journal, modality, inquiry)
    drawn = Drawn([])
    for number in range(1, pages + 1):
        on_page = list(islice(rows, sheet.ROWS_PER_PAGE))
        drawn.count(on_page)
        title = f"Candidates for {plural(len(answers), 'probe')}" + (
            f", page {number} of {pages}" if pages > 1 else ""
        )
        page = path if number == 1 else path.with_name(_page_name(path, number, pages))
        sheet.save(sheet.draw(on_page, title=title, subtitle=subtitle), page)
        drawn.pages.append(page)
    return drawn


def _page_name(path: Path, number: int, pages: int) -> str:
    return f"{path.stem}-page-{number:0{len(str(pages))}}-of-{pages}{path.suffix}"


def heading(
    asking: Asking, options: SearchOptions, headers: Sequence[common.AnswerHeader], at: datetime
) -> list[str]:
    """What stands above every page: when, who, why, for which case, in what, and by which models."""
    held = sorted({threshold_words(h.max_fmr) for h in headers if h.max_fmr})
    asked = {
        "Entity": asking.entity,
        "Operator": asking.operator or "not named",
        "Purpose": asking.purpose.value.replace("_", " "),
        "Case": asking.case or "not named",
    }
    scope = {
        "Galleries": ", ".join(options.get("galleries", ())) or "all",
        "Owners": ", ".join(options.get("owners", ())) or "all",
        "Categories": ", ".join(options.get("categories", ())) or "all",
        "Candidates": f"{options.get('k', 0)} at the most for each {asking.words.presentation}"
        + (f", with a {' or a '.join(held)}" if held else "")
        + (", every reference compared" if options.get("exhaustive") else ""),
    }
    if options.get("frontline"):
        scope = {"Profile": "frontline, hit or no hit", **scope}
    by = {
        "Models": ", ".join(sorted({h.model for h in headers})) or "none",
        "Calibration": ", ".join(sorted({h.calibration or "none" for h in headers})) or "none",
    }
    lines = [{"Searched": f"{at:%Y-%m-%d %H:%M} UTC", **asked}, scope, by]
    return [".  ".join(f"{name}: {value}" for name, value in line.items()) + "." for line in lines]


def rows_of(
    answers: Sequence[Answer],
    journal: Path,
    modality: str = DEFAULT,
    inquiry: Inquiry = ANYBODY,
) -> Iterator[Row]:
    """One row per presentation, or per probe that was refused, made when its turn comes.

    Args:
        answers: the probes and their answers.
        journal: the enrolment journal, which knows the files of candidates that were enrolled from here.
        modality: how samples are drawn.
        inquiry: who asked for what.
    """
    shown = {
        candidate.reference.reference_id
        for _, response, _ in answers
        if response is not None
        for answer in response.answers
        for candidate in answer.candidates[:MAX_CANDIDATES]
    }
    enrolled = find_references(journal, shown)
    pictures = _photograph if words_of(modality).picture else _fingers
    for path, response, refusal in answers:
        tile = _Tiles(path, pictures)
        if response is None or not response.answers:
            note = refusal or "Nothing to search with was found in it."
            yield Row(tile.of([path.name, "no answer"], None), note=note)
            continue
        for answer in response.answers:
            yield _row(tile, answer, response, enrolled, inquiry)


Pictures = Callable[[bytes, str, Rectangle | None], tuple[Pixels, Rectangle | None]]
"""From the bytes of a sample, its name and the box in it to a square TILE x TILE, and the box in that."""


class _Tiles:
    """Tiles of one file, read when it is first drawn."""

    def __init__(self, path: Path, pictures: Pictures, sha256: str = "") -> None:
        self.path, self.pictures = path, pictures
        self._sha256 = sha256
        self._data: bytes | None = None
        self._read = False

    def of(self, lines: Sequence[str], box: Rectangle | None, missing: Sequence[str] = UNDRAWN) -> Tile:
        """The tile, without a picture where the file cannot be read or is not the one that was enrolled."""
        try:
            data = self._bytes()
            if data is not None:
                return Tile(lines, *self.pictures(data, self.path.name, box))
        except (LikenessError, OSError):
            pass
        return Tile(lines, missing=missing)

    def _bytes(self) -> bytes | None:
        if not self._read:
            self._read = True
            data = files.read(self.path)
            self._data = data if self._sha256 in ("", files.sha256(data)) else None
        return self._data


def _row(
    probe: _Tiles,
    answer: matching.ProbeAnswer,
    response: matching.SearchResponse,
    enrolled: Mapping[str, JournalEntry],
    inquiry: Inquiry,
) -> Row:
    finding, header = answer.finding, response.header
    index = f", no. {finding.index}" if len(response.answers) > 1 else ""
    lines = [
        probe.path.name,
        *([verdict(answer)] if inquiry.frontline else ()),
        f"quality {finding.quality.unified:.0f} of 100{index}",
        f"audit entry {header.audit_position}",
        searched_words(header, has_hits(response))[0],
    ]
    if answer.hits:
        lines += [f"hit: contact {hit.owner}" for hit in answer.hits]
    if is_partial(header, inquiry.galleries):
        lines.append(f"PARTIAL: coverage {header.coverage:.3f}")
    candidates = [
        _candidate(c, header, enrolled, probe.pictures, inquiry.entity)
        for c in answer.candidates[:MAX_CANDIDATES]
    ]
    further = len(answer.candidates) - len(candidates)
    nothing = verdict(answer) if inquiry.frontline else nothing_words(header).capitalize()
    note = " ".join(map(hit_words, answer.hits)) or f"{nothing}."
    return Row(probe.of(lines, _rectangle(finding)), candidates, note=note, further=further)


def _candidate(
    candidate: common.Candidate,
    header: common.AnswerHeader,
    enrolled: Mapping[str, JournalEntry],
    pictures: Pictures,
    entity: str,
) -> Tile:
    stated, fmr = candidate.reference.metadata, candidate.score.fmr
    name = label_of(stated) or candidate.reference.reference_id
    lines = [f"{candidate.rank}. {name}"]
    if is_of_another(candidate, entity):
        lines.append(f"contact {stated.owner}")
    scored = candidate.HasField("score")
    if scored:
        lines += [
            f"score {candidate.score.value:.3f}",
            f"FMR {rate_short(fmr.value, fmr.measurable, bool(header.calibration))}",
        ]
    if scored and header.calibration:
        lines.append(f"expected false {expected_of(candidate, header)}")
    entry = enrolled.get(candidate.reference.reference_id)
    if entry is None:
        return Tile(lines, missing=ELSEWHERE)
    box = Rectangle(*entry.box) if entry.box else None
    return _Tiles(Path(entry.path), pictures, entry.sha256).of(lines, box, CHANGED)


def _photograph(data: bytes, name: str, box: Rectangle | None) -> tuple[Pixels, Rectangle | None]:
    return crop(decode(Sample(data, name=name)), box)


def _fingers(data: bytes, name: str, _: Rectangle | None) -> tuple[Pixels, Rectangle | None]:
    return minutiae_picture(read(data, name), sheet.TILE), None


def _rectangle(finding: common.Finding) -> Rectangle | None:
    if not finding.HasField("box"):
        return None
    return Rectangle(finding.box.x, finding.box.y, finding.box.width, finding.box.height)

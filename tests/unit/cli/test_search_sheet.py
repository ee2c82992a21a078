from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from likeness.cli.caller import Asking
from likeness.cli.journal import Journal, JournalEntry
from likeness.cli.search_sheet import ELSEWHERE, heading, rows_of, save_pages
from likeness.cli.searched import Inquiry
from likeness.cli.sheet import MAX_CANDIDATES
from likeness.client import SearchOptions
from likeness.domain.references import Purpose
from likeness.domain.samples import Sample
from likeness.fingerprint import synthesis
from likeness.fingerprint.formats import write
from likeness.fingerprint.formats.standards import Standard
from likeness.imaging.decode import decode
from likeness.imaging.opencv import cv2
from likeness.v1 import common_pb2 as common
from likeness.v1 import matching_pb2 as matching


def picture(path: Path) -> Path:
    cv2.imwrite(str(path), np.full((60, 60, 3), 120, np.uint8))
    return path


@pytest.fixture
def enrolled(tmp_path: Path) -> Path:
    return picture(tmp_path / "enrolled.png")


@pytest.fixture
def journal(tmp_path: Path, enrolled: Path) -> Path:
    """A journal that knows where reference `r1` came from."""
    path = tmp_path / "journal.jsonl"
    digest = hashlib.sha256(enrolled.read_bytes()).hexdigest()
    with Journal(path) as opened:
        opened.append(JournalEntry("0" * 32, digest, str(enrolled), "r1", 1, box=(10.0, 10.0, 20.0, 20.0)))
    return path


def response(*references: str, calibration: str = "c/1") -> matching.SearchResponse:
    answer = matching.ProbeAnswer()
    answer.finding.box.width = answer.finding.box.height = 20
    for rank, reference_id in enumerate(references, start=1):
        fmr = common.FalseMatchRate(value=1e-3, measurable=True)
        score = common.Score(value=0.5, fmr=fmr)
        reference = common.Reference(reference_id=reference_id)
        answer.candidates.append(
            common.Candidate(rank=rank, reference=reference, score=score, expected_false=0.2)
        )
    return matching.SearchResponse(
        header=common.AnswerHeader(calibration=calibration, searched=2), answers=[answer]
    )


def test_a_candidate_that_was_enrolled_from_here_is_shown(tmp_path: Path, journal: Path) -> None:
    probe = picture(tmp_path / "probe.png")
    (row,) = rows_of([(probe, response("r1", "r2"), "")], journal)
    known, unknown = row.candidates
    assert known.square is not None
    assert known.box is not None
    assert unknown.square is None
    assert list(known.lines) == ["1. r1", "score 0.500", "FMR 1.0e-03", "expected false 0.2"]


def test_of_a_candidate_of_another_owner_the_sheet_says_whom_to_contact(
    tmp_path: Path, journal: Path
) -> None:
    answer = response("r1", "r2")
    for candidate, owner in zip(answer.answers[0].candidates, ("NCB-FR", "NCB-XX"), strict=True):
        candidate.reference.metadata.owner = owner
    (row,) = rows_of([(picture(tmp_path / "probe.png"), answer, "")], journal, inquiry=Inquiry("NCB-XX"))
    of_another, own = row.candidates
    assert list(of_another.lines)[:2] == ["1. r1", "contact NCB-FR"]
    assert not any("contact" in line for line in own.lines)


def test_a_file_that_changed_since_is_not_shown_as_the_candidate(
    tmp_path: Path, journal: Path, enrolled: Path
) -> None:
    cv2.imwrite(str(enrolled), np.full((60, 60, 3), 10, np.uint8))
    (row,) = rows_of([(picture(tmp_path / "probe.png"), response("r1"), "")], journal)
    assert row.candidates[0].square is None


def test_without_a_calibration_no_rate_is_claimed(tmp_path: Path, journal: Path) -> None:
    (row,) = rows_of([(picture(tmp_path / "probe.png"), response("r1", calibration=""), "")], journal)
    assert list(row.candidates[0].lines) == ["1. r1", "score 0.500", "FMR unknown"]


def test_a_refused_probe_has_a_row_with_the_reason(tmp_path: Path, journal: Path) -> None:
    (row,) = rows_of([(picture(tmp_path / "probe.png"), None, "no face")], journal)
    assert (row.note, list(row.candidates)) == ("no face", [])
    assert row.probe.square is not None


def test_every_probe_is_on_a_page_and_no_page_is_tall(tmp_path: Path, journal: Path) -> None:
    probe = picture(tmp_path / "probe.png")
    several = matching.SearchResponse(header=response("r1").header, answers=[*response("r1").answers] * 12)
    answers = [
        (probe, several, ""),
        *[(probe, response("r1"), "") for _ in range(12)],
        (probe, None, "no face"),
    ]
    assert len(list(rows_of(answers, journal))) == 25
    drawn = save_pages(answers, tmp_path / "leads.png", journal, ["Case: 7."], "face")
    names = ["leads.png", "leads-page-2-of-3.png", "leads-page-3-of-3.png"]
    assert [page.name for page in drawn.pages] == names
    assert (drawn.candidates, drawn.without, drawn.probes_without) == (24, 0, 0)
    heights = [decode(Sample(page.read_bytes())).shape[0] for page in drawn.pages]
    assert heights[0] == heights[1] > heights[2]
    assert max(heights) < 4000


def test_a_row_has_its_audit_entry_and_says_what_it_leaves_out(tmp_path: Path, journal: Path) -> None:
    answer = response(*(f"r{number}" for number in range(1, 12)))
    answer.header.audit_position, answer.header.coverage = 42, 0.5
    (row,) = rows_of([(picture(tmp_path / "probe.png"), answer, "")], journal)
    assert "audit entry 42" in row.probe.lines
    assert "PARTIAL: coverage 0.500" in row.probe.lines
    assert (len(row.candidates), row.further) == (MAX_CANDIDATES, 3)
    assert row.candidates[1].missing == ELSEWHERE


def test_fingers_are_drawn_as_minutiae(tmp_path: Path) -> None:
    record = write(synthesis.record_of(synthesis.draw(1, seed=7)[0]), next(iter(Standard)))
    probe = tmp_path / "probe.fmr"
    probe.write_bytes(record)
    entry = JournalEntry("0" * 32, hashlib.sha256(record).hexdigest(), str(probe), "r1", 1)
    with Journal(tmp_path / "j.jsonl") as opened:
        opened.append(entry)
    drawn = save_pages(
        [(probe, response("r1", "r2"), "")],
        tmp_path / "s.png",
        tmp_path / "j.jsonl",
        [],
        "fingerprint",
    )
    assert (drawn.candidates, drawn.without, drawn.probes_without) == (2, 1, 0)
    (row,) = rows_of([(probe, response("r1", "r2"), "")], tmp_path / "j.jsonl", "fingerprint")
    assert row.probe.square is not None
    assert row.candidates[0].square is not None
    assert np.count_nonzero(np.any(row.probe.square < 128, axis=2)) > 300
    assert np.array_equal(row.probe.square, row.candidates[0].square)


def test_a_heading_says_who_asked_what_why_and_when() -> None:
    asking = Asking("face", "s:1", "NCB-XX", Purpose.MISSING_PERSON, "case-7", "clerk", 30.0)
    options = SearchOptions(galleries=["a", "b"], k=5, max_fmr=1e-4)
    at = datetime(2031, 2, 3, 4, 5, tzinfo=UTC)
    text = "\n".join(
        heading(asking, options, [common.AnswerHeader(model="m@1", calibration="c@1", max_fmr=1e-4)], at)
    )
    asked = ("2031-02-03 04:05 UTC", "NCB-XX", "clerk", "missing person", "case-7")
    for part in (*asked, "a, b", "m@1", "c@1", "0.0001"):
        assert part in text


def test_of_the_frontline_the_sheet_says_hit_or_no_hit_and_the_threshold_that_held(
    tmp_path: Path, journal: Path
) -> None:
    probe = picture(tmp_path / "probe.png")
    answers = [(probe, response("r1"), ""), (probe, response(), "")]
    hit, nothing = rows_of(answers, journal, inquiry=Inquiry(frontline=True))
    assert (hit.probe.lines[1], nothing.probe.lines[1], nothing.note) == ("HIT", "NO HIT", "NO HIT.")
    asking = Asking("face", "s:1", "NCB-XX", Purpose.SYSTEM_TEST, "", "clerk", 30.0)
    at = datetime(2031, 2, 3, 4, 5, tzinfo=UTC)
    options = SearchOptions(k=3, max_fmr=0.0, frontline=True)
    text = "\n".join(heading(asking, options, [common.AnswerHeader(max_fmr=1e-4)], at))
    assert "Profile: frontline" in text
    assert "with a false match rate of 0.0001 or less" in text


def test_a_row_of_hits_alone_names_their_owners_and_claims_no_count(tmp_path: Path, journal: Path) -> None:
    probe = picture(tmp_path / "probe.png")
    header = common.AnswerHeader(policy="c0ffee", unknown_galleries=["wanted"])
    hit = matching.ProbeAnswer(hits=[common.Hit(owner="NCB-FR")])
    answers = [
        (probe, matching.SearchResponse(header=header, answers=[answer]), "")
        for answer in (hit, matching.ProbeAnswer())
    ]
    found, nothing = rows_of(answers, journal, inquiry=Inquiry(galleries=["wanted"]))
    assert found.note == "NCB-FR holds a reference that resembles the probe: contact it."
    assert nothing.note == "No hit."
    for row in (found, nothing):
        assert "searched for hits alone" in row.probe.lines
        assert not any("PARTIAL" in line or "references" in line for line in row.probe.lines)

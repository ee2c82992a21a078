from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from likeness.cli.journal import Entry, Journal
from likeness.cli.search_sheet import rows_of
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
        opened.append(Entry("0" * 32, digest, str(enrolled), "r1", 1, box=(10.0, 10.0, 20.0, 20.0)))
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

from __future__ import annotations

import pytest

from likeness.cli import documents, words
from likeness.v1 import common_pb2 as common


@pytest.mark.parametrize(
    ("rate", "text"), [(4.13e-5, "24,000"), (0.5, "2"), (0.03, "33"), (1.0, "1"), (1e-6, "1,000,000")]
)
def test_one_in(rate: float, text: str) -> None:
    assert words.one_in(rate) == text


def test_a_rate_is_written_with_its_bounds() -> None:
    text = words.rate_words(4e-5, 2e-5, 8e-5, measurable=True)
    assert text == (
        "About 1 in 25,000 pairs of strangers scores at least this high "
        "(FMR 4.0e-05, 95% bounds 2.0e-05 to 8.0e-05)."
    )


def test_a_rate_below_the_sample_is_not_extrapolated() -> None:
    text = words.rate_words(1e-5, 0, 2e-5, measurable=False)
    assert "less often than 1 in 100,000" in text
    assert "not measurable" in text
    assert words.rate_short(1e-5, measurable=False) == "below 1.0e-05"


def test_without_a_calibration_nothing_is_claimed() -> None:
    assert "unknown" in words.rate_words(1.0, 0, 1, measurable=False, calibrated=False)
    assert words.rate_short(1.0, measurable=False, calibrated=False) == "unknown"


@pytest.mark.parametrize(
    ("expected", "text"), [(0.0, "0"), (4.2e-4, "4e-04"), (0.0231, "0.023"), (3.14, "3.1"), (1234.5, "1,234")]
)
def test_expected_false_candidates(expected: float, text: str) -> None:
    assert words.expected_words(expected) == text


@pytest.mark.parametrize(
    ("subject", "number", "text"),
    [("ada", "1", "ada / 1"), ("ada", "ada_1", "ada_1"), ("ada", "", "ada"), ("", "1", "1"), ("", "", "")],
)
def test_what_the_owner_calls_a_reference(subject: str, number: str, text: str) -> None:
    assert words.label_of(common.ReferenceMetadata(subject_id=subject, owner_reference=number)) == text


def test_plural() -> None:
    assert words.plural(1, "file") == "1 file"
    assert words.plural(1200, "file") == "1,200 files"
    assert words.plural(2, "entry", "entries") == "2 entries"


def test_a_member_that_only_a_newer_service_knows_is_shown_by_its_number() -> None:
    issue = common.Issue(reason="NEW", severity=99)  # type: ignore[arg-type]
    document = documents.finding(common.Finding(issues=[issue]))
    assert document["issues"] == [{"reason": "NEW", "message": "", "severity": "99"}]

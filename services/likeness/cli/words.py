"""How scores and rates are put into words.

A rate is a false match rate with what it was measured on, never a bare percentage; a candidate is a lead.
"""

from __future__ import annotations

from likeness.v1 import common_pb2 as common

LEAD = "A candidate is a lead for a person to verify, not an identification."


def rate_short(value: float, measurable: bool, calibrated: bool = True) -> str:
    """A false match rate for one cell of a table: `4.0e-05`, `below 1.0e-06`, or that there is none."""
    if not calibrated:
        return "unknown"
    return f"{value:.1e}" if measurable else f"below {value:.1e}"


def rate_words(value: float, lower: float, upper: float, measurable: bool, calibrated: bool = True) -> str:
    """A false match rate as one sentence for a person.

    Args:
        value: the rate, 0..1; where not measurable, the lowest rate that could be measured.
        lower: lower 95% bound of the rate.
        upper: upper 95% bound of the rate.
        measurable: False where the score lies above what the calibration's sample supports.
        calibrated: False where the models in use have no calibration at all.
    """
    if not calibrated:
        return "How often strangers score this high is unknown: the models in use have no calibration."
    if not measurable:
        return (
            f"Strangers score this high less often than 1 in {one_in(value)} (FMR below {value:.1e}, "
            "not measurable)."
        )
    return (
        f"About 1 in {one_in(value)} pairs of strangers scores at least this high "
        f"(FMR {value:.1e}, 95% bounds {lower:.1e} to {upper:.1e})."
    )


def one_in(rate: float) -> str:
    """The reciprocal of a rate to two significant digits, with thousands separated: 4.1e-5 is `24,000`."""
    if rate <= 0:
        return "infinitely many"
    reciprocal = 1 / rate
    return f"{float(f'{reciprocal:.2g}'):,.0f}" if reciprocal >= 10 else f"{reciprocal:.2g}"


def expected_words(expected: float) -> str:
    """Expected false candidates for one cell of a table: `0.02`, `3.1`, `120`."""
    if expected == 0:
        return "0"
    if expected < 0.001:
        return f"{expected:.0e}"
    return f"{expected:.2g}" if expected < 100 else f"{expected:,.0f}"


def plural(count: int, one: str, many: str = "") -> str:
    """`1 file`, `2 files`, `1,234 files`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def label_of(said: common.ReferenceMetadata) -> str:
    """What the owner calls a reference: subject and own number; the number alone if it begins with the subject."""
    if said.owner_reference.startswith(said.subject_id):
        return said.owner_reference or said.subject_id
    return " / ".join(text for text in (said.subject_id, said.owner_reference) if text)


def expected_of(candidate: common.Candidate, header: common.AnswerHeader) -> str:
    """Expected false candidates, as far as they are known."""
    if not header.calibration:
        return "unknown"
    below = "" if candidate.score.fmr.measurable else "below "
    return below + expected_words(candidate.expected_false)

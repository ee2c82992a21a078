"""How scores and rates are put into words.

A rate is a false match rate with what it was measured on, never a bare percentage; a candidate is a lead.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal

from likeness.domain.rounding import rounded_down, rounded_up
from likeness.domain.text import printable
from likeness.v1 import common_pb2 as common

MAX_LABEL = 80
"""Characters of a label in tables and pictures; `likeness get` shows all of it."""

LEAD = "A candidate is a lead for a person to verify, not an identification."


HIT_LEAD = "A hit is a reason to ask its owner, not an identification."

NO_POLICY = "no policy permits this"


def decided_words(outcome: str, policies: Collection[str]) -> str:
    """Which policies decided on a call; empty where it was refused before they were asked.

    Args:
        outcome: OK, or the reason of a refusal.
        policies: that decided, by their ids.
    """
    named = ", ".join(policies)
    if outcome == "NOT_PERMITTED_BY_POLICY":
        return f"forbidden by {named}" if named else NO_POLICY
    return f"permitted by {named}" if named else ""


def hit_words(hit: common.Hit) -> str:
    """What a hit says, and what to do about it."""
    return f"{hit.owner} holds a reference that resembles the probe: contact it."


def is_of_another(candidate: common.Candidate, entity: str) -> bool:
    """Whether it is the reference of somebody else than the entity that asks, who is to be contacted about it."""
    return candidate.reference.metadata.owner not in ("", entity)


def rate_short(value: float, measurable: bool, calibrated: bool = True) -> str:
    """A false match rate for one cell of a table: `4.0e-05`, `below 1.0e-06`, or that there is none."""
    if not calibrated:
        return "unknown"
    return f"{value:.1e}" if measurable else f"below {rounded_up(value)}"


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
            f"Strangers score this high less often than 1 in {one_in(value, at_most=True)} (FMR below "
            f"{rounded_up(value)}, "
            "not measurable)."
        )
    return (
        f"About 1 in {one_in(value)} pairs of strangers scores at least this high "
        f"(FMR {value:.1e}, 95% bounds {rounded_down(lower)} to {rounded_up(upper)})."
    )


def one_in(rate: float, *, at_most: bool = False) -> str:
    """The reciprocal of a rate to two significant digits, with thousands separated: 4.1e-5 is `24,000`.

    `at_most` rounds down, for a rate that is a bound.
    """
    if rate <= 0:
        return "infinitely many"
    reciprocal = float(1 / Decimal(repr(rate)))
    shown = float(rounded_down(reciprocal) if at_most else f"{reciprocal:.2g}")
    return f"{shown:,.0f}" if reciprocal >= 10 else f"{shown:.2g}"


def expected_words(expected: float, *, at_most: bool = False) -> str:
    """Expected false candidates for one cell of a table: `0.02`, `3.1`, `120`.

    `at_most` rounds up, for a number that the true one lies below.
    """
    if expected == 0:
        return "0"
    if at_most:
        expected = float(rounded_up(expected, digits=1 if expected < 0.001 else 2))
    if expected < 0.001:
        return f"{expected:.0e}"
    return f"{expected:.2g}" if expected < 100 else f"{expected:,.0f}"


def plural(count: int, one: str, many: str = "") -> str:
    """`1 file`, `2 files`, `1,234 files`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def filters_words(given: Mapping[str, object]) -> str:
    """The filters that were given, as they are typed: `--case 7, --gallery a, --gallery b`.

    Args:
        given: by option what each was given, several of it as a list; empty ones are left out.
    """
    every = (
        (option, one)
        for option, value in given.items()
        for one in (value if isinstance(value, list) else [value])
    )
    return printable(", ".join(f"{option} {one}" for option, one in every if one not in (None, "")))


def label_of(metadata: common.ReferenceMetadata) -> str:
    """What the owner calls a reference: subject and own number; the number alone if it begins with the subject.

    Runs of spaces become one and what is longer than MAX_LABEL is cut: a cell of a table must not look like a row.
    """
    if metadata.owner_reference.startswith(metadata.subject_id):
        label = metadata.owner_reference or metadata.subject_id
    else:
        label = " / ".join(text for text in (metadata.subject_id, metadata.owner_reference) if text)
    label = " ".join(label.split())
    return label if len(label) <= MAX_LABEL else label[: MAX_LABEL - 3] + "..."


def expected_of(candidate: common.Candidate, header: common.AnswerHeader) -> str:
    """Expected false candidates, as far as they are known."""
    if not header.calibration:
        return "unknown"
    if candidate.score.fmr.measurable:
        return expected_words(candidate.expected_false)
    return f"below {expected_words(candidate.expected_false, at_most=True)}"

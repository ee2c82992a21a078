"""What a comparison and a search answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from likeness.domain.calibration import Fmr
from likeness.domain.references import Category, Reference
from likeness.domain.samples import Finding, Issue


@dataclass(frozen=True, slots=True)
class Score:
    """How alike two templates are, on the modality's own scale, with the named parts it was made of."""

    value: float
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One entry of an answer. `rank` begins at 1.

    `expected_false` is FMR times the number of references searched: how many strangers would be expected to
    score this high by chance.
    """

    rank: int
    reference: Reference
    score: Score
    fmr: Fmr
    expected_false: float


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What to search and how much to return.

    Empty sets mean no limit beyond the caller's rights. `max_fmr`: candidates above this false match rate are
    left out; None returns the best `k` whatever their score. `profile` INTERACTIVE uses the shortlist,
    EXHAUSTIVE compares every allowed reference exactly.
    """

    k: int = 10
    max_fmr: float | None = None
    galleries: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()
    categories: frozenset[Category] = frozenset()
    exhaustive: bool = False
    min_log_position: int = 0


@dataclass(frozen=True, slots=True)
class Header:
    """What every answer says about how it came to be.

    `coverage` is the share of the searched gallery that took part, 0..1; `searched` the number of references
    compared against, `audit_position` the entry in the audit chain that recorded it.
    """

    log_position: int
    generation: str
    coverage: float
    model: str
    calibration: str
    searched: int = 0
    audit_position: int = 0
    audit_digest: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """The candidates for one presentation found in the probe."""

    finding: Finding
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """One answer per presentation in the probe, or the reason why there is none."""

    header: Header
    probes: tuple[ProbeAnswer, ...] = ()
    rejection: Issue | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The answer of a 1:1 comparison.

    `probe` and `candidate` say what was found in the samples; None for a side that was a reference.
    `explanation` is a PNG, empty unless asked for.
    """

    header: Header
    score: Score
    fmr: Fmr
    probe: Finding | None = None
    candidate: Finding | None = None
    explanation: bytes = b""

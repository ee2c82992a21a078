"""What a comparison and a search answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from likeness.domain.calibration import Fmr
from likeness.domain.references import Category, Reference
from likeness.domain.samples import Finding


class Likelihood(StrEnum):
    """What a score was measured to mean; the benchmark of object accuracy prints the error rate of each."""

    STRONG = "strong"
    """The same object: of probes without a mate, at most 1 in 500 has such a candidate."""
    PROBABLE = "probable"
    """Probably the same object: of probes without a mate, at most 1 in 100 has such a candidate."""
    SIMILAR = "similar only"
    """Looks similar; nothing shows that it is the same object."""


@dataclass(frozen=True, slots=True)
class Score:
    """The similarity of two templates, on the modality's own scale, with the named parts it was made of.

    `likelihood` is what the score was measured to mean; None where the modality has no such bands.
    """

    value: float
    parts: Mapping[str, float] = field(default_factory=dict)
    likelihood: Likelihood | None = None


Points = tuple[tuple[float, float], ...]
"""(x, y) in pixels of a sample as it is seen; of records at 500 per inch."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a comparison rests on, for machines.

    `probe` and `candidate` are the points that correspond, one for one. `transform` takes points of the probe to
    points of the candidate: a 3 by 3 homogeneous matrix, row by row, empty if there is none. The outlines
    surround the parts that correspond.
    """

    probe: Points = ()
    candidate: Points = ()
    transform: tuple[float, ...] = ()
    probe_outline: Points = ()
    candidate_outline: Points = ()


@dataclass(frozen=True, slots=True)
class Stated:
    """What an answer states of a comparison: the score and its false match rate, rounded or exact."""

    score: Score
    fmr: Fmr


@dataclass(frozen=True, slots=True)
class Explanation:
    """`picture` is a PNG for a person; `evidence` the same for a machine, where the modality has any."""

    picture: bytes
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One entry of an answer. `rank` begins at 1.

    `expected_false` is FMR times the number of references searched: how many strangers would be expected to
    score this high by chance. `further` are the ids of other references of the same subject that were found.
    """

    rank: int
    reference: Reference
    score: Score
    fmr: Fmr
    expected_false: float
    further: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """An owner holds at least one reference that resembles the probe, of which no more may be shown."""

    owner: str
    modality: str


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What to search and how much to return.

    Empty sets mean no limit beyond the caller's rights. `k` is 1 or more, per presentation; whoever takes the call
    bounds it, since a person cannot weigh many and a list is no copy of the database. `max_fmr`: candidates above
    this false match rate are left out; None returns the best `k` whatever their score. `profile` INTERACTIVE uses
    the shortlist, EXHAUSTIVE compares every allowed reference exactly. `group_by_subject`: one candidate per
    subject, the best reference of it; None leaves it to the modality. `frontline`: hit or no hit, see
    `engine.search_rules`. `lights_out`: no person looks at the answer before something follows from it.
    """

    k: int = 10
    max_fmr: float | None = None
    galleries: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()
    categories: frozenset[Category] = frozenset()
    exhaustive: bool = False
    min_log_position: int = 0
    group_by_subject: bool | None = None
    frontline: bool = False
    lights_out: bool = False


@dataclass(frozen=True, slots=True)
class Header:
    """What every answer says about how it came to be.

    `coverage` is the share of the searched gallery that took part, 0..1; `searched` the number of references
    compared against of which more than a hit may be shown, `audit_position` the entry in the audit chain that
    recorded it. `unknown_galleries` are those asked for in which there is no reference that the caller may know of;
    `policy` the digest of the policies by which the call was judged, empty where there are none. `max_fmr` is the
    false match rate above which candidates were left out; None where none were.
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
    unknown_galleries: tuple[str, ...] = ()
    policy: str = ""
    max_fmr: float | None = None


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """The candidates for one presentation found in the probe, and the hits, by owner and each owner once."""

    finding: Finding
    candidates: tuple[Candidate, ...] = ()
    hits: tuple[Hit, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """One answer per presentation in the probe.

    `with_scores`: whether its scores are for the caller too; they are always on record.
    """

    header: Header
    probes: tuple[ProbeAnswer, ...] = ()
    with_scores: bool = True


@dataclass(frozen=True, slots=True)
class Comparison:
    """The answer of a 1:1 comparison.

    `probe` and `candidate` say what was found in the samples; None for a side that was a reference.
    `explanation` is None unless asked for.
    """

    header: Header
    score: Score
    fmr: Fmr
    probe: Finding | None = None
    candidate: Finding | None = None
    explanation: Explanation | None = None

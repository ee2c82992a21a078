"""One act on record: who asked what and why, and what was answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from likeness.domain.references import Caller

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"


@dataclass(frozen=True, slots=True)
class AuditCandidate:
    """One candidate that was answered: `score` on the modality's scale, `fmr` as published.

    `measurable`: as in `calibration.Fmr`: where False the rate is below `fmr`. None in entries of releases that did
    not record it.
    """

    reference_id: str
    score: float
    fmr: float
    measurable: bool | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act on record. No personal data: `probe` is a keyed digest of the sample, never the sample.

    `options` and `filters` are what was asked, `searched` the number of references compared, `outcome` "OK" or
    the reason of the error that was answered.
    """

    rpc: str
    caller: Caller
    outcome: str
    modality: str = ""
    probe: str = ""
    options: Mapping[str, JsonValue] = field(default_factory=dict)
    filters: Mapping[str, JsonValue] = field(default_factory=dict)
    candidates: tuple[AuditCandidate, ...] = ()
    searched: int = 0
    model: str = ""
    calibration: str = ""
    generation: str = ""
    log_position: int = 0
    details: Mapping[str, JsonValue] = field(default_factory=dict)

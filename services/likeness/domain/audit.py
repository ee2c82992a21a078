"""One act on record: who asked what and why, and what was answered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from likeness.domain.access import Level
from likeness.domain.references import Caller

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"


_MARK = re.compile(r"(0|[1-9]\d{0,17}):([0-9a-fA-F]{64})", re.ASCII)


REFERENCE = "reference_id"
"""By this name the details of an entry have the reference that was asked for."""

TARGET = "entity"
"""By this name the details of an entry have the entity that was to be cut off or resumed."""

REPLAYED = "replayed"
"""By this name the details of an entry say that the write had been done before, and was only answered again."""


@dataclass(frozen=True, slots=True)
class AuditMark:
    """An entry of the audit chain as it is noted down where the server cannot write: `POSITION:DIGEST`.

    `position` counts from 1, `digest` is the entry's, 32 bytes, written in hexadecimal. Position 0 with 32 zero
    bytes stands for a chain that is empty.
    """

    position: int
    digest: bytes

    @classmethod
    def parse(cls, text: str) -> AuditMark:
        """Read what `str` of a mark wrote.

        Raises:
            ValueError: it is something else.
        """
        match = _MARK.fullmatch(text.strip())
        if match is None:
            raise ValueError(
                f"'{text}' is not an entry of an audit chain; write POSITION:DIGEST, as `likeness audit verify` "
                "prints it"
            )
        return cls(int(match[1]), bytes.fromhex(match[2]))

    def __str__(self) -> str:
        """`POSITION:DIGEST`."""
        return f"{self.position}:{self.digest.hex()}"


@dataclass(frozen=True, slots=True)
class AuditCandidate:
    """One candidate that was answered: `score` on the modality's scale, `fmr` as published.

    `measurable`: as in `calibration.Fmr`: where False the rate is below `fmr`. None in entries of releases that did
    not record it; those that did not record whose the reference was and how much of it was shown have no `owner`
    and no `level` either.
    """

    reference_id: str
    score: float
    fmr: float
    measurable: bool | None = None
    owner: str = ""
    level: Level | None = None


@dataclass(frozen=True, slots=True)
class AuditShown:
    """References of one owner that were shown at one level, apart from candidates."""

    owner: str
    level: Level
    reference_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act on record. No personal data: `probe` is a keyed digest of the sample, never the sample.

    `options` and `filters` are what was asked, `searched` the number of references compared, `outcome` "OK" or
    the reason of the error that was answered. `shown` are references that were answered without a score: read,
    listed, compared 1:1, or of the subject of a candidate. `principal` and `person` are who was proven to call,
    `policy` the digest of the policies that were asked, and `decided_by` those that decided; all are empty where
    nothing was proven or asked.
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
    principal: str = ""
    person: str = ""
    policy: str = ""
    decided_by: tuple[str, ...] = ()
    shown: tuple[AuditShown, ...] = ()

    def answered(self) -> Iterator[tuple[str, str, Level | None]]:
        """Every reference that was answered: its id, its owner, and how much of it was shown.

        The owner is empty and the level None where a release that did not record them wrote the entry.
        """
        for candidate in self.candidates:
            yield candidate.reference_id, candidate.owner, candidate.level
        for group in self.shown:
            for reference_id in group.reference_ids:
                yield reference_id, group.owner, group.level
